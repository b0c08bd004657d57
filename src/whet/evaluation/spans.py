"""Spans of characters with a type. A span is right when both ends and its type are (strict, micro).

- macro F1 is the mean over the types that occur in the truth of these rows.
- boundary F1 asks for the ends only.
- The errors of ``details`` pair each wrong said span with at most one missed true span: first those with
  the same ends (wrong type), then those that overlap (wrong ends, the type right or wrong as well). What
  is left was missed or is spurious. So every span is counted once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.shares import share_interval
from whet.evaluation.sums import Floats, Formula, Sums, assembled, dense, macro_f1, micro_f1, ratio, tally

if TYPE_CHECKING:
    from whet.data.predictions import SpanPredictions, Spans

METRICS = ("entity_f1", "entity_precision", "entity_recall", "macro_f1", "boundary_f1")

Span = tuple[int, int, int]


def metrics(predictions: SpanPredictions) -> tuple[str, ...]:
    """All of :data:`METRICS`."""
    return METRICS


def primary(predictions: SpanPredictions) -> str:
    """Strict F1 over all spans."""
    return "entity_f1"


def check(predictions: SpanPredictions) -> tuple[str, str] | None:
    """V105: a probability that is no number or not in 0..1; V112: a span that is none, or across another."""
    inside = (predictions.confidence >= -1e-6) & (predictions.confidence <= 1 + 1e-6)  # false for NaN too
    if not inside.all():
        return "V105", f"{int((~inside).sum()):,} spans hold confidences that are not numbers in 0..1."
    for name, found in (("said", predictions.said), ("true", truth(predictions))):
        if (wrong := _unusable(found, len(predictions.labels))).any():
            what = "are empty, lie across another one, or are of no known type"
            return "V112", f"{int(wrong.sum()):,} {name} spans {what}."
    return None


def _unusable(spans: Spans, num_types: int) -> NDArray[np.bool_]:
    """(m,) spans without a character, with an unknown type, or that begin before the one before them ends."""
    order = np.lexsort((spans.ends, spans.starts, spans.rows))
    rows, starts, ends = spans.rows[order], spans.starts[order], spans.ends[order]
    across = np.zeros(len(order), dtype=bool)
    across[1:] = (rows[1:] == rows[:-1]) & (starts[1:] < ends[:-1])
    known = (spans.types >= 0) & (spans.types < num_types)
    return np.asarray(across | ((starts < 0) | (ends <= starts) | ~known[order]))


def comparable(first: SpanPredictions, second: SpanPredictions) -> bool:
    """The same types, in any order."""
    return set(first.labels) == set(second.labels)


def aligned(predictions: SpanPredictions, like: SpanPredictions) -> SpanPredictions:
    """The types numbered as the other model numbers them."""
    if predictions.labels == like.labels:
        return predictions
    place = np.asarray([like.labels.index(label) for label in predictions.labels], dtype=np.int32)
    said, gold = predictions.said, truth(predictions)
    return replace(
        predictions,
        labels=like.labels,
        said=replace(said, types=place[said.types]),
        gold=replace(gold, types=place[gold.types]),
    )


def same_truth(first: SpanPredictions, second: SpanPredictions) -> bool:
    """The same spans are true."""
    one, other = truth(first), truth(second)
    return np.array_equal(one.offsets, other.offsets) and bool(one.stand_in(other).all())


def truth(predictions: SpanPredictions) -> Spans:
    """The true spans, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def sums(predictions: SpanPredictions, *, soft: bool = True) -> Sums:
    """Rows, K each of found, true and said spans by type, and spans found whatever their type."""
    said, gold, k = predictions.said, truth(predictions), len(predictions.labels)
    hit = said.stand_in(gold)
    blocks = {
        "rows": dense(np.ones(len(predictions))),
        "hits": tally(said.rows[hit], said.types[hit], k),
        "gold": tally(gold.rows, gold.types, k),
        "said": tally(said.rows, said.types, k),
        "places": tally(said.rows[said.stand_in(gold, typed=False)]),
    }
    return assembled(len(predictions), blocks, FORMULAS)


def _share_of(name: str) -> Formula:
    return lambda part, totals: ratio(part.of("hits", totals).sum(axis=1), part.of(name, totals).sum(axis=1))


def _boundary_f1(part: Sums, totals: Floats) -> Floats:
    both = part.of("gold", totals).sum(axis=1) + part.of("said", totals).sum(axis=1)
    return ratio(2 * part.one("places", totals), both)


FORMULAS: dict[str, Formula] = {
    "entity_f1": micro_f1,
    "entity_precision": _share_of("said"),
    "entity_recall": _share_of("gold"),
    "macro_f1": macro_f1,
    "boundary_f1": _boundary_f1,
}


def points(predictions: SpanPredictions) -> dict[str, float]:
    """Counts are exact as they are."""
    return {}


def population(predictions: SpanPredictions, metric: str) -> NDArray[np.bool_] | None:
    """Every metric speaks of all rows."""
    return None


