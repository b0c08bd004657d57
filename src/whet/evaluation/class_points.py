"""Classes by scikit-learn: point values of the metrics, each class by itself, the confusion matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.shares import share_interval

if TYPE_CHECKING:
    from whet.data.predictions import ClassPredictions


def points(predictions: ClassPredictions) -> dict[str, float]:
    """Accuracy, macro F1 over the classes that occur, micro F1."""
    from sklearn.metrics import accuracy_score, f1_score

    gold, predicted = _answers(predictions)
    macro, micro = (
        f1_score(gold, predicted, labels=labels, average=average, zero_division=0)
        for average, labels in (("macro", present(predictions)), ("micro", np.arange(len(predictions.labels))))
    )
    return {"accuracy": float(accuracy_score(gold, predicted)), "macro_f1": float(macro), "micro_f1": float(micro)}


def _answers(predictions: ClassPredictions) -> tuple[NDArray[Any], NDArray[Any]]:
    """Truth and decisions as scikit-learn takes them.

    A single column of yes or no is a task of two classes to it, so one that never holds is set beside.
    """
    gold, predicted = np.asarray(predictions.gold), predictions.predicted
    if predictions.multi_label and gold.shape[1] == 1:
        return np.pad(gold, ((0, 0), (0, 1))), np.pad(predicted, ((0, 0), (0, 1)))
    return gold, predicted


def present(predictions: ClassPredictions) -> NDArray[np.int64]:
    """Indices of the labels that occur in the truth; all labels where none does."""
    gold = np.asarray(predictions.gold)
    counts = gold.sum(axis=0) if predictions.multi_label else np.bincount(gold, minlength=len(predictions.labels))
    found = np.flatnonzero(counts)
    return found if len(found) else np.arange(len(predictions.labels))


def per_class(predictions: ClassPredictions) -> list[dict[str, Any]]:
    """One object a label: label, support, precision, recall, f1, and the interval of recall.

    A class without rows has recall 0 in the interval 0 to 1: nothing is known.
    """
    from sklearn.metrics import precision_recall_fscore_support

    labels = np.arange(len(predictions.labels))
    columns = precision_recall_fscore_support(*_answers(predictions), labels=labels, average=None, zero_division=0)
    gold, predicted = np.asarray(predictions.gold), predictions.predicted
    rows = []
    for number, precision, recall, f1, support in zip(labels, *columns, strict=True):
        inside = gold[:, number] if predictions.multi_label else gold == number
        found = (predicted[:, number] if predictions.multi_label else predicted == number)[inside]
        low, high = share_interval(found, None if predictions.groups is None else predictions.groups[inside])
        row = {"label": predictions.labels[number], "support": int(support)}
        row |= {"precision": float(precision), "recall": float(recall), "f1": float(f1), "low": low, "high": high}
        rows.append(row)
    return rows


def confusion(predictions: ClassPredictions) -> list[list[int]] | None:
    """(C, C) counts, rows = truth, columns = predicted; None with several labels."""
    if predictions.multi_label:
        return None
    c = len(predictions.labels)
    counts = np.bincount(np.asarray(predictions.gold) * c + predictions.predicted, minlength=c * c).reshape(c, c)
    return [[int(count) for count in row] for row in counts]
