"""The form of preferences: a prompt with two answers of which the first is the better, or with one and a thumb.

Columns: ``text`` (the prompt and its answers for people, answers in the order of their letters, so that a pair and
the same pair turned round are one input), ``messages`` (what is answered, see
:data:`whet.data.chat_messages.MESSAGES`), and either ``chosen`` and ``rejected``, or ``completion`` and, where it is
known, ``liked``. A prompt and answers that are plain texts have messages of the role ``prompt``; texts that are
dialogues of "Human:" and "Assistant:" are read as messages. Where there is no prompt, what both answers begin with
is it.

What users are told when something is wrong with their preferences:

- D100 two answers that are equal, D101 a thumb that is neither up nor down, D102 answers that are laid out in no
  known way, D103 thumbs of one kind alone, D104 a loss that these rows cannot have, D105 no answers to judge
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.answer_findings import groups_finding
from whet.data.chat_messages import MESSAGES, readable
from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.normal import raw_hashes
from whet.data.preference_columns import choose
from whet.data.preference_findings import longer_finding
from whet.data.preference_rows import Pair, Reader, thumb
from whet.data.row_form import Choice, RowForm, Taken, Taking
from whet.data.rows import ABSENT, Block
from whet.data.values import Place
from whet.errors import Problem, UserError
from whet.findings import Finding
from whet.seeds import generator

PAIRED = ("chosen", "rejected")
EQUAL = "two answers that are equal"


class Preferences(RowForm):
    """Rows of :mod:`whet.data.preferences`."""

    name = "preferences"
    truth = "chosen"
    truth_words = "answer to judge"
    truths_words = "answers to judge"

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Prompt, better and worse answer; or prompt, answer and thumb.

        :raises UserError: D020, D021, D105.
        """
        return choose(columns, sample, where, choice)

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """Of pairs or of thumbs."""
        if columns.negative is not None:
            return Shape((("messages", MESSAGES), ("chosen", pa.string()), ("rejected", pa.string())))
        liked = (("liked", pa.bool_()),) if choice.labelled else ()
        return Shape((("messages", MESSAGES), ("completion", pa.string()), *liked))

    def take(self, block: Block, taking: Taking) -> Taken:
        """Messages and answers; what cannot be used is on record or a problem with its line."""
        rows = _Rows(taking)
        known = taking.columns
        prompts = block.column(known.text)
        if known.negative is None:
            answers = block.column(str(known.text_pair))
            thumbs = block.column(known.label) if known.label else [None] * len(prompts)
            for line, prompt, answer, value in zip(block.lines, prompts, answers, thumbs, strict=True):
                rows.thumb(line, prompt, answer, value)
            return rows.taken()
        implicit = known.text == known.label
        for line, prompt, one, other in zip(
            block.lines, prompts, block.column(str(known.label)), block.column(known.negative), strict=True
        ):
            rows.pair(line, ABSENT if implicit else prompt, one, other)
        return rows.taken()

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D103, training has no answer that is liked, or none that is not."""
        train = given["train"]
        if not train.shape.has("liked"):
            return
        liked = np.asarray(train.column("liked"), bool)
        if liked.all() or not liked.any():
            what = (
                f"all {len(liked):,} training rows are {'liked' if liked.any() else 'disliked'}: nothing tells apart."
            )
            raise UserError(Problem("D103", where, what, "Give answers of both kinds."))

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:
        """Anything that this form reads can be measured."""

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """Of thumbs whether they are up; pairs are drawn alike."""
        if examples.shape.has("liked"):
            return np.asarray(examples.column("liked"), np.int64)
        return np.zeros(len(examples), np.int64)

    def together(self, examples: Examples) -> NDArray[np.uint64]:
        """Rows of one prompt stay on one side."""
        return prompts(examples)

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The better answer, or the thumb: of equal inputs others are contradictions."""
        name = "chosen" if examples.shape.has("chosen") else "liked"
        return raw_hashes([str(value) for block in examples.column_blocks([name]) for value in block[name]])

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """X023, and A033 groups in several splits."""
        return [longer_finding(splits), groups_finding(splits, "A033", "rows", "conversation")]


