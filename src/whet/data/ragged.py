"""Lists of different lengths, one a row, in flat arrays: spans in a text, passages of a query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def positions(rows: NDArray[Any]) -> Ints:
    """Positions from positions or from a mask."""
    rows = np.asarray(rows)
    return np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.int64)


def offsets_of(lengths: Iterable[int]) -> Ints:
    """(n + 1,) where each row begins, and the end, from n lengths."""
    return np.concatenate([[0], np.cumsum(np.fromiter(lengths, dtype=np.int64))]).astype(np.int64)


def members(offsets: Ints, rows: NDArray[Any]) -> tuple[Ints, Ints]:
    """Positions of the flat entries of the chosen rows, in their order, and the new offsets."""
    chosen = positions(rows)
    lengths = np.diff(offsets)[chosen]
    starts = offsets_of(lengths)
    within = np.arange(int(starts[-1])) - np.repeat(starts[:-1], lengths)
    return np.repeat(offsets[:-1][chosen], lengths) + within, starts


def _codes(keys: Ints) -> Ints:
    """(m,) one number for each different row of an (m, columns) table."""
    least, most = keys.min(axis=0, initial=0), keys.max(axis=0, initial=0)
    widths = [int(width) for width in most - least + 1]
    if math.prod(widths) >= 2**62:
        return np.asarray(np.unique(keys, axis=0, return_inverse=True)[1]).ravel()
    codes = np.zeros(len(keys), dtype=np.int64)
    for column, width in enumerate(widths):
        codes = codes * width + keys[:, column] - least[column]
    return codes


@dataclass(frozen=True, slots=True)
class Spans:
    """m spans of n rows.

    - ``offsets`` (n + 1,) int64: the spans of row i are those from ``offsets[i]`` to ``offsets[i + 1]``.
    - ``starts``, ``ends`` (m,) int32: characters of the text, ends exclusive.
    - ``types`` (m,) int32: index into the names that the holder keeps.
    """

    offsets: Ints
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    types: NDArray[np.int32]

    @staticmethod
    def of(rows: Sequence[Sequence[tuple[int, int, int]]]) -> Spans:
        """From (start, end, type) triples of each row."""
        flat = [span for row in rows for span in row]
        table = np.asarray(flat, dtype=np.int32).reshape(len(flat), 3)
        return Spans(offsets_of(len(row) for row in rows), *(np.ascontiguousarray(table[:, part]) for part in range(3)))

    def row(self, number: int) -> list[tuple[int, int, int]]:
        """(start, end, type) of each span of one row."""
        inside = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        columns = (self.starts, self.ends, self.types)
        return [(int(a), int(b), int(c)) for a, b, c in zip(*(column[inside] for column in columns), strict=True)]

    def take(self, rows: NDArray[Any]) -> Spans:
        """The rows at ``rows`` (positions or a mask), in that order."""
        inside, offsets = members(self.offsets, rows)
        return Spans(offsets, self.starts[inside], self.ends[inside], self.types[inside])

    @property
    def rows(self) -> Ints:
        """(m,) the row of each span."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def stand_in(self, others: Spans, *, typed: bool = True) -> NDArray[np.bool_]:
        """(m,) whether the same span, of the same type where ``typed``, stands in the same row of ``others``."""
        codes = _codes(np.concatenate([self._keys(typed), others._keys(typed)]))
        return np.isin(codes[: len(self.starts)], codes[len(self.starts) :])

    def _keys(self, typed: bool) -> Ints:
        return np.stack([self.rows, self.starts, self.ends, self.types * typed], axis=1).astype(np.int64)

    def __len__(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True, slots=True)
class Lists:
    """m entries of n rows: keys (hashes of passages) with a value each, in an order that means something.

    - ``offsets`` (n + 1,) int64: as in :class:`Spans`.
    - ``keys`` (m,) uint64, ``values`` (m,) float32.
    """

    offsets: Ints
    keys: NDArray[np.uint64]
    values: NDArray[np.float32]

    @staticmethod
    def of(rows: Sequence[Sequence[tuple[int, float]]]) -> Lists:
        """From (key, value) pairs of each row."""
        flat = [entry for row in rows for entry in row]
        keys = np.fromiter((int(key) for key, _ in flat), dtype=np.uint64, count=len(flat))
        values = np.fromiter((value for _, value in flat), dtype=np.float32, count=len(flat))
        return Lists(offsets_of(len(row) for row in rows), keys, values)

    def row(self, number: int) -> list[tuple[int, float]]:
        """(key, value) of each entry of one row."""
        inside = slice(int(self.offsets[number]), int(self.offsets[number + 1]))
        return [(int(key), float(value)) for key, value in zip(self.keys[inside], self.values[inside], strict=True)]

    def take(self, rows: NDArray[Any]) -> Lists:
        """The rows at ``rows`` (positions or a mask), in that order."""
        inside, offsets = members(self.offsets, rows)
        return Lists(offsets, self.keys[inside], self.values[inside])

    @property
    def rows(self) -> Ints:
        """(m,) the row of each entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def found_in(self, others: Lists) -> NDArray[np.float32]:
        """(m,) the value that ``others`` give the same key in the same row; 0 where they do not name it."""
        names, codes = np.unique(np.concatenate([self.keys, others.keys]), return_inverse=True)
        whole = np.concatenate([self.rows, others.rows]) * max(1, len(names)) + codes.ravel()
        mine, theirs = whole[: len(self.keys)], whole[len(self.keys) :]
        if not len(theirs):
            return np.zeros(len(mine), dtype=np.float32)
        order = np.argsort(theirs, kind="stable")
        at = np.minimum(np.searchsorted(theirs[order], mine), len(theirs) - 1)
        return np.where(theirs[order][at] == mine, others.values[order][at], np.float32(0))

    def __len__(self) -> int:
        return len(self.offsets) - 1
