"""Which training rows are shown before a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.tfidf_cosine import Tfidf

CELLS_AT_ONCE = 4_000_000
"""Cosines held at once (32 MB)."""


def drawn(keys: Sequence[tuple[int, ...]], number: int, random: np.random.Generator) -> tuple[int, ...]:
    """``number`` rows at random, or all where there are fewer, spread over what they are examples of, in random order.

    Rows are taken one by one, each from those of the key that is shown least so far; rows without a key are of one
    more.
    """
    rank = random.permutation(len(keys))
    rows_of: dict[int, list[int]] = {}
    for row in np.argsort(rank):
        for key in keys[row] or (-1,):
            rows_of.setdefault(key, []).append(int(row))
    waiting = {key: iter(rows) for key, rows in rows_of.items()}
    shown = dict.fromkeys(sorted(rows_of), 0)
    order = {key: place for place, key in enumerate(random.permutation(list(shown)).tolist())}
    taken: list[int] = []
    used: set[int] = set()
    while len(taken) < number and shown:
        key = min(shown, key=lambda one: (shown[one], order[one]))
        row = next((one for one in waiting[key] if one not in used), None)
        if row is None:
            del shown[key]
            continue
        taken.append(row)
        used.add(row)
        for one in keys[row] or (-1,):
            if one in shown:
                shown[one] += 1
    return tuple(int(row) for row in random.permutation(taken)) if taken else ()


@dataclass(frozen=True, slots=True)
class Near:
    """N training texts by their words: ``table`` sparse (V, N)."""

    words: Tfidf
    table: Any

    @staticmethod
    def of(texts: Sequence[str]) -> Near:
        """Count the words of ``texts``."""
        words = Tfidf.of(texts)
        return Near(words, words.rows(texts).T.tocsr())

    def rows(self, texts: Sequence[str], number: int, otherwise: Sequence[int]) -> list[tuple[int, ...]]:
        """Of each text the ``number`` training rows that share most rare words with it, the nearest last.

        :param otherwise: rows that are shown first where fewer share any.
        """
        size = self.table.shape[1]
        step = max(1, CELLS_AT_ONCE // max(1, size))
        found: list[tuple[int, ...]] = []
        for start in range(0, len(texts), step):
            cosines = np.asarray((self.words.rows(texts[start : start + step]) @ self.table).toarray())
            found += [_nearest(row, number, otherwise) for row in cosines]
        return found


def _nearest(cosines: NDArray[np.float64], number: int, otherwise: Sequence[int]) -> tuple[int, ...]:
    order = np.argsort(-cosines, kind="stable")[:number]
    near = [int(row) for row in order if cosines[row] > 0]
    rest = [row for row in otherwise if row not in near][: number - len(near)]
    return (*rest, *reversed(near))
