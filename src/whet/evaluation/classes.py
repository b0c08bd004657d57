"""Classes: one label a row, or any number of them.

Choices that a reader must know:

- macro F1 is the mean over the classes that occur in the truth of these rows, so that all models are
  divided by the same number; scikit-learn's default also counts a class that only one model predicts.
- accuracy with several labels is subset accuracy: every label of the row must be right.
- log loss is in nats a row; with several labels the mean over labels of the binary log loss.
- the Brier score sums over classes (0 best, 2 worst); with several labels it is the mean over labels (0 to 1).
- MCC with several labels is taken over all n x C yes-or-no decisions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation import class_points
from whet.evaluation.sums import Floats, Formula, Sums, assembled, dense, macro_f1, mean_of, micro_f1, ratio, tally

if TYPE_CHECKING:
    from whet.data.predictions import ClassPredictions

METRICS = ("accuracy", "macro_f1", "micro_f1", "mcc", "log_loss", "brier")

IMBALANCED = 0.8
"""Share of the largest class beyond which accuracy says little and macro F1 leads."""

SMALLEST = float(np.finfo(np.float32).eps)
"""Probabilities are saved as float32; log loss takes none as smaller than this (about 1.2e-7)."""


def metrics(predictions: ClassPredictions) -> tuple[str, ...]:
    """All of :data:`METRICS`."""
    return METRICS


def primary(predictions: ClassPredictions) -> str:
    """Several labels: micro F1. Single label: accuracy, but macro F1 once the largest class holds more
    than :data:`IMBALANCED` of the rows, where answering it always looks good.
    """
    if predictions.multi_label:
        return "micro_f1"
    gold = truth(predictions)
    return "macro_f1" if np.bincount(gold).max() > IMBALANCED * len(gold) else "accuracy"


def check(predictions: ClassPredictions) -> tuple[str, str] | None:
    """V105: a probability that is no number or not in 0..1."""
    inside = (predictions.scores >= -1e-6) & (predictions.scores <= 1 + 1e-6)  # false for NaN too
    if inside.all():
        return None
    count = int((~inside.all(axis=1)).sum())
    return "V105", f"{count:,} rows hold probabilities that are not numbers in 0..1."


def comparable(first: ClassPredictions, second: ClassPredictions) -> bool:
    """The same labels, in any order; both one label a row or both several."""
    return set(first.labels) == set(second.labels) and first.multi_label == second.multi_label


def aligned(predictions: ClassPredictions, like: ClassPredictions) -> ClassPredictions:
    """The columns in the order of the other's labels, a permutation of its own."""
    return relabelled(predictions, like.labels)


def relabelled(predictions: ClassPredictions, labels: tuple[str, ...]) -> ClassPredictions:
    """The same predictions with the columns in the order of ``labels`` (a permutation of their own)."""
    if predictions.labels == labels:
        return predictions
    columns = np.asarray([predictions.labels.index(label) for label in labels])
    gold = truth(predictions)
    position = np.empty(len(labels), dtype=np.int64)
    position[columns] = np.arange(len(labels))
    return replace(
        predictions,
        labels=labels,
        scores=predictions.scores[:, columns],
        gold=gold[:, columns] if predictions.multi_label else position[gold],
        thresholds=None if predictions.thresholds is None else predictions.thresholds[columns],
    )


def same_truth(first: ClassPredictions, second: ClassPredictions) -> bool:
    """The same labels are true."""
    return np.array_equal(truth(first), truth(second))