def decisions(predictions: SpanPredictions) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Each said span: its confidence, whether it is right, its row."""
    said = predictions.said
    return predictions.confidence.astype(np.float64), said.stand_in(truth(predictions)), said.rows


def right(predictions: SpanPredictions, part: str | None = None) -> NDArray[np.bool_]:
    """Whether the row's spans (of the type ``part``, where given) are all found and no other is said."""
    if part is None:
        return predictions.correct
    number = predictions.labels.index(part)
    gold, said = truth(predictions), predictions.said
    found = np.ones(len(predictions), dtype=bool)
    found[gold.rows[(gold.types == number) & ~gold.stand_in(said)]] = False
    found[said.rows[(said.types == number) & ~said.stand_in(gold)]] = False
    return found


def mistakes(predictions: SpanPredictions, metric: str | None = None) -> Floats:
    """(n,) number of spans that were missed or said wrongly."""
    gold, said, n = truth(predictions), predictions.said, len(predictions)
    missed = np.bincount(gold.rows[~gold.stand_in(said)], minlength=n)
    wrong = np.bincount(said.rows[~said.stand_in(gold)], minlength=n)
    return np.asarray(missed + wrong, dtype=np.float64)


def slices(predictions: SpanPredictions) -> dict[str, NDArray[np.bool_]]:
    """The rows that truly hold a span of each type."""
    gold = truth(predictions)
    found = {}
    for number, label in enumerate(predictions.labels):
        inside = np.zeros(len(predictions), dtype=bool)
        inside[gold.rows[gold.types == number]] = True
        if inside.any():
            found[label] = inside
    return found


def details(predictions: SpanPredictions) -> dict[str, Any]:
    """Each type by itself, the kinds of error, and recall of spans seen in training against unseen ones."""
    gold = truth(predictions)
    found = gold.stand_in(predictions.said)
    clusters = _clusters(predictions, gold)
    return {
        "per_type": per_type(predictions),
        "errors": errors(predictions),
        "seen": None
        if predictions.seen is None
        else {
            name: _recall(found[inside], clusters[inside])
            for name, inside in (("seen", predictions.seen), ("unseen", ~predictions.seen))
        },
    }


def per_type(predictions: SpanPredictions) -> list[dict[str, Any]]:
    """One object a type: label, support, precision, recall, f1, and the interval of recall.

    Spans of one row stand or fall together more often than chance, so the interval counts rows (or groups).
    """
    gold, said = truth(predictions), predictions.said
    found, hit, clusters = gold.stand_in(said), said.stand_in(gold), _clusters(predictions, gold)
    rows = []
    for number, label in enumerate(predictions.labels):
        inside, called = gold.types == number, said.types == number
        hits, both = int(found[inside].sum()), int(inside.sum() + called.sum())
        row = {"label": label} | _recall(found[inside], clusters[inside])
        row["precision"] = float(hit[called].mean()) if called.any() else 0.0
        rows.append(row | {"f1": 2 * hits / both if both else 0.0})
    return rows


def _recall(found: NDArray[np.bool_], clusters: NDArray[Any]) -> dict[str, Any]:
    low, high = share_interval(found, clusters)
    return {
        "support": len(found),
        "recall": float(found.mean()) if len(found) else 0.0,
        "low": low,
        "high": high,
    }


def _clusters(predictions: SpanPredictions, spans: Spans) -> NDArray[Any]:
    """(m,) what each span belongs to: its group where there are groups, else its row."""
    return spans.rows if predictions.groups is None else predictions.groups[spans.rows]


def errors(predictions: SpanPredictions) -> dict[str, int]:
    """How many spans are wrong in which way; a pair of a said and a true span counts once."""
    counts = {"type": 0, "boundary": 0, "type_and_boundary": 0, "missed": 0, "spurious": 0}
    for row in np.flatnonzero(~predictions.correct):
        gold, said = truth(predictions).row(int(row)), predictions.said.row(int(row))
        kinds = row_errors([one for one in gold if one not in said], [one for one in said if one not in gold])
        for _, _, kind in kinds:
            counts[kind] += 1
    return counts


def row_errors(gold: Sequence[Span], said: Sequence[Span]) -> list[tuple[Span | None, Span | None, str]]:
    """(true span, said span, kind of error) of the wrong spans of one row; a side that lacks is None.

    Pairs are made greedily: same ends before the same type, the longest overlap first, from left to right.
    """
    pairs = sorted(
        (
            (true[:2] != guess[:2], true[2] != guess[2], -_shared(true, guess), true, guess)
            for true in gold
            for guess in said
            if _shared(true, guess)
        ),
    )
    found: list[tuple[Span | None, Span | None, str]] = []
    taken_gold: set[Span] = set()
    taken_said: set[Span] = set()
    for ends_differ, type_differs, _, true, guess in pairs:
        if true not in taken_gold and guess not in taken_said:
            taken_gold.add(true)
            taken_said.add(guess)
            kind = "type" if not ends_differ else "type_and_boundary" if type_differs else "boundary"
            found.append((true, guess, kind))
    found += [(true, None, "missed") for true in gold if true not in taken_gold]
    return found + [(None, guess, "spurious") for guess in said if guess not in taken_said]


def _shared(first: Span, second: Span) -> int:
    """How many characters two spans have in common."""
    return max(0, min(first[1], second[1]) - max(first[0], second[0]))