def prompts(examples: Examples) -> NDArray[np.uint64]:
    """(n,) hash of what each row's answers are to."""
    return raw_hashes([readable(row) for block in examples.column_blocks(["messages"]) for row in block["messages"]])


def unrelated(asked: NDArray[Any], seed: int) -> NDArray[np.int64]:
    """(n,) for each row the number of one that answers another prompt, drawn from ``seed``; itself where there is none.

    :param asked: (n,) equal for rows of one prompt.
    """
    drawn = generator(seed, "unrelated answers").permutation(len(asked))
    found: NDArray[np.int64] = drawn.copy()
    along = asked[drawn]
    ends = np.flatnonzero(along != np.roll(along, -1))  # where the prompt is another one than the next
    if not len(ends):
        return np.arange(len(asked))
    place = np.flatnonzero(along == asked)  # drawn of the own prompt: the next one that is not
    found[place] = drawn[(ends[np.searchsorted(ends, place) % len(ends)] + 1) % len(asked)]
    return found


class _Rows:
    """The rows of one block while they are taken."""

    def __init__(self, taking: Taking) -> None:
        self.taking = taking
        names = [name for name in ("messages", "chosen", "rejected", "completion", "liked") if taking.shape.has(name)]
        self.columns: dict[str, list[Any]] = {"text": [], **{name: [] for name in names}}
        self.missing: dict[int, str] = {}
        self.dropped: dict[str, list[int]] = {}
        self.changed: dict[str, list[int]] = {}

    def pair(self, line: int, prompt: Any, one: Any, other: Any) -> None:
        """A better and a worse answer."""
        reader = self._reader(line)
        found = reader.pair(prompt, one, other)
        if found.answers and found.answers[0].strip() == found.answers[1].strip():
            self._equal(line)
        columns = dict(zip(PAIRED, found.answers or ("", ""), strict=True))
        self._add(found, reader, columns, (self.taking.columns.label, self.taking.columns.negative))

    def thumb(self, line: int, prompt: Any, answer: Any, value: Any) -> None:
        """An answer and whether it is liked."""
        reader = self._reader(line)
        found = reader.single(prompt, answer)
        columns: dict[str, Any] = {"completion": found.answers[0] if found.answers else ""}
        if "liked" in self.columns:
            column, known = str(self.taking.columns.label), self.taking.problems.count
            liked = thumb(value, Place(self.taking.file, [line], column), self.taking.problems)
            if liked is None and self.taking.problems.count == known and not found.refused:
                self.missing[len(self.columns["text"])] = column
            columns["liked"] = bool(liked)
        self._add(found, reader, columns, (self.taking.columns.text_pair,))

    def _reader(self, line: int) -> Reader:
        return Reader(Place(self.taking.file, [line], self.taking.columns.text), self.taking.problems)

    def _equal(self, line: int) -> None:
        if self.taking.choice.drop_unlabelled:
            self.dropped.setdefault(EQUAL, []).append(len(self.columns["text"]))
            return
        what = "has two answers that are equal, so that neither is better."
        remedy = "Remove the row, or drop such rows, on record, with --set data.drop_unlabelled=true."
        self.taking.problems.add("D100", f"{self.taking.file}:{line}", what, remedy)

    def _add(self, found: Pair, reader: Reader, columns: dict[str, Any], given: Sequence[str | None]) -> None:
        """One row more; ``given``: the columns that its answers stand in."""
        row = len(self.columns["text"])
        if found.reason:
            self.dropped.setdefault(found.reason, []).append(row)
        elif not found.answers and not found.refused:
            self.missing.setdefault(row, str(given[found.lacking]))
        shown = [readable(found.messages), *(f"- {answer}" for answer in sorted(found.answers))]
        self.columns["text"].append("\n".join(shown) if found.messages else found.reason or "-")
        self.columns["messages"].append(found.messages)
        for name, value in columns.items():
            self.columns[name].append(value)
        for change in dict.fromkeys(reader.changes):
            self.changed.setdefault(change, []).append(row)

    def taken(self) -> Taken:
        """All of them."""
        return Taken(
            self.columns,
            unlabelled=self.missing,
            dropped=[("A013", reason, rows) for reason, rows in self.dropped.items()],
            changed=[("A013", why, rows) for why, rows in self.changed.items()],
        )
