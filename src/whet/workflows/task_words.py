"""Words that name a task: what vectors start from that are learnt to be read before every text."""

from __future__ import annotations

from whet.errors import Problems
from whet.models import soft_prompts
from whet.models.networks import read_config
from whet.workflows.running import Running

_ASKED = {
    "text-classification": "Classify the text",
    "token-classification": "Find and name the parts of the text",
    "question-answering": "Find the answer to the question in the text",
    "sentence-similarity": "Compare the meaning of the texts",
    "regression": "Rate the text",
    "ranking": "Find the text that answers the question",
    "text-generation": "Answer the question",
    "translation": "Translate the text",
    "summarization": "Summarize the text",
    "language-modeling": "Continue the text",
    "fill-mask": "Fill in the missing word of the text",
    "preference": "Answer the question",
}


def task_words(run: Running) -> list[int]:
    """Token ids of words that name the run's task and its labels, without the tokenizer's own frame."""
    names = [name for name in dict.fromkeys(label.split("-", 1)[-1] for label in run.labels) if name != "O"]
    if run.recipe.task != "token-classification":
        names = list(run.labels)
    said = _ASKED[run.recipe.task] + (": " + ", ".join(names) if names else "") + ". "
    found: list[int] = run.tokenizer(said, add_special_tokens=False, verbose=False)["input_ids"]
    return found


def refuse_soft(run: Running) -> None:
    """Check, before rows are read, that the base can read learnt vectors first, and that this run can be saved.

    :raises UserError: M070, the base cannot; M072, there are no places for them; M073, what they cannot be merged
        into; M074, beams with a prefix.
    """
    recipe, method, place = run.recipe, run.recipe.method, run.place
    soft_prompts.refuse(place, read_config(place), method, run.head_kind)
    soft_prompts.refuse_long(place, run.limit, recipe.soft.tokens, method)
    problems = Problems()
    if recipe.vocabulary.add or recipe.vocabulary.file:
        what = (
            f"method={method} trains what is read before a text, which cannot be merged into a base that was changed."
        )
        problems.add("M073", "vocabulary", what, "Add no tokens, or use method=lora or full.")
    if recipe.lora.merge:
        what = f"method={method} trains what is read before a text, which cannot be merged into weights."
        problems.add("M073", "lora.merge", what, "Leave it out, or use method=lora.")
    if method == "prefix" and recipe.generation.num_beams > 1:
        what = "beams cannot be searched behind a prefix, whose keys and values they would have to share."
        problems.add("M074", "generation.num_beams", what, "Say generation.num_beams=1, or use method=prompt.")
    problems.raise_if_any()
