"""Every metric as a function of sums over rows, so that ten thousand resamples cost a second.

Each row contributes a short sparse vector (is it right, its loss, which class it is and was called);
a data set is the sum of its rows, a resample a weighted sum, a swap of two models' answers a
difference of two rows. One sparse product gives the sums of all resamples at once, and each metric is
computed from sums in one vectorised line. Grouped rows are summed per group first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.rows import truth

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

Floats = NDArray[np.float64]

ROWS, RIGHT, LOSS, BRIER, FIXED = 0, 1, 2, 3, 4
"""The first columns: number of rows, wholly right rows, summed log loss, summed Brier score."""

SMALLEST = float(np.finfo(np.float32).eps)
"""Probabilities are saved as float32; log loss takes none as smaller than this (about 1.2e-7)."""

MOST_BLOCKS = 10_000
"""Beyond so many rows, rows are drawn in equal random blocks: same expectation, bounded time."""

CELLS_AT_ONCE = 4_000_000
"""How many numbers one dense piece of work may hold (32 MB)."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Per-row contributions of one model, (n rows or groups, K columns), sparse.

    Columns: the :data:`FIXED` ones, then C each of true positives, true labels and predicted labels,
    then one a calibration bin (summed confidence minus summed truth).
    """

    matrix: Any
    num_labels: int
    num_bins: int
    multi_label: bool

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def total(self) -> Floats:
        """(1, K) sums over everything."""
        return np.asarray(self.matrix.sum(axis=0), dtype=np.float64).reshape(1, -1)

    def metrics(self, names: Sequence[str], totals: Floats) -> dict[str, Floats]:
        """(R, K) totals to (R,) values of each named metric."""
        return {name: MEASURES[name](self, totals) for name in names}

    def classes(self, totals: Floats) -> tuple[Floats, Floats, Floats]:
        """(R, C) true positives, true counts and predicted counts."""
        c = self.num_labels
        return (
            totals[:, FIXED : FIXED + c],
            totals[:, FIXED + c : FIXED + 2 * c],
            totals[:, FIXED + 2 * c : FIXED + 3 * c],
        )

    def grouped(self, groups: NDArray[Any]) -> Sums:
        """Summed per group: (n,) names of groups to a matrix of one row a group."""
        from scipy import sparse

        names, index = np.unique(groups, return_inverse=True)
        n = len(index)
        gather = sparse.csr_matrix((np.ones(n), (index.ravel(), np.arange(n))), shape=(len(names), n))
        return Sums((gather @ self.matrix).tocsr(), self.num_labels, self.num_bins, self.multi_label)


def sums(predictions: Predictions, *, soft: bool = True, bins: NDArray[np.int64] | None = None) -> Sums:
    """The per-row contributions of a model.

    :param soft: also log loss and Brier score; without them rows that two models decide alike cancel.
    :param bins: calibration bin of each decision: (n,) single label, (n, C) several labels.
    """
    from scipy import sparse

    n, c = predictions.scores.shape
    gold, predicted = truth(predictions), predictions.predicted
    pieces = [_column(np.ones(n), ROWS), _column(predictions.correct.astype(np.float64), RIGHT)]
    if soft:
        pieces += [_column(row_loss(predictions), LOSS), _column(row_brier(predictions), BRIER)]
    if predictions.multi_label:
        gold_at, predicted_at = gold.nonzero(), predicted.nonzero()
        hit_at = (gold & predicted).nonzero()
    else:
        every = np.arange(n)
        gold_at, predicted_at = (every, gold), (every, predicted)
        hit_at = (every[gold == predicted], gold[gold == predicted])
    for place, (rows, columns) in enumerate((hit_at, gold_at, predicted_at)):
        pieces.append((np.ones(len(rows)), rows, columns + FIXED + place * c))
    num_bins = 0
    if bins is not None:
        num_bins = int(bins.max()) + 1
        gap = confidence(predictions) - decisions(predictions)
        rows = np.arange(n) if gap.ndim == 1 else np.repeat(np.arange(n), c)
        pieces.append((gap.ravel(), rows, bins.ravel() + FIXED + 3 * c))
    values, rows, columns = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    shape = (n, FIXED + 3 * c + num_bins)
    return Sums(sparse.csr_matrix((values, (rows, columns)), shape=shape), c, num_bins, predictions.multi_label)


def _column(values: Floats, column: int) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    return values, np.arange(len(values)), np.full(len(values), column)


def confidence(predictions: Predictions) -> Floats:
    """Single label: (n,) probability of the answer. Several labels: (n, C) probability of each label."""
    scores = predictions.scores.astype(np.float64)
    return scores if predictions.multi_label else scores.max(axis=1)


def decisions(predictions: Predictions) -> Floats:
    """What :func:`confidence` should be near on average: 1 where right (or where the label holds), else 0."""
    return np.asarray(truth(predictions) if predictions.multi_label else predictions.correct, dtype=np.float64)


def row_loss(predictions: Predictions) -> Floats:
    """(n,) negative log likelihood in nats; several labels: the mean over labels of the binary one."""
    p = np.clip(predictions.scores.astype(np.float64), SMALLEST, 1 - SMALLEST)
    gold = truth(predictions)
    if predictions.multi_label:
        return np.asarray(-np.log(np.where(gold, p, 1 - p)).mean(axis=1))
    return np.asarray(-np.log(p[np.arange(len(p)), gold]))


def row_brier(predictions: Predictions) -> Floats:
    """(n,) squared distance to the truth; single label: summed over classes (0 to 2), several: mean (0 to 1)."""
    p, gold = predictions.scores.astype(np.float64), truth(predictions)
    if predictions.multi_label:
        return np.asarray(((p - gold) ** 2).mean(axis=1))
    right = p[np.arange(len(p)), gold]
    return np.asarray((p**2).sum(axis=1) - 2 * right + 1)


def _ratio(above: Floats, below: Floats) -> Floats:
    """``above / below`` with 0 where there is nothing below, as scikit-learn's ``zero_division=0``."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)


