"""Which training rows are shown before a question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whet.baselines.tfidf_cosine import Searched


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


def nearest(known: Searched, texts: Sequence[str], number: int, otherwise: Sequence[int]) -> list[tuple[int, ...]]:
    """Of each text the ``number`` rows of ``known`` that share most rare words with it, the nearest last.

    :param otherwise: rows that are shown first where fewer share any.
    """
    return [_nearest(row, number, otherwise) for cosines in known.blocks(texts) for row in cosines]


def _nearest(cosines: NDArray[np.float64], number: int, otherwise: Sequence[int]) -> tuple[int, ...]:
    order = np.argsort(-cosines, kind="stable")[:number]
    near = [int(row) for row in order if cosines[row] > 0]
    rest = [row for row in otherwise if row not in near][: number - len(near)]
    return (*rest, *reversed(near))
