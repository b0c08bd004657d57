"""What each token of some rows is to a task: how much it counts, what it is to become, and where some are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Encoded, token_numbers
from whet.batches.flat import for_prediction
from whet.data.forms import Examples
from whet.models.language import guesses_of
from whet.report.shown_tokens import Gap, Token
from whet.tasks.language_loss import drawn_fixed, permuted_tokens, rows_of
from whet.tasks.language_modeling import LanguageTask
from whet.tasks.task import BATCH_TOKENS
from whet.tasks.token_classification import UNCOUNTED, TokenClassification

if TYPE_CHECKING:
    from whet.workflows.running import Running

BEFORE = 4
"""Tokens before one that are read with it: what stands before changes how it reads."""
TORN = "\ufffd"
"""How a part of a character reads."""

Numbers = NDArray[np.int64]
Marked = tuple[Numbers, NDArray[np.float32], list[str], Numbers]
"""Ids, losses, tags, and the ids behind hidden tokens (-1: none) of k tokens."""


@dataclass(frozen=True, slots=True)
class Marks:
    """N tokens of S sequences as a model sees them.

    - ``rows`` (S,): the row of each sequence. ``ids`` (N,): what is seen; ``loss`` (N,): how much each counts.
    - ``tags`` (N,): what each is to become, "" for nothing; ``hidden`` (N,): the id behind a hidden one, or -1.
    - ``notes``: what is to be known of the loss.
    """

    encoded: Encoded
    rows: Numbers
    ids: Numbers
    loss: NDArray[np.float32]
    tags: list[str]
    hidden: Numbers
    notes: Sequence[str] = ()

    def tokens(self, numbers: Numbers) -> Marked:
        """Of the tokens ``numbers``."""
        return self.ids[numbers], self.loss[numbers], [self.tags[one] for one in numbers], self.hidden[numbers]


def marks_of(run: Running, examples: Examples, encoded: Encoded) -> Marks:
    """What the task of ``run`` makes of the tokens of ``examples``."""
    size = encoded.num_tokens
    marks = Marks(
        encoded,
        rows_of(encoded),
        np.asarray(encoded.ids, np.int64),
        np.zeros(size, np.float32),
        [""] * size,
        np.full(size, -1, np.int64),
    )
    task = run.task
    if not len(encoded):
        return marks
    if isinstance(task, LanguageTask):
        return _said(run, task, marks)
    if isinstance(task, TokenClassification):
        values = task.targets(examples, encoded).values.numpy()
        marks.loss[values != UNCOUNTED] = 1.0
        tags = [task.tags[value] if value != UNCOUNTED else "" for value in values]
        return _noted(marks, "the first token of each word stands for it", tags)
    if run.head_kind == "span":
        return _spans(run, examples, marks)
    return _noted(marks, "the loss is of the whole row, not of its tokens")


def _noted(marks: Marks, note: str, tags: list[str] | None = None) -> Marks:
    tags = marks.tags if tags is None else tags
    return Marks(marks.encoded, marks.rows, marks.ids, marks.loss, tags, marks.hidden, [note])


def _turned(task: LanguageTask, marks: Marks) -> Marks:
    """Windows as the sources and targets that they become."""
    shown, wanted = task.shown(marks.encoded)
    loss = np.zeros(shown.num_tokens, np.float32)
    loss[np.flatnonzero(wanted >= 0) + 1] = 1.0
    size = shown.num_tokens
    return Marks(
        shown,
        np.repeat(marks.rows, shown.parts),
        np.asarray(shown.ids, np.int64),
        loss,
        [""] * size,
        np.full(size, -1, np.int64),
        ["which spans are taken out is drawn anew in each pass of training; here as at every look"],
    )


def _said(run: Running, task: LanguageTask, marks: Marks) -> Marks:
    """The tokens that a language model is to say, as at every look."""
    encoded = marks.encoded
    if task.turns_rows:
        return _turned(task, marks)
    permuted = guesses_of(run.place) == "permuted"
    seed = int(task.setting.options.get("seed", 0))
    for batch in for_prediction(encoded, BATCH_TOKENS):
        wanted = permuted_tokens(batch, drawn_fixed(batch, seed, "order")[0]) if permuted else task.choose(batch)
        numbers = token_numbers(encoded.offsets, batch.sequences)
        seen, said = wanted.batch.input_ids[0].numpy(), numbers[wanted.said.numpy()]
        marks.ids[numbers] = seen
        marks.loss[said] = wanted.weights.numpy()
        marks.hidden[said] = np.where(seen[wanted.said.numpy()] == wanted.ids.numpy(), -1, wanted.ids.numpy())
    if permuted:
        return _noted(marks, "which tokens are said is drawn anew in each pass of training; here as at every look")
    if task.guesses == ("masked",):
        return _noted(marks, "which words are hidden is drawn anew in each pass of training; here as at every look")
    return marks


def _spans(run: Running, examples: Examples, marks: Marks) -> Marks:
    """The first and the last token of each answer; the first token of a window stands for none in it."""
    tags = list(marks.tags)
    silent = getattr(run.task, "unanswerable", True)
    for start, (first, last) in zip(
        marks.encoded.offsets, run.task.targets(examples, marks.encoded).values.tolist(), strict=False
    ):
        if first < 0 or (first == last == 0 and not silent):
            continue
        for at, name in ((first, "start"), (last, "end")):
            tags[start + at] = f"{tags[start + at]} {name}".strip() if (first, last) != (0, 0) else "no answer"
            marks.loss[start + at] = 1.0
    note = "the answer's first and last token carry loss; where a window is without it, its first token"
    if not silent:
        note = (
            "the answer's first and last token carry loss, and as many windows without it as with it, not marked here"
        )
    return _noted(marks, note, tags)


def read_tokens(tokenizer: Any, marked: Marked) -> list[Token]:
    """Tokens of one sequence with how they read."""
    ids, loss, tags, hidden = marked
    special = special_ids(tokenizer)
    found: list[Token] = []
    plain: list[int] = []
    for token, counts, tag, behind in zip(ids.tolist(), loss.tolist(), tags, hidden.tolist(), strict=True):
        if token in special:
            text, plain = str(tokenizer.convert_ids_to_tokens(token)), []
        else:
            text = _reads(tokenizer, plain[-BEFORE:], token)
            plain.append(token)
        told = tag if behind < 0 else _reads(tokenizer, [], behind)
        found.append(Token(token, text, counts, token in special, told))
    return found


def special_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of tokens that no text becomes."""
    added = (number for number, one in tokenizer.added_tokens_decoder.items() if one.special)
    return frozenset([*tokenizer.all_special_ids, *added])


