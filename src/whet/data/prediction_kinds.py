"""What a model says about rows: classes, spans, answers, values, ranks, texts; preferences have their own file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from whet.data.answer_text import exact
from whet.data.ragged import Lists, Spans, members, positions

Purpose = Literal["similarity", "regression"]
TextPurpose = Literal["generation", "translation", "summarization", "language"]


@dataclass(frozen=True, slots=True)
class Predictions:
    """What one model says about the rows of one split, beside what is true; here, what all kinds share.

    Shapes: n rows.

    - ``ids`` (n,) int64: the row's position in the split it came from; equal ids = same example.
    - ``hashes`` (n,) uint64: hash of the input text, to prove that two files speak of the same rows.
    - ``groups`` (n,) uint64: hash of the document, conversation or customer of each row, where rows
      belong together; intervals and tests then draw whole groups. None where rows stand alone.
    """

    kind: ClassVar[str]

    model: str
    split: str
    ids: NDArray[np.int64]
    hashes: NDArray[np.uint64]
    _: KW_ONLY
    groups: NDArray[np.uint64] | None = None

    @property
    def has_gold(self) -> bool:
        """Whether the truth is known: every kind has a ``gold`` of its own type, None where it is not."""
        return cast(Any, self).gold is not None

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the whole decision of a row is right."""
        raise NotImplementedError

    def take(self, rows: NDArray[Any]) -> Self:
        """The rows at ``rows`` (positions or a mask), in that order."""
        chosen = positions(rows)
        groups = None if self.groups is None else self.groups[chosen]
        return replace(self, ids=self.ids[chosen], hashes=self.hashes[chosen], groups=groups, **self._taken(chosen))

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        """The fields of this kind, at the given positions."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class ClassPredictions(Predictions):
    """One class a row, or any number of them. Shapes: n rows, C labels.

    - ``labels``: C names, in the order of the columns of ``scores``.
    - ``gold``: single label: (n,) int64 index into ``labels``; several labels: (n, C) bool.
      None where the truth is not known.
    - ``scores`` (n, C) float32: probabilities; single label: rows sum to 1; several: each by itself.
    - ``thresholds`` (C,) float32: only with several labels; a label is predicted from there on.
    """

    kind: ClassVar[str] = "classes"

    labels: tuple[str, ...]
    gold: NDArray[Any] | None
    scores: NDArray[np.float32]
    thresholds: NDArray[np.float32] | None = None

    @property
    def multi_label(self) -> bool:
        """Whether a row may carry several labels, or none."""
        return self.thresholds is not None

    @property
    def predicted(self) -> NDArray[Any]:
        """The decision: single label (n,) int64, several labels (n, C) bool."""
        if self.thresholds is not None:
            return np.asarray(self.scores >= self.thresholds)
        return np.asarray(self.scores.argmax(axis=1), dtype=np.int64)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the whole decision of a row is right."""
        assert self.gold is not None
        right = self.predicted == self.gold
        return np.asarray(right.all(axis=1) if self.multi_label else right)

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        return {"gold": None if self.gold is None else self.gold[chosen], "scores": self.scores[chosen]}


@dataclass(frozen=True, slots=True)
class SpanPredictions(Predictions):
    """Spans of characters with a type. Shapes: n rows, K types, g true spans, m said spans.

    - ``labels``: K names of types.
    - ``gold``, ``said``: the true and the said spans; gold is None where the truth is not known.
    - ``confidence`` (m,) float32: probability of each said span.
    - ``seen`` (g,) bool: whether a true span's words stood in training with this type; None if nobody looked.
    """

    kind: ClassVar[str] = "spans"

    labels: tuple[str, ...]
    gold: Spans | None
    said: Spans
    confidence: NDArray[np.float32]
    seen: NDArray[np.bool_] | None = None

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether a row's spans are all found and no other is said."""
        assert self.gold is not None
        wrong = np.zeros(len(self), dtype=bool)
        wrong[self.said.rows[~self.said.stand_in(self.gold)]] = True
        wrong[self.gold.rows[~self.gold.stand_in(self.said)]] = True
        return ~wrong

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "said": self.said.take(chosen),
            "confidence": self.confidence[members(self.said.offsets, chosen)[0]],
        }
        if self.gold is not None:
            found["gold"] = self.gold.take(chosen)
            if self.seen is not None:
                found["seen"] = self.seen[members(self.gold.offsets, chosen)[0]]
        return found


