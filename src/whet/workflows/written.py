"""What a teacher writes, as targets to learn from (sequence-level distillation, arXiv 1606.07947).

The teacher is a model on this machine, or one behind an endpoint, which is asked the same question as the row asks. A
text that did not end by itself, or that is empty, is no target: such a row keeps its own, and a prompt that has none
is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from whet.batches.encoding import Encoded
from whet.batches.replay import joined
from whet.batches.templates import ANSWERS
from whet.data.forms import Examples
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.evaluation.retention import spent_in_words
from whet.files import read_json, write_json
from whet.models import sequences
from whet.prompting.speaker import Prompt, Speaker
from whet.tasks.rewriting import Rewriting
from whet.tasks.task import Columns
from whet.tasks.text_generation import TextGeneration
from whet.workflows import asking, unlabelled
from whet.workflows.events import Said
from whet.workflows.running import Running

FILE, TOKENS = "teacher_texts.json", "written"
BESIDE = "unlabelled"
"""Prompts and sources without a target, that the teacher wrote to."""
LONGEST = 256
"""Tokens of a text that a teacher writes, where neither the recipe nor the run says."""


def wanted(run: Running) -> bool:
    """Whether the teacher writes targets."""
    return run.recipe.distillation.texts != "none"


def write(run: Running) -> Iterator[Event]:
    """Ask the teacher for a text to every training row and every prompt without a target, and keep them.

    They lie in data/teacher_texts.json.
    """
    wish = run.recipe.distillation
    speaker = None if wish.endpoint is None else asking.teaching(run)
    parts = {"texts": run.examples("train")}
    if wish.unlabelled is not None:
        yield Said(unlabelled.in_words(run))
        parts[BESIDE] = unlabelled.rows(run)
    ask = partial(_from_model, run) if speaker is None else partial(_from_endpoint, run, speaker)
    found = {name: ask(some) for name, some in parts.items()}
    texts = {name: [text if text and done else None for text, done in some] for name, some in found.items()}
    if not any(text is not None for some in texts.values() for text in some):
        raise UserError(_nothing_written(str(wish.teacher), [one for some in found.values() for one in some]))
    name = run.teacher.known_as if speaker is None else speaker.name
    spent = None if speaker is None else asdict(speaker.spent())
    write_json(run.folder.data / FILE, {"teacher": wish.teacher, "asked": name, "spent": spent, **texts})
    yield Said(f"teacher: {name} wrote to {_amounts(texts)}")
    if spent is not None:
        yield Said(f"  {spent_in_words(spent)}")


def _amounts(texts: Mapping[str, Sequence[str | None]]) -> str:
    """To how many rows and prompts something was written, and what becomes of the others."""
    rows, beside = texts["texts"], texts.get(BESIDE)
    told = f"{_kept(rows):,} of {len(rows):,} training rows"
    told += "; the others keep their own target" if _kept(rows) < len(rows) else ""
    if beside is None:
        return told
    told += f", and to {_kept(beside):,} of {len(beside):,} prompts without a target"
    return told + ("; the others of these are left out" if _kept(beside) < len(beside) else "")


def _kept(texts: Sequence[str | None]) -> int:
    return sum(text is not None for text in texts)


def _nothing_written(teacher: str, found: Sequence[tuple[str, bool]]) -> Problem:
    """T028: cut off at the limit, or empty though they ended, which no limit mends."""
    number, empty = len(found), sum(done and not text for text, done in found)
    if 2 * empty > number:
        what = f"{teacher!r} wrote nothing: {empty:,} of {number:,} answers are empty, and ended by themselves."
        remedy = "Ask it one of these questions yourself, to see what it takes; or name another teacher."
    else:
        what = f"{teacher!r} wrote no text that ended by itself, to any of {number:,} rows."
        remedy = "Raise distillation.max_tokens, or name another teacher."
    return Problem("T028", "distillation.texts", what, remedy)


def about(run: Running) -> dict[str, Any]:
    """Who wrote to how many rows, and what it cost at an endpoint (None elsewhere); {} where nobody writes."""
    if not wanted(run):
        return {}
    told = read_json(run.folder.data / FILE)
    return {"asked": told.get("asked"), "spent": told.get("spent"), "written": _kept(told["texts"])}


def num_beside(run: Running) -> int:
    """To how many prompts without a target the teacher wrote one."""
    return _kept(read_json(run.folder.data / FILE).get(BESIDE, ()))


def encode(run: Running, into: Any) -> None:
    """The rows with what the teacher wrote, alone or behind the rows as they stand, into the folder ``into``.

    Behind them stand prompts that had no target, with what it wrote to them.
    """
    task, train, words = run.task, run.examples("train"), run.tokenizer
    assert isinstance(task, TextGeneration)
    known = read_json(run.folder.data / FILE)
    beside = list(_beside(run, task, known.get(BESIDE, ())))
    limit = int(run.value("data.max_length"))
    if run.recipe.distillation.texts == "replace":
        task.encode(words, [*_with(task.blocks(train), known["texts"]), *beside], limit, into)
        return
    there = [_only(block, texts_of) for block, texts_of in _parted(task.blocks(train), known["texts"])]
    found: Encoded = task.encode(words, [*_some(there), *beside], limit, run.tokens_folder(TOKENS))
    joined(run.encoded["train"], found, into)


def _beside(run: Running, task: TextGeneration, texts: Sequence[str | None]) -> Iterator[Columns]:
    """Prompts without a target, with what the teacher wrote to them, as the rows of training have it."""
    if not texts:
        return
    last = run.examples("train").rows([0], "messages")[0][-1] if "messages" in task.reads else {"content": ""}
    spaced = str(last.get("content") or "").startswith(" ")
    answer = {**dict.fromkeys(last), "role": last.get("role"), "content": " " if spaced else ""}
    for block, some in _parted(task.blocks(unlabelled.rows(run)), texts):
        asked = dict(block)
        if "messages" in block:
            asked["messages"] = [[*row, answer] for row in block["messages"]]
        else:
            asked["answers"] = [[] for _ in block["text"]]
        yield from _some([_only(asked, some)])


def _some(blocks: Iterable[Columns]) -> list[Columns]:
    """Those that have rows."""
    return [block for block in blocks if len(next(iter(block.values())))]


def _parted(blocks: Iterable[Columns], texts: Sequence[str | None]) -> Iterator[tuple[Columns, Sequence[str | None]]]:
    """Each block with the texts of its rows."""
    start = 0
    for block in blocks:
        size = len(next(iter(block.values())))
        yield block, texts[start : start + size]
        start += size


def _with(blocks: Iterable[Columns], texts: Sequence[str | None]) -> Iterator[Columns]:
    """The blocks with targets that the teacher wrote, where it wrote any."""
    for block, some in _parted(blocks, texts):
        yield _replaced(block, some)


def _only(block: Columns, texts: Sequence[str | None]) -> Columns:
    """The rows of a block that the teacher wrote to, with what it wrote."""
    there = [place for place, text in enumerate(texts) if text is not None]
    found = _replaced(block, texts)
    return {name: [column[place] for place in there] for name, column in found.items()}


def _replaced(block: Columns, texts: Sequence[str | None]) -> dict[str, Sequence[Any]]:
    found = dict(block)
    if "messages" in block:
        found["messages"] = [
            row if text is None else _answered(row, text) for row, text in zip(block["messages"], texts, strict=True)
        ]
    else:
        found["answers"] = [row if text is None else [text] for row, text in zip(block["answers"], texts, strict=True)]
    return found


def _answered(messages: Sequence[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """A conversation whose last answer is ``text``."""
    last = dict(messages[-1])
    spaced = f" {text}" if str(last.get("content") or "").startswith(" ") else text  # a prompt that simply goes on
    return [*messages[:-1], {**last, "content": spaced}]


def _from_model(run: Running, examples: Examples) -> list[tuple[str, bool]]:
    task, teacher = _writer(run), run.teacher
    sequences.set_languages(teacher.tokenizer, *_languages(run))
    encoded = task.encode(teacher.tokenizer, task.blocks(examples), teacher.about.max_length, None)
    tell = run.telling("teacher writes", len(examples))
    said = task.say(teacher.model, teacher.tokenizer, encoded, examples, tell)
    return [(one.text.strip(), one.finished) for one in said]


def _writer(run: Running) -> TextGeneration:
    """The task, whose answers are as long as ``distillation.max_tokens`` says."""
    task, longest = run.task, run.recipe.distillation.max_tokens
    assert isinstance(task, TextGeneration)
    if not isinstance(longest, int):
        return task
    setting = replace(task.setting, options={**task.setting.options, "generation.max_tokens": longest})
    found = type(task)(setting)
    found.learn(run.examples("train"))
    return found


def _languages(run: Running) -> tuple[str | None, str | None]:
    named = (run.recipe.sources.source_language, run.recipe.sources.target_language)
    source, target = (None if one == "auto" else one for one in named)
    return source, target


def _from_endpoint(run: Running, speaker: Speaker, examples: Examples) -> list[tuple[str, bool]]:
    """What a service answers to each row's question, within the price that the recipe allows."""
    wish = run.recipe.distillation
    most = (
        wish.max_tokens
        if isinstance(wish.max_tokens, int)
        else int(run.options.get("generation.max_tokens") or LONGEST)
    )
    prompts = [question for block in run.task.blocks(examples) for question in _questions(run, block)]
    replies = speaker.say(prompts, max_tokens=most, progress=run.telling("teacher writes", len(prompts)))
    return [(one.text, one.finished) for one in replies]


def _questions(run: Running, block: Columns) -> Iterator[Prompt]:
    """The rows of a block as a service is asked them: what stands before the answer."""
    roles = {"prompt": "user"}
    if isinstance(run.task, Rewriting):
        for text in block["text"]:
            yield [{"role": "user", "content": run.task.question(text)}]
        return
    for messages in block["messages"]:
        before = messages[:-1] if messages and messages[-1]["role"] in ANSWERS else messages
        yield [{"role": roles.get(one["role"], one["role"]), "content": one["content"]} for one in before]
