"""Point values of the metrics, by scikit-learn where it has them.

Choices that a reader must know:

- macro F1 is the mean over the classes that occur in the truth of these rows, so that all models are
  divided by the same number; scikit-learn's default also counts a class that only one model predicts.
- accuracy with several labels is subset accuracy: every label of the row must be right.
- log loss is in nats a row; with several labels the mean over labels of the binary log loss.
- the Brier score sums over classes (0 best, 2 worst); with several labels it is the mean over labels (0 to 1).
- MCC with several labels is taken over all n x C yes-or-no decisions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.rows import truth
from whet.evaluation.sums import MEASURES, row_brier, row_loss, sums

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

METRICS = ("accuracy", "macro_f1", "micro_f1", "mcc", "log_loss", "brier")
"""Names in the order in which they are shown; ``ece`` stands beside them (see ``calibration``)."""

LOWER_IS_BETTER = frozenset({"log_loss", "brier", "ece"})

IMBALANCED = 0.8
"""Share of the largest class beyond which accuracy says little and macro F1 leads."""


def primary_metric(predictions: Predictions) -> str:
    """The metric that the verdict is about.

    Several labels: micro F1. Single label: accuracy, but macro F1 once the largest class holds more
    than :data:`IMBALANCED` of the rows, where answering it always looks good.
    """
    if predictions.multi_label:
        return "micro_f1"
    gold = truth(predictions)
    return "macro_f1" if np.bincount(gold).max() > IMBALANCED * len(gold) else "accuracy"


def is_proportion(metric: str, *, multi_label: bool) -> bool:
    """Whether the metric is the share of rows that are right (with a single label micro F1 is accuracy)."""
    return metric == "accuracy" or (metric == "micro_f1" and not multi_label)


def metrics(predictions: Predictions) -> dict[str, float]:
    """The value of every name in :data:`METRICS`."""
    from sklearn.metrics import accuracy_score, f1_score

    gold, predicted = _answers(predictions)
    macro, micro = (
        f1_score(gold, predicted, labels=labels, average=average, zero_division=0)
        for average, labels in (("macro", present(predictions)), ("micro", np.arange(len(predictions.labels))))
    )
    part = sums(predictions)
    return {
        "accuracy": float(accuracy_score(gold, predicted)),
        "macro_f1": float(macro),
        "micro_f1": float(micro),
        "mcc": float(MEASURES["mcc"](part, part.total)[0]),  # scikit-learn warns where a single class is left
        "log_loss": float(row_loss(predictions).mean()),
        "brier": float(row_brier(predictions).mean()),
    }


def _answers(predictions: Predictions) -> tuple[NDArray[Any], NDArray[Any]]:
    """Truth and decisions as scikit-learn takes them.

    A single column of yes or no is a task of two classes to it, so one that never holds is set beside.
    """
    gold, predicted = truth(predictions), predictions.predicted
    if predictions.multi_label and gold.shape[1] == 1:
        return np.pad(gold, ((0, 0), (0, 1))), np.pad(predicted, ((0, 0), (0, 1)))
    return gold, predicted


def present(predictions: Predictions) -> NDArray[np.int64]:
    """Indices of the labels that occur in the truth; all labels where none does."""
    gold = truth(predictions)
    counts = gold.sum(axis=0) if predictions.multi_label else np.bincount(gold, minlength=len(predictions.labels))
    found = np.flatnonzero(counts)
    return found if len(found) else np.arange(len(predictions.labels))


def per_class(predictions: Predictions) -> list[dict[str, Any]]:
    """One object a label: label, support, precision, recall, f1, and Wilson's interval of recall.

    A class without rows has recall 0 in the interval 0 to 1: nothing is known.
    """
    from sklearn.metrics import precision_recall_fscore_support

    from whet.evaluation.intervals import wilson

    labels = np.arange(len(predictions.labels))
    columns = precision_recall_fscore_support(*_answers(predictions), labels=labels, average=None, zero_division=0)
    rows = []
    for label, precision, recall, f1, support in zip(predictions.labels, *columns, strict=True):
        low, high = wilson(round(recall * support), int(support))
        row = {"label": label, "support": int(support), "precision": float(precision), "recall": float(recall)}
        rows.append(row | {"f1": float(f1), "low": low, "high": high})
    return rows


def confusion(predictions: Predictions) -> list[list[int]] | None:
    """(C, C) counts, rows = truth, columns = predicted; None with several labels."""
    if predictions.multi_label:
        return None
    c = len(predictions.labels)
    counts = np.bincount(truth(predictions) * c + predictions.predicted, minlength=c * c).reshape(c, c)
    return [[int(count) for count in row] for row in counts]