@dataclass(frozen=True, slots=True)
class AnswerPredictions(Predictions):
    """An answer taken from a context, or none. Shapes: n rows (questions).

    - ``gold``: the accepted answers of each question, () where it cannot be answered; None if not known.
    - ``said``: n answers, "" for none; ``starts`` (n,) int32: their first character, -1 for none.
    - ``confidence`` (n,) float32 in 0..1: of what is said, "no answer" included.
    - ``no_answer`` (n,) float32 in 0..1: probability that there is none.
    - ``nbest``: for each question (text, start, probability) of the best answers, best first.
    """

    kind: ClassVar[str] = "answers"

    gold: tuple[tuple[str, ...], ...] | None
    said: tuple[str, ...]
    starts: NDArray[np.int32]
    confidence: NDArray[np.float32]
    no_answer: NDArray[np.float32]
    nbest: tuple[tuple[tuple[str, int, float], ...], ...]

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the answer matches an accepted one exactly, as SQuAD compares (:mod:`answer_text`)."""
        assert self.gold is not None
        return np.asarray([exact(said, gold) for said, gold in zip(self.said, self.gold, strict=True)], dtype=bool)

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        return {
            "gold": None if self.gold is None else tuple(self.gold[row] for row in chosen),
            "said": tuple(self.said[row] for row in chosen),
            "starts": self.starts[chosen],
            "confidence": self.confidence[chosen],
            "no_answer": self.no_answer[chosen],
            "nbest": tuple(self.nbest[row] for row in chosen),
        }


def decided(
    nbest: Sequence[Sequence[tuple[str, int, float]]], no_answer: NDArray[np.float32], silent_from: float
) -> dict[str, Any]:
    """``said``, ``starts`` and ``confidence`` of :class:`AnswerPredictions`: the best answer of each question.

    None where there is none, or where "no answer" is as probable as ``silent_from``.
    """
    silent = (no_answer >= silent_from) | np.asarray([not best for best in nbest], bool)
    chosen = [
        ("", -1, float(none)) if quiet else best[0] for best, none, quiet in zip(nbest, no_answer, silent, strict=True)
    ]
    return {
        "said": tuple(text for text, _, _ in chosen),
        "starts": np.asarray([start for _, start, _ in chosen], np.int32),
        "confidence": np.asarray([probability for _, _, probability in chosen], np.float32),
    }


@dataclass(frozen=True, slots=True)
class ValuePredictions(Predictions):
    """A number a row. Shapes: n rows.

    - ``gold``, ``said`` (n,) float64; gold is None where the truth is not known.
    - ``purpose``: "similarity", where only order counts and the scales may differ (a cosine beside
      scores of 0 to 5), or "regression", where the number itself is wanted.
    """

    kind: ClassVar[str] = "values"

    gold: NDArray[np.float64] | None
    said: NDArray[np.float64]
    purpose: Purpose

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the number is the true one exactly; evaluation does not count it."""
        assert self.gold is not None
        return np.asarray(self.said == self.gold)

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        return {"gold": None if self.gold is None else self.gold[chosen], "said": self.said[chosen]}


