"""What contradicts what in the parts of a recipe about distillation."""

from __future__ import annotations

from collections.abc import Iterator

from whet.recipe.distillation import DistillationRecipe, StudentRecipe
from whet.recipe.names import ADAPTERS, LANGUAGE
from whet.recipe.schema import Recipe

WRITING = ("text-generation", "translation", "summarization")
"""Tasks whose models write texts."""
ALONE = ("text-classification", "token-classification", "regression")
"""Tasks of which a teacher can be asked about a text that nothing else is known of; one elsewhere, in words."""

Found = tuple[str, str, str, str]
"""Code, option, what is wrong, what to do."""


def distilled(recipe: Recipe) -> Iterator[Found]:
    """Everything about students and teachers that cannot be meant together."""
    yield from _student_is_saved_whole(recipe)
    if recipe.distillation.teacher is None:
        if recipe.distillation != DistillationRecipe():
            remedy = "Name a run, a model folder or a hub id as distillation.teacher, or remove them."
            yield "R060", "distillation", "its options are set, but no teacher is named.", remedy
        return
    yield from _somebody_learns(recipe)
    yield from _unlabelled(recipe)
    yield from _writes(recipe)
    yield from _of_vocabularies(recipe)


def _student_is_saved_whole(recipe: Recipe) -> Iterator[Found]:
    """An adapter's file names its base by a hub id or a folder; a base made in the run is neither for long."""
    wanted = recipe.student
    if wanted == StudentRecipe():
        return
    if recipe.method in ADAPTERS and not (recipe.method in ("lora", "qlora") and recipe.lora.merge):
        what = f"makes a base that lies in this run alone, and method {recipe.method!r} saves only what is put upon it."
        yield "R061", "student", what, "Use method full or top-layers, or set lora.merge=true."
    if isinstance(wanted.layers, list) and len(set(wanted.layers)) != len(wanted.layers):
        yield "R066", "student.layers", "names a layer twice.", "Name each layer once."
    if isinstance(wanted.layers, list) and not wanted.layers:
        yield "R066", "student.layers", "keeps none.", "Name one layer at least."


def _somebody_learns(recipe: Recipe) -> Iterator[Found]:
    wanted = recipe.distillation
    if recipe.method == "probe":
        what = "is set, but the probe trains no weights of the base."
        yield "R062", "distillation.teacher", what, "Choose another method or remove it."
    if recipe.task == "preference":
        what = "is set, but a preference is learnt against the untouched base: its loss has no room for a teacher."
        remedy = "Remove it, or learn from the teacher in a stage before, of task text-generation."
        yield "R062", "distillation.teacher", what, remedy
    if wanted.weight == 0 and not wanted.hidden and not wanted.attention and wanted.texts == "none":
        what = "is 0, and nothing else is learnt from the teacher."
        yield "R062", "distillation.weight", what, "Raise it, or remove distillation."
    if recipe.forgetting.replay:
        what = "is set beside forgetting.replay, whose general text no teacher was asked about."
        yield "R062", "distillation.teacher", what, "Keep one of them."
    noise = recipe.regularisation
    if noise.token_deletion or noise.token_swap:
        what = "was asked about the texts as they stand, and regularisation.token_deletion or token_swap changes them."
        yield "R062", "distillation.teacher", what, "Remove these."


def _unlabelled(recipe: Recipe) -> Iterator[Found]:
    if recipe.distillation.unlabelled is None:
        return
    if recipe.task in WRITING and recipe.distillation.texts == "none":
        what = "is set, but nobody writes targets to prompts that have none."
        yield (
            "R063",
            "distillation.unlabelled",
            what,
            "Set distillation.texts=join or replace: the teacher writes them.",
        )
    elif recipe.task not in (*ALONE, *WRITING):
        what = f"is set, but a row of {recipe.task} is more than a text with a label."
        remedy = f"Remove it; it belongs to {', '.join((*ALONE, *WRITING))}."
        if recipe.task in LANGUAGE:
            remedy = "Put such texts among the training rows: the tokens of a text are its labels."
        yield "R063", "distillation.unlabelled", what, remedy
    if recipe.regularisation.r_drop or recipe.regularisation.sampling != "none":
        what = "is set beside regularisation.r_drop or sampling, which rest on labels."
        yield "R063", "distillation.unlabelled", what, "Keep one of them."


def _writes(recipe: Recipe) -> Iterator[Found]:
    wanted = recipe.distillation
    if wanted.texts != "none" and recipe.task not in WRITING:
        what = f"is {wanted.texts!r}, but {recipe.task} writes nothing."
        yield "R064", "distillation.texts", what, f"Remove it; it belongs to {', '.join(WRITING)}."
    if wanted.endpoint is not None:
        yield from _elsewhere(recipe)
    if wanted.endpoint is None and (wanted.max_cost is not None or wanted.price_input or wanted.price_output):
        what = "is not set, but prices or a limit are."
        yield "R064", "distillation.endpoint", what, "Name the endpoint, or remove them."
    if wanted.max_cost is not None and wanted.price_input is None and wanted.price_output is None:
        remedy = "Set distillation.price_input and distillation.price_output."
        yield "R064", "distillation.max_cost", "is set, but no prices are.", remedy


def _elsewhere(recipe: Recipe) -> Iterator[Found]:
    """Of a service, which says what it says in words."""
    wanted = recipe.distillation
    if recipe.task in WRITING and (wanted.texts == "none" or wanted.weight > 0):
        what = "is set: a service gives texts, and nothing about their likelihood."
        remedy = "Set distillation.texts and distillation.weight=0, or name a model."
        yield "R064", "distillation.endpoint", what, remedy
    if recipe.task not in (*WRITING, *ALONE):
        what = f"is set, but what a service says in words is no answer that a model of {recipe.task} could learn from."
        remedy = f"Name a model; a service can teach {', '.join((*ALONE, *WRITING))}."
        yield "R064", "distillation.endpoint", what, remedy
    if wanted.hidden or wanted.attention:
        what = "is set: a service shows no hidden states."
        yield "R064", "distillation.endpoint", what, "Remove distillation.hidden and distillation.attention."
    if wanted.temperature != DistillationRecipe().temperature:
        what = "is set, but a service says no likelihoods that it could soften."
        yield "R064", "distillation.temperature", what, "Remove it, or name a model."


def _of_vocabularies(recipe: Recipe) -> Iterator[Found]:
    if recipe.task not in LANGUAGE and recipe.distillation.top_k != DistillationRecipe().top_k:
        what = "is set, but belongs to tasks whose models say tokens."
        yield "R065", "distillation.top_k", what, "Remove it."