def _mean_of(column: int) -> Callable[[Sums, Floats], Floats]:
    return lambda _, totals: _ratio(totals[:, column], totals[:, ROWS])


def _macro_f1(sums: Sums, totals: Floats) -> Floats:
    hits, gold, predicted = sums.classes(totals)
    f1 = _ratio(2 * hits, gold + predicted)
    present = gold > 0
    return _ratio((f1 * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


def _micro_f1(sums: Sums, totals: Floats) -> Floats:
    hits, gold, predicted = (part.sum(axis=1) for part in sums.classes(totals))
    return _ratio(2 * hits, gold + predicted)


def _mcc(sums: Sums, totals: Floats) -> Floats:
    """Gorodkin's K-category correlation; several labels: over all n x C yes-or-no decisions."""
    hits, gold, predicted = sums.classes(totals)
    n = totals[:, ROWS]
    if sums.multi_label:
        cells = n * sums.num_labels
        g, p, hit = gold.sum(axis=1), predicted.sum(axis=1), hits.sum(axis=1)
        right = cells - g - p + 2 * hit
        covariance = right * cells - (g * p + (cells - g) * (cells - p))
        spread = (cells**2 - g**2 - (cells - g) ** 2) * (cells**2 - p**2 - (cells - p) ** 2)
    else:
        covariance = hits.sum(axis=1) * n - (gold * predicted).sum(axis=1)
        spread = (n**2 - (gold**2).sum(axis=1)) * (n**2 - (predicted**2).sum(axis=1))
    return _ratio(covariance, np.sqrt(np.maximum(spread, 0)))


def _ece(sums: Sums, totals: Floats) -> Floats:
    first = FIXED + 3 * sums.num_labels
    gaps = np.abs(totals[:, first : first + sums.num_bins]).sum(axis=1)
    return _ratio(gaps, totals[:, ROWS] * (sums.num_labels if sums.multi_label else 1))


MEASURES: dict[str, Callable[[Sums, Floats], Floats]] = {
    "accuracy": _mean_of(RIGHT),
    "macro_f1": _macro_f1,
    "micro_f1": _micro_f1,
    "mcc": _mcc,
    "log_loss": _mean_of(LOSS),
    "brier": _mean_of(BRIER),
    "ece": _ece,
}


def blocks(num_rows: int, groups: NDArray[Any] | None, rng: np.random.Generator) -> NDArray[Any] | None:
    """What is drawn as one: the given groups; random equal blocks of a very long list; else None, single rows.

    Random blocks of independent rows are independent themselves, so the spread of their sums estimates
    the same variance with :data:`MOST_BLOCKS` degrees of freedom.
    """
    if groups is not None or num_rows <= MOST_BLOCKS:
        return groups
    return np.asarray(rng.permutation(num_rows) % MOST_BLOCKS)


def resampled(parts: Sequence[Sums], num_resamples: int, rng: np.random.Generator) -> Iterator[list[Floats]]:
    """Draw rows n of n with replacement, the same rows for all ``parts``; yield (r, K) totals of each part."""
    n = len(parts[0])
    transposed = [part.matrix.T.tocsr() for part in parts]
    widest = max(n, *(part.matrix.shape[1] for part in parts))
    for r in _pieces(num_resamples, widest):
        drawn = rng.integers(0, n, size=(r, n), dtype=np.int64)
        drawn = drawn * r + np.arange(r)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=n * r).reshape(n, r).astype(np.float64)
        yield [np.ascontiguousarray((matrix @ weights).T) for matrix in transposed]


def swapped(first: Sums, second: Sums, num_rounds: int, rng: np.random.Generator) -> Iterator[tuple[Floats, Floats]]:
    """Swap the two models' answers row by row with probability one half; yield both (r, K) totals.

    Rows on which the two contribute alike need no coin.
    """
    change = (second.matrix - first.matrix).tocsr()
    change.eliminate_zeros()
    change = change[np.flatnonzero(np.diff(change.indptr))]
    n, k = change.shape
    transposed = change.T.tocsr()
    for r in _pieces(num_rounds, max(n, k)):
        coins = rng.integers(0, 2, size=(n, r), dtype=np.int8).astype(np.float64)
        moved = np.ascontiguousarray((transposed @ coins).T)
        yield first.total + moved, second.total - moved


def leave_one_out(part: Sums, names: Sequence[str]) -> dict[str, Floats]:
    """(n,) value of each metric when one row (or group) is left out: the jackknife."""
    total, n = part.total, len(part)
    step = max(1, CELLS_AT_ONCE // part.matrix.shape[1])
    pieces = [part.metrics(names, total - part.matrix[start : start + step].toarray()) for start in range(0, n, step)]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in names}


def _pieces(count: int, width: int) -> Iterator[int]:
    """``count`` cut into pieces such that a piece times ``width`` stays within :data:`CELLS_AT_ONCE`."""
    step = max(1, CELLS_AT_ONCE // max(1, width))
    for start in range(0, count, step):
        yield min(step, count - start)
