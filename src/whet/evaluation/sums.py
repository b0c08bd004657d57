"""Every metric as a function of sums over rows, so that ten thousand resamples cost a second.

Each row contributes a short sparse vector (is it right, its loss, which class it is and was called);
a data set is the sum of its rows, a resample a weighted sum, a swap of two models' answers a
difference of two rows. One sparse product gives the sums of all resamples at once, and each metric is
computed from sums in one vectorised line. Grouped rows are summed per group first. What a row
contributes is said by the file of its kind (``classes``, ``spans``, ``answers``, ``values``, ``ranks``, ``texts``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_BLOCKS = 10_000
"""Beyond so many rows, rows are drawn in equal random blocks: same expectation, bounded time."""

CELLS_AT_ONCE = 4_000_000
"""How many numbers one dense piece of work may hold (32 MB)."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some columns of the contributions, as the cells that are not 0: ``values`` at ``rows``, ``columns``."""

    width: int
    values: Floats
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


def dense(values: NDArray[Any]) -> Block:
    """One column, (n,) numbers, one a row."""
    n = len(values)
    return Block(1, np.asarray(values, dtype=np.float64), np.arange(n), np.zeros(n, dtype=np.int64))


def columns_of(values: NDArray[Any]) -> Block:
    """(n, k) numbers, k columns."""
    rows, columns = np.nonzero(values)
    return Block(values.shape[1], np.asarray(values[rows, columns], dtype=np.float64), rows, columns)


def tally(rows: NDArray[Any], columns: NDArray[Any] | None = None, width: int = 1) -> Block:
    """``width`` columns that count: 1 for each pair of ``rows`` and ``columns`` (the only one by default)."""
    columns = np.zeros(len(rows), dtype=np.int64) if columns is None else columns
    return Block(width, np.ones(len(rows)), rows, columns)


@dataclass(frozen=True, slots=True)
class Sums:
    """Per-row contributions of one model, (n rows or groups, K columns), sparse.

    ``places`` names the columns, ``formulas`` the metrics: functions of this object and (R, K) totals.
    """

    matrix: Any
    places: Mapping[str, slice]
    formulas: Mapping[str, Formula]

    def __len__(self) -> int:
        return int(self.matrix.shape[0])

    @property
    def total(self) -> Floats:
        """(1, K) sums over everything."""
        return np.asarray(self.matrix.sum(axis=0), dtype=np.float64).reshape(1, -1)

    def of(self, name: str, totals: Floats) -> Floats:
        """(R, K) totals to (R, width) of one block."""
        return totals[:, self.places[name]]

    def one(self, name: str, totals: Floats) -> Floats:
        """(R, K) totals to (R,) of a block of one column."""
        return totals[:, self.places[name].start]

    def metrics(self, names: Sequence[str], totals: Floats) -> dict[str, Floats]:
        """(R, K) totals to (R,) values of each named metric."""
        return {name: self.formulas[name](self, totals) for name in names}

    def only(self, names: Sequence[str]) -> Sums:
        """The same with the blocks ``names`` alone, in that order; metrics of other blocks are lost."""
        if names == list(self.places):
            return self
        columns = [np.arange(self.places[name].start, self.places[name].stop) for name in names]
        ends = np.cumsum([0, *map(len, columns)]).tolist()
        places = {name: slice(*some) for name, some in zip(names, pairwise(ends), strict=True)}
        return replace(self, matrix=self.matrix[:, np.concatenate(columns)], places=places)

    def grouped(self, groups: NDArray[Any]) -> Sums:
        """Summed per group: (n,) names of groups to a matrix of one row a group."""
        from scipy import sparse

        names, index = np.unique(groups, return_inverse=True)
        n = len(index)
        gather = sparse.csr_matrix((np.ones(n), (index.ravel(), np.arange(n))), shape=(len(names), n))
        return replace(self, matrix=(gather @ self.matrix).tocsr())


Formula = Callable[[Sums, Floats], Floats]


def laid_alike(first: Sums, second: Sums) -> tuple[Sums, Sums]:
    """Both with the blocks that both have, in one order, so that rows of the two can be exchanged."""
    names = [name for name in first.places if name in second.places]
    return first.only(names), second.only(names)


def assembled(num_rows: int, blocks: Mapping[str, Block], formulas: Mapping[str, Formula]) -> Sums:
    """The blocks side by side, in the given order."""
    from scipy import sparse

    places, width = {}, 0
    for name, block in blocks.items():
        places[name] = slice(width, width + block.width)
        width += block.width
    values = np.concatenate([block.values for block in blocks.values()])
    rows = np.concatenate([block.rows for block in blocks.values()])
    columns = np.concatenate([block.columns + places[name].start for name, block in blocks.items()])
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=(num_rows, width))
    return Sums(matrix, places, formulas)


def with_bins(
    part: Sums, confidence: Floats, right: NDArray[Any], row: NDArray[np.int64], bins: NDArray[np.int64]
) -> Sums:
    """The same sums and what ECE needs: the gap of each calibration bin, and how many decisions there are.

    :param confidence: (k,) stated probability of each decision; ``right`` (k,) whether it holds; ``row``
        (k,) the row it belongs to; ``bins`` (k,) its bin.
    """
    from scipy import sparse

    gaps = Block(int(bins.max()) + 1, confidence - right, row, bins)
    more = assembled(len(part), {"decisions": tally(row), "gaps": gaps}, {})
    shift = part.matrix.shape[1]
    places = {name: slice(place.start + shift, place.stop + shift) for name, place in more.places.items()}
    matrix = sparse.hstack([part.matrix, more.matrix], format="csr")
    return Sums(matrix, {**part.places, **places}, {**part.formulas, "ece": _ece})


def _ece(part: Sums, totals: Floats) -> Floats:
    return ratio(np.abs(part.of("gaps", totals)).sum(axis=1), part.one("decisions", totals))


def ratio(above: Floats, below: Floats) -> Floats:
    """``above / below`` with 0 where there is nothing below, as scikit-learn's ``zero_division=0``."""
    return np.divide(above, below, out=np.zeros(np.broadcast(above, below).shape), where=below > 0)


def mean_of(name: str, over: str = "rows") -> Formula:
    """One column's sum over another's."""
    return lambda part, totals: ratio(part.one(name, totals), part.one(over, totals))


def macro_f1(part: Sums, totals: Floats) -> Floats:
    """F1 of each class or type that occurs in the truth, averaged; from blocks hits, gold and said."""
    hits, gold, said = (part.of(name, totals) for name in ("hits", "gold", "said"))
    f1 = ratio(2 * hits, gold + said)
    present = gold > 0
    return ratio((f1 * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


def micro_f1(part: Sums, totals: Floats) -> Floats:
    """F1 over all classes or types together; from blocks hits, gold and said."""
    hits, gold, said = (part.of(name, totals).sum(axis=1) for name in ("hits", "gold", "said"))
    return ratio(2 * hits, gold + said)


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