@dataclass(frozen=True, slots=True)
class RankPredictions(Predictions):
    """Passages in order of their score. Shapes: n rows (queries).

    - ``gold``: of each query the judged passages with their relevance, 0 = not; None if not known.
    - ``said``: of each query the found passages with their scores, best first, at most 100.
    """

    kind: ClassVar[str] = "ranks"

    gold: Lists | None
    said: Lists

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the first passage is relevant."""
        assert self.gold is not None
        right = np.zeros(len(self), dtype=bool)
        some = np.diff(self.said.offsets) > 0
        right[some] = self.said.found_in(self.gold)[self.said.offsets[:-1][some]] > 0
        return right

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        return {"gold": None if self.gold is None else self.gold.take(chosen), "said": self.said.take(chosen)}


@dataclass(frozen=True, slots=True)
class TextPredictions(Predictions):
    """A text a row, and how likely the true one is to the model. Shapes: n rows.

    - ``gold``: the accepted texts of each row, the one trained on first; None where they are not known, and
      for "language", where a row is its own truth.
    - ``said``: n texts; None where nothing was generated.
    - ``purpose``: what is asked for; "language" is the likelihood of the row itself.
    - ``nats`` (n,) float64: negative log likelihood of the counted tokens of each row's truth, summed, the
      true tokens before each being given. None where the model has no probabilities.
    - ``tokens``, ``num_bytes``, ``num_right`` (n,) int64: of each row's truth, how many tokens are counted,
      the UTF-8 bytes that they stand for, and how many of them are the likeliest to the model.
    - ``finished`` (n,) bool: whether what is said ended by itself, not by the limit on its length.
    - ``num_said`` (n,) int64: tokens of what is said.
    - ``valid`` (n,) bool: whether what is said has the form that was asked for; None where none was.
    - ``chosen``: n texts, the likeliest of a closed set of answers; None where answers are open.
    """

    kind: ClassVar[str] = "texts"

    gold: tuple[tuple[str, ...], ...] | None
    said: tuple[str, ...] | None
    purpose: TextPurpose
    nats: NDArray[np.float64] | None = None
    tokens: NDArray[np.int64] | None = None
    num_bytes: NDArray[np.int64] | None = None
    num_right: NDArray[np.int64] | None = None
    finished: NDArray[np.bool_] | None = None
    num_said: NDArray[np.int64] | None = None
    valid: NDArray[np.bool_] | None = None
    chosen: tuple[str, ...] | None = None

    @property
    def has_gold(self) -> bool:
        """Whether the truth is known; of "language" it is the row itself, of which the likelihood is enough."""
        return self.gold is not None or (self.purpose == "language" and self.nats is not None)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(n,) whether the text, without the spaces around it, is an accepted one.

        Where nothing was generated, whether each counted token is the likeliest one.
        """
        if self.said is None:
            if self.num_right is None or self.tokens is None:
                return np.zeros(len(self), dtype=bool)
            return np.asarray(self.num_right == self.tokens)
        return self.accepts(self.said)

    def accepts(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) whether each of ``texts``, without the spaces around it, is an accepted one of its row."""
        assert self.gold is not None
        accepted = ({text.strip() for text in row} for row in self.gold)
        return np.asarray([text.strip() in row for text, row in zip(texts, accepted, strict=True)], dtype=bool)

    def _taken(self, chosen: NDArray[np.int64]) -> dict[str, Any]:
        counted = {name: getattr(self, name) for name in COUNTED}
        texts: dict[str, Sequence[Any] | None] = {"gold": self.gold, "said": self.said, "chosen": self.chosen}
        return {
            **{name: None if some is None else tuple(some[row] for row in chosen) for name, some in texts.items()},
            **{name: None if values is None else values[chosen] for name, values in counted.items()},
        }


COUNTED: dict[str, type[np.generic]] = {
    "nats": np.float64,
    "tokens": np.int64,
    "num_bytes": np.int64,
    "num_right": np.int64,
    "finished": np.bool_,
    "num_said": np.int64,
    "valid": np.bool_,
}
"""The numbers of :class:`TextPredictions`, each (n,) or None, and their types."""
