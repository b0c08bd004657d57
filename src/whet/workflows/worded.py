"""A teacher behind an endpoint that is asked in words: which labels, entities or number it gives to a row.

It is asked as the prompting baselines ask, without examples, and its replies are read as theirs are. It says no
likelihoods: a label that it names is taken for as sure as such a baseline's. A training row whose reply is no answer
keeps its own label in the place of the teacher's; a text without labels is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material
from whet.baselines.prompt_asking import Asking, Read
from whet.baselines.prompt_fitting import Fitting
from whet.baselines.prompt_labels import SAID
from whet.baselines.prompt_rival import ASKING, LEAST_TOKENS, MOST_TOKENS, room
from whet.data.entity_arrays import Words, entities, word_tags
from whet.data.forms import Examples
from whet.data.predictions import ClassPredictions, SpanPredictions, ValuePredictions
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.evaluation.kinds import primary_of, values_of
from whet.evaluation.retention import TEACHER, replies_in_words, spent_in_words
from whet.files import read_json, write_json
from whet.prompting.speaker import Reply, Speaker
from whet.tasks.regression import Regression
from whet.tasks.token_classification import TokenClassification
from whet.workflows import asking, unlabelled, written
from whet.workflows.events import Said
from whet.workflows.running import Running

FILE = "teacher_replies.json"
ROWS, TEXTS = "rows", "texts"
"""What is asked about: training rows, and texts without labels."""
LEAST = 1e-6
"""The smallest chance of a label: none is impossible."""


def wanted(run: Running) -> bool:
    """Whether a service is asked for labels, rather than for texts."""
    return run.recipe.distillation.endpoint is not None and not written.wanted(run)


def ask(run: Running) -> Iterator[Event]:
    """Ask the service about every training row and every text without labels, and keep its replies.

    They lie in teacher_replies.json, apart from the rows, which further seeds take over; where they do, nobody is asked
    again.

    :raises UserError: T028, no reply is an answer; P020 to P027, as an endpoint has them.
    """
    if _file(run).exists():
        return
    speaker, asked = asking.teaching(run), _asking(run)
    parts = _parts(run)
    replies = {name: _replies(run, speaker, asked, name, some) for name, some in parts.items()}
    known: dict[str, Any] = {"teacher": run.recipe.distillation.teacher, "asked": speaker.name}
    for name, some in parts.items():
        lost = _read(asked, some, replies[name]).unparsable
        if lost.all():
            raise UserError(_nothing_named(run, len(some), replies[name]))
        known[name] = {"replies": replies[name], "unread": np.flatnonzero(lost).tolist()}
    known |= {"agreed": _agreed(asked, parts[ROWS], replies[ROWS]), "spent": asdict(speaker.spent())}
    write_json(_file(run), known)
    told = about(run)
    yield Said(f"teacher: {speaker.name} was asked in words. {replies_in_words(told)}")
    yield Said(f"  {spent_in_words(told['spent'])}")


def _file(run: Running) -> Path:
    return run.folder.path / FILE


def _parts(run: Running) -> dict[str, Examples]:
    """What the service is asked about."""
    beside = {} if run.recipe.distillation.unlabelled is None else {TEXTS: unlabelled.rows(run)}
    return {ROWS: run.examples("train"), **beside}


def _asking(run: Running) -> Asking:
    """The task in words, as the prompting baselines put it."""
    known = (run.data.splits, run.labels, run.multi_label, run.gold)
    return ASKING[run.recipe.task](Material(run.recipe.task, *known, run.unit_vectors, run.embed, options=run.options))


def _replies(run: Running, speaker: Speaker, asked: Asking, name: str, examples: Examples) -> list[str]:
    """What the service says of each row."""
    wish, train = run.recipe.distillation, run.examples("train")
    most = max(LEAST_TOKENS, min(MOST_TOKENS, room(speaker, asked, train)))
    if isinstance(wish.max_tokens, int):
        most = wish.max_tokens
    fitting = Fitting(speaker, asked, train, asked.instruction(), most)
    prompts = fitting.prompts(asked.asked(examples), [()] * len(examples)).turns
    what = "teacher on training rows" if name == ROWS else "teacher on texts without labels"
    said = speaker.say(prompts, max_tokens=most, progress=run.telling(what, len(prompts)))
    return [one.text for one in said]


def _read(asked: Asking, examples: Examples, replies: Sequence[str]) -> Read:
    return asked.read(TEACHER, examples, [Reply(text, True, 0, 0, 0.0) for text in replies])


def _agreed(asked: Asking, train: Examples, replies: Sequence[str]) -> dict[str, Any]:
    """How good the teacher's answers are by the training rows' own labels, which it was not shown."""
    there = np.flatnonzero(~_read(asked, train, replies).unparsable)
    said = _read(asked, train.take(there), [replies[row] for row in there.tolist()]).said
    metric = primary_of([said])
    value = float(values_of(said)[metric])
    return {"metric": metric, "value": value if np.isfinite(value) else None, "rows": len(there)}


def _nothing_named(run: Running, number: int, replies: Sequence[str]) -> Problem:
    """T028."""
    shown = next((one for one in replies if one), "")
    teacher = run.recipe.distillation.teacher
    what = f"{teacher!r} gave {number:,} replies, none of which is an answer, such as {shown!r:.80}."
    remedy = "Raise distillation.max_tokens if it thinks before it answers, or name another teacher."
    return Problem("T028", "distillation.teacher", what, remedy)


# --- what is made of the replies ------------------------------------------------------------------------


def texts(run: Running) -> Examples:
    """The texts without labels to which the service gave an answer."""
    lost = read_json(_file(run))[TEXTS]["unread"]
    found = unlabelled.rows(run)
    return found.take(np.setdiff1d(np.arange(len(found)), lost))


def table(run: Running) -> NDArray[np.float32]:
    """What the service said of the training rows and of :func:`texts`, as outputs: (U, C), (U, 1) or (W, K)."""
    known, asked = read_json(_file(run)), _asking(run)
    found = []
    for name, examples in _parts(run).items():
        replies, lost = known[name]["replies"], known[name]["unread"]
        if name == ROWS and lost:
            own = dict(zip(lost, asked.answers(examples.take(lost)), strict=True))
            replies = [own.get(row, one) for row, one in enumerate(replies)]
        elif lost:
            replies = [replies[row] for row in np.setdiff1d(np.arange(len(replies)), lost)]
            examples = texts(run)
        found.append(_outputs(run, examples, _read(asked, examples, replies).said, lost if name == ROWS else ()))
    return np.concatenate(found).astype(np.float32)


def _outputs(run: Running, examples: Examples, said: Any, own: Sequence[int]) -> NDArray[np.floating[Any]]:
    """Answers in the terms of the student's own outputs; ``own``: rows that keep their own label."""
    if isinstance(said, ClassPredictions):
        scores = np.clip(said.scores, LEAST, 1 - LEAST)
        logs: NDArray[np.float32] = np.log(scores)
        return logs - np.log1p(-scores) if said.multi_label else logs
    if isinstance(said, ValuePredictions):
        assert isinstance(run.task, Regression)
        values: NDArray[np.float64] = (said.said - run.task.mean) / run.task.deviation
        return values[:, None]
    assert isinstance(said, SpanPredictions) and isinstance(run.task, TokenClassification)
    number = len(run.task.tags)
    tags = _tags(run, examples, said, own)
    chances = np.full((len(tags), number), (1 - SAID) / (number - 1))
    chances[np.arange(len(tags)), tags] = SAID
    found: NDArray[np.float64] = np.log(chances)
    return found


def _tags(run: Running, examples: Examples, said: SpanPredictions, own: Sequence[int]) -> NDArray[np.int64]:
    """(W,) of every word; those of ``own`` rows as they stand, for a reply could not put a part of a word in words."""
    words = Words.of(examples)
    tags = word_tags(words, said.said)
    if len(own):
        gold = entities(examples, run.labels)
        assert gold is not None
        tags = np.where(np.isin(words.rows, own), word_tags(words, gold), tags)
    return tags


# --- what is said of it ---------------------------------------------------------------------------------


def about(run: Running) -> dict[str, Any]:
    """Who was asked, about how much, what could not be read, and what it cost; {} where nobody was."""
    if not wanted(run):
        return {}
    known = read_json(_file(run))
    counted = {
        name: {"asked": len(known[name]["replies"]), "unread": len(known[name]["unread"])}
        for name in (ROWS, TEXTS)
        if name in known
    }
    return {"asked": known["asked"], "spent": known["spent"], "agreed": known["agreed"], "replies": counted}