def _reads(tokenizer: Any, before: Sequence[int], token: int) -> str:
    """What ``token`` adds to the text of those before it; its name where it adds nothing that can be told."""
    start, whole = (_decoded(tokenizer, ids).rstrip(TORN) for ids in (before, [*before, token]))
    text = whole[len(start) :] if whole.startswith(start) else ""
    if text:
        return text
    torn = _decoded(tokenizer, [*before, token]).endswith(TORN)
    return TORN if torn else str(tokenizer.convert_ids_to_tokens(token))


def _decoded(tokenizer: Any, ids: Sequence[int]) -> str:
    found: str = tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return found


def strip_gaps(cut: Encoded, whole: Encoded, sequence: int) -> list[Gap]:
    """Where tokens of a sequence are missing: in each of its two parts, where it has two."""
    found: list[Gap] = []
    done = 0
    for kept, full in zip(_parts(cut, sequence), _parts(whole, sequence), strict=False):
        missing = len(full) - len(kept)
        if missing > 0:
            same = np.flatnonzero(full[: len(kept)] != kept)
            at = int(same[0]) if len(same) else len(kept)
            if np.array_equal(full[at + missing :], kept[at:]):
                found.append(Gap(done + at, missing))
        done += len(kept)
    return found


def _parts(encoded: Encoded, sequence: int) -> list[NDArray[np.uint32]]:
    ids, border = encoded.row(sequence), int(encoded.second[sequence])
    return [np.asarray(ids)] if border <= 0 else [np.asarray(ids[:border]), np.asarray(ids[border:])]
