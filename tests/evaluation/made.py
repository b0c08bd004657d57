"""ClassPredictions made on the spot."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whet.data.predictions import ClassPredictions

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def single(
    gold: Sequence[int] | NDArray[np.int64],
    predicted: Sequence[int] | NDArray[np.int64],
    *,
    num_labels: int | None = None,
    model: str = "full",
    split: str = "test",
    sure: float = 0.8,
) -> ClassPredictions:
    """Answers given one by one, each with the probability ``sure``."""
    gold, predicted = np.asarray(gold, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    c = num_labels or int(max(gold.max(initial=0), predicted.max(initial=0))) + 1
    c = max(c, 2)
    n = len(gold)
    scores = np.full((n, c), (1 - sure) / (c - 1), dtype=np.float32)
    scores[np.arange(n), predicted] = sure
    return ClassPredictions(model, split, np.arange(n), _hashes(n), tuple(LETTERS[:c]), gold, scores)


def several(
    gold: NDArray[np.bool_], scores: NDArray[np.floating], *, model: str = "full", split: str = "test", cut: float = 0.5
) -> ClassPredictions:
    """Several labels a row, one threshold."""
    n, c = gold.shape
    thresholds = np.full(c, cut, dtype=np.float32)
    labels = tuple(LETTERS[:c])
    return ClassPredictions(model, split, np.arange(n), _hashes(n), labels, gold, scores.astype(np.float32), thresholds)


def with_right(right: NDArray[np.bool_], *, model: str, num_labels: int = 2, seed: int = 0) -> ClassPredictions:
    """A single-label model that is right exactly where told."""
    n = len(right)
    gold = np.random.default_rng(seed).integers(0, num_labels, n)
    return single(gold, np.where(right, gold, (gold + 1) % num_labels), num_labels=num_labels, model=model)


def pair(n: int, both: int, won: int, lost: int) -> tuple[ClassPredictions, ClassPredictions]:
    """Two models with the given 2 x 2 table: both right, only the first, only the second, else none."""
    rows = np.arange(n)
    first = rows < both + won
    second = (rows < both) | ((rows >= both + won) & (rows < both + won + lost))
    return with_right(first, model="full"), with_right(second, model="tfidf_linear")


def softmaxed(
    rng: np.random.Generator, n: int, num_labels: int, temperature: float, *, model: str = "full", split: str = "test"
) -> ClassPredictions:
    """Truth drawn from the softmax of random logits; saved are the logits sharpened by ``temperature``."""
    logits = rng.normal(size=(n, num_labels)) * 2.5

    def softmax(values: NDArray[np.float64]) -> NDArray[np.float64]:
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    gold = (softmax(logits).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    scores = softmax(logits * temperature).astype(np.float32)
    return ClassPredictions(model, split, np.arange(n), _hashes(n), tuple(LETTERS[:num_labels]), gold, scores)


def shuffled(predictions: ClassPredictions, order: NDArray[np.int64]) -> ClassPredictions:
    """The same rows in another order of the file."""
    return predictions.take(order)


def _hashes(n: int) -> NDArray[np.uint64]:
    return np.arange(n, dtype=np.uint64) * np.uint64(11400714819323198485)
