"""W004: a model that says (nearly) always the same, or never some of what is true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.shares import LEVEL, wilson
from whet.findings import Finding

if TYPE_CHECKING:
    from whet.data.predictions import ClassPredictions, Predictions, SpanPredictions, ValuePredictions

SAME = 0.98
"""Share of the rows from which on one answer counts as the only one."""
FEWEST = 5
"""True rows of a class that is never said, below which that is no news."""
NARROW = 0.05
"""Spread of the numbers that are said, as a share of that of the true ones, below which they are one number."""
SHOWN = 8

REMEDY = (
    "Lower training.learning_rate, try another seed, and where classes are rare regularisation.class_weights=balanced "
    "or regularisation.sampling=balanced."
)


def collapsed(predictions: Predictions) -> Finding:
    """Finding W004 of one model on rows whose truth is known."""
    way = WAYS.get(predictions.kind)
    if way is None or not predictions.has_gold or not len(predictions):
        message = "What is said here are no classes, whose shares could be compared."
        return Finding("W004", "not_applicable", message, predictions.model)
    found: Finding = way(predictions)
    return found


def _classes(predictions: ClassPredictions) -> Finding:
    said, gold = predictions.predicted, predictions.gold
    assert gold is not None
    n = len(gold)
    if predictions.multi_label:
        sets, place = np.unique(np.concatenate([said, gold]), axis=0, return_inverse=True)
        names = [_set_in_words(row, predictions.labels) for row in sets]
        keys, truth = np.split(place.ravel(), 2)
        counts = said.sum(0), gold.sum(0)
    else:
        names, keys, truth = list(predictions.labels), said, gold
        counts = (np.bincount(keys, minlength=len(names)), np.bincount(truth, minlength=len(names)))
    often = np.bincount(keys, minlength=len(names))
    top = int(often.argmax())
    share, true = float(often[top] / n), float((truth == top).mean())
    evidence = {
        "said": dict(zip(predictions.labels, counts[0].tolist(), strict=True)),
        "true": dict(zip(predictions.labels, counts[1].tolist(), strict=True)),
        "split": predictions.split,
    }
    if share >= SAME and wilson(int((truth == top).sum()), n, LEVEL)[1] < SAME:
        message = (
            f"Collapsed: {names[top]!r} is the answer to {100 * share:.0f} % of the {n:,} {predictions.split} rows, "
            f"and true of {100 * true:.0f} %."
        )
        return Finding("W004", "issue", message, predictions.model, REMEDY, evidence)
    return _never_said(predictions, counts, evidence, f"{n:,} {predictions.split} rows")


def _never_said(
    predictions: Any, counts: tuple[NDArray[Any], NDArray[Any]], evidence: dict[str, Any], where: str
) -> Finding:
    silent = np.flatnonzero((counts[0] == 0) & (counts[1] >= FEWEST))
    if not len(silent):
        message = f"All that is true of at least {FEWEST} of {where} is said, too."
        return Finding("W004", "passed", message, predictions.model, "", evidence)
    silent = silent[np.argsort(-counts[1][silent], kind="stable")]
    named = ", ".join(f"{predictions.labels[one]!r} (true {counts[1][one]:,} times)" for one in silent[:SHOWN])
    more = f" and {len(silent) - SHOWN:,} more" if len(silent) > SHOWN else ""
    message = f"Never said on {where}: {named}{more}."
    remedy = "Try regularisation.class_weights=balanced or regularisation.sampling=balanced, or add rows of them."
    return Finding("W004", "tip", message, predictions.model, remedy, evidence)


def _spans(predictions: SpanPredictions) -> Finding:
    gold = predictions.gold
    assert gold is not None
    size = len(predictions.labels)
    counts = tuple(np.bincount(spans.types, minlength=size)[:size] for spans in (predictions.said, gold))
    evidence = {
        "said": dict(zip(predictions.labels, counts[0].tolist(), strict=True)),
        "true": dict(zip(predictions.labels, counts[1].tolist(), strict=True)),
        "split": predictions.split,
    }
    if not counts[0].sum() and counts[1].sum() >= FEWEST:
        message = f"Collapsed: no span is said on {predictions.split}, where there are {counts[1].sum():,}."
        return Finding("W004", "issue", message, predictions.model, REMEDY, evidence)
    return _never_said(predictions, (counts[0], counts[1]), evidence, f"the spans of {predictions.split}")


def _values(predictions: ValuePredictions) -> Finding:
    assert predictions.gold is not None
    if predictions.purpose == "similarity":
        message = "Only the order of what is said counts here, not its spread."
        return Finding("W004", "not_applicable", message, predictions.model)
    said, true = float(np.std(predictions.said)), float(np.std(predictions.gold))
    evidence = {"spread_said": said, "spread_true": true, "split": predictions.split}
    if len(predictions) >= FEWEST and true > 0 and said < NARROW * true:
        where = f"the numbers said on {predictions.split}"
        message = f"Collapsed: {where} have a spread of {said:.2g}, the true ones of {true:.2g}."
        return Finding("W004", "issue", message, predictions.model, REMEDY.partition(", and")[0] + ".", evidence)
    message = f"The numbers said have a spread of {said:.2g}, the true ones of {true:.2g}."
    return Finding("W004", "passed", message, predictions.model, "", evidence)


def _set_in_words(row: NDArray[np.bool_], labels: tuple[str, ...]) -> str:
    return " and ".join(label for label, has in zip(labels, row, strict=True) if has) or "no label"


WAYS: dict[str, Any] = {"classes": _classes, "spans": _spans, "values": _values}
