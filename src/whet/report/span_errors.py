"""Said entities against true ones: which belong together, and what is wrong between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from whet.data.predictions import SpanPredictions

Outcome = Literal["right", "missed", "spurious", "type", "boundary", "type_and_boundary"]
Span = tuple[int, int, int]

ERRORS: tuple[Outcome, ...] = ("missed", "spurious", "type", "boundary", "type_and_boundary")


@dataclass(frozen=True, slots=True)
class Event:
    """A true and a said entity that belong together, or one of them alone; (start, end, type) each.

    ``confidence``: of what was said; ``seen``: whether the true one stood in training, None if not known.
    """

    row: int
    outcome: Outcome
    true: Span | None
    said: Span | None
    confidence: float | None = None
    seen: bool | None = None

    @property
    def place(self) -> tuple[int, int]:
        """From the first to the last character of both."""
        spans = [span for span in (self.true, self.said) if span is not None]
        return min(span[0] for span in spans), max(span[1] for span in spans)


def matched(true: Sequence[Span], said: Sequence[Span]) -> list[tuple[Outcome, Span | None, Span | None]]:
    """(outcome, true span, said span) of one row: equal ones are right, the others as evaluation pairs them."""
    from whet.evaluation.spans import row_errors

    found: list[tuple[Outcome, Span | None, Span | None]] = [("right", span, span) for span in true if span in said]
    wrong = row_errors([span for span in true if span not in said], [span for span in said if span not in true])
    return found + [(cast(Outcome, outcome), one, other) for one, other, outcome in wrong]


def events(predictions: SpanPredictions) -> Iterator[Event]:
    """Every entity of every row, right ones too, in the order of the rows."""
    gold, said = predictions.gold, predictions.said
    assert gold is not None
    for row in range(len(predictions)):
        true_here, said_here = gold.row(row), said.row(row)
        if not true_here and not said_here:
            continue
        first_true, first_said = int(gold.offsets[row]), int(said.offsets[row])
        for outcome, true, guess in matched(true_here, said_here):
            confidence = None if guess is None else float(predictions.confidence[first_said + said_here.index(guess)])
            seen = None
            if true is not None and predictions.seen is not None:
                seen = bool(predictions.seen[first_true + true_here.index(true)])
            yield Event(row, outcome, true, guess, confidence, seen)


def taken_for(found: Sequence[Event], num_types: int) -> list[list[int]]:
    """(K + 1, K + 1) counts, rows = truth, columns = said; the last row and column stand for no entity."""
    matrix = [[0] * (num_types + 1) for _ in range(num_types + 1)]
    pairs = Counter(
        (num_types if one.true is None else one.true[2], num_types if one.said is None else one.said[2])
        for one in found
    )
    for (truth, said), times in pairs.items():
        matrix[truth][said] = times
    return matrix