def truth(predictions: ClassPredictions) -> NDArray[Any]:
    """The true labels, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def sums(predictions: ClassPredictions, *, soft: bool = True) -> Sums:
    """Rows, right rows, losses, and C each of found, true and said labels.

    :param soft: also log loss and Brier score; without them rows that two models decide alike cancel.
    """
    n, c = predictions.scores.shape
    gold, predicted = truth(predictions), predictions.predicted
    if predictions.multi_label:
        hits, true, said = (gold & predicted).nonzero(), gold.nonzero(), predicted.nonzero()
    else:
        every = np.arange(n)
        hit = gold == predicted
        hits, true, said = (every[hit], gold[hit]), (every, gold), (every, predicted)
    blocks = {"rows": dense(np.ones(n)), "right": dense(predictions.correct)}
    if soft:
        blocks |= {"loss": dense(row_loss(predictions)), "brier": dense(row_brier(predictions))}
    blocks |= {
        "hits": tally(hits[0], hits[1], c),
        "gold": tally(true[0], true[1], c),
        "said": tally(said[0], said[1], c),
    }
    return assembled(n, blocks, FORMULAS | {"mcc": _mcc_of_cells} if predictions.multi_label else FORMULAS)


def row_loss(predictions: ClassPredictions) -> Floats:
    """(n,) negative log likelihood in nats; several labels: the mean over labels of the binary one."""
    p = np.clip(predictions.scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    gold = truth(predictions)
    if predictions.multi_label:
        return np.asarray(-np.log(np.where(gold, p, 1 - p)).mean(axis=1))
    return np.asarray(-np.log(p[np.arange(len(p)), gold]))


def row_brier(predictions: ClassPredictions) -> Floats:
    """(n,) squared distance to the truth; single label: summed over classes (0 to 2), several: mean (0 to 1)."""
    p, gold = predictions.scores.astype(np.float64), truth(predictions)
    if predictions.multi_label:
        return np.asarray(((p - gold) ** 2).mean(axis=1))
    right = p[np.arange(len(p)), gold]
    return np.asarray((p**2).sum(axis=1) - 2 * right + 1)


def _mcc(part: Sums, totals: Floats) -> Floats:
    """Gorodkin's K-category correlation."""
    hits, gold, said = (part.of(name, totals) for name in ("hits", "gold", "said"))
    n = part.one("rows", totals)
    covariance = hits.sum(axis=1) * n - (gold * said).sum(axis=1)
    spread = (n**2 - (gold**2).sum(axis=1)) * (n**2 - (said**2).sum(axis=1))
    return ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def _mcc_of_cells(part: Sums, totals: Floats) -> Floats:
    """The correlation over all n x C yes-or-no decisions."""
    hits, gold, said = (part.of(name, totals) for name in ("hits", "gold", "said"))
    cells = part.one("rows", totals) * gold.shape[1]
    g, p, hit = gold.sum(axis=1), said.sum(axis=1), hits.sum(axis=1)
    right = cells - g - p + 2 * hit
    covariance = right * cells - (g * p + (cells - g) * (cells - p))
    spread = (cells**2 - g**2 - (cells - g) ** 2) * (cells**2 - p**2 - (cells - p) ** 2)
    return ratio(covariance, np.sqrt(np.maximum(spread, 0)))


FORMULAS: dict[str, Formula] = {
    "accuracy": mean_of("right"),
    "macro_f1": macro_f1,
    "micro_f1": micro_f1,
    "mcc": _mcc,
    "log_loss": mean_of("loss"),
    "brier": mean_of("brier"),
}


def points(predictions: ClassPredictions) -> dict[str, float]:
    """Accuracy and F1 by scikit-learn."""
    return class_points.points(predictions)


def population(predictions: ClassPredictions, metric: str) -> NDArray[np.bool_] | None:
    """Every metric speaks of all rows."""
    return None


def decisions(predictions: ClassPredictions) -> tuple[Floats, NDArray[np.bool_], NDArray[np.int64]]:
    """Single label: the answer of each row. Several: each label of each row, with whether it holds."""
    scores = predictions.scores.astype(np.float64)
    rows = np.arange(len(scores))
    if predictions.multi_label:
        return scores.ravel(), truth(predictions).ravel(), np.repeat(rows, scores.shape[1])
    return scores.max(axis=1), predictions.correct, rows


def right(predictions: ClassPredictions, part: str | None = None) -> NDArray[np.bool_]:
    """Whether the row is right; with several labels and a label given, whether this label was found."""
    if part is None or not predictions.multi_label:
        return predictions.correct
    return np.asarray(predictions.predicted[:, predictions.labels.index(part)])


def mistakes(predictions: ClassPredictions, metric: str | None = None) -> Floats:
    """(n,) number of wrong labels; with a single label 0 or 1."""
    wrong = np.atleast_2d((predictions.predicted != truth(predictions)).T)
    return np.asarray(wrong.sum(axis=0), dtype=np.float64)


def slices(predictions: ClassPredictions) -> dict[str, NDArray[np.bool_]]:
    """The rows that truly carry each label."""
    gold = truth(predictions)
    found = {}
    for column, label in enumerate(predictions.labels):
        inside = gold[:, column] if predictions.multi_label else gold == column
        if inside.any():
            found[label] = np.asarray(inside)
    return found


def details(predictions: ClassPredictions) -> dict[str, Any]:
    """Each class by itself, and which is taken for which."""
    return {"per_class": class_points.per_class(predictions), "confusion": class_points.confusion(predictions)}
