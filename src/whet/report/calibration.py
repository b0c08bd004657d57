"""Probabilities against what came true, before and after the temperature.

A temperature T divides the logits, and the softmax of log p / T is p^(1/T), normalised (arXiv
1706.04599). A run folds it into the model's head, so the saved probabilities are those after it;
the ones before follow exactly, by the temperature 1/T.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whet.data.predictions import ClassPredictions

NUM_BINS = 10
TINY = 1e-12


def tempered(scores: NDArray[Any], temperature: float, multi_label: bool = False) -> NDArray[np.float64]:
    """(n, C) probabilities after the temperature; rows sum to 1, or each label by itself."""
    clipped = np.clip(np.asarray(scores, dtype=np.float64), TINY, 1.0)
    if multi_label:
        clipped = np.minimum(clipped, 1 - 1e-7)
        logits = np.log(clipped) - np.log1p(-clipped)
        return np.asarray(1 / (1 + np.exp(-logits / temperature)))
    logits = np.log(clipped) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def bins(predictions: ClassPredictions, scores: NDArray[Any], num_bins: int = NUM_BINS) -> list[dict[str, float]]:
    """Equal-mass bins of confidence: ``[{low, high, confidence, accuracy, count}]``.

    Single label: the probability of the decision, and whether it is right. Several labels: the
    probability of every label of every row, and whether the row carries it.
    """
    assert predictions.gold is not None
    if predictions.multi_label:
        confidence, right = scores.ravel(), predictions.gold.ravel()
    else:
        confidence, right = scores.max(axis=1), predictions.predicted == predictions.gold
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(num_bins, max(1, len(order))))
    return [
        {
            "low": float(confidence[part].min()),
            "high": float(confidence[part].max()),
            "confidence": float(confidence[part].mean()),
            "accuracy": float(right[part].mean()),
            "count": len(part),
        }
        for part in parts
        if len(part)
    ]


def mean_gap(reliability: list[dict[str, float]]) -> float | None:
    """Mean distance between confidence and accuracy over the bins, weighted by rows."""
    total = sum(one["count"] for one in reliability)
    if not total:
        return None
    return sum(one["count"] * abs(one["confidence"] - one["accuracy"]) for one in reliability) / total
