"""Hard negatives: texts that lie near an anchor, by the untouched base's vectors, and do not belong to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whet.data.relevance import best_places
from whet.seeds import generator
from whet.tasks.task import Embed

MARGIN = 0.05
"""A text whose cosine with the anchor comes nearer to the positive's than this may well belong too: it is skipped."""
MOST_CANDIDATES = 50_000
"""Of more texts so many are drawn, so that time does not grow with the square of the rows."""
ANCHORS_AT_ONCE = 256


def mine(
    anchors: Sequence[str],
    positives: Sequence[str],
    embed: Embed,
    number: int,
    seed: int,
) -> list[list[str]]:
    """For each of n rows the ``number`` nearest texts that are not its own, nearest first; fewer where there are none.

    Candidates are all different ``positives``. Left out are those that belong to the anchor in any row, the
    anchor's own text, and those nearer than the row's positive less :data:`MARGIN`.

    :param embed: texts to (n, H) unit vectors.
    """
    texts = list(dict.fromkeys([*anchors, *positives]))
    place = {text: number for number, text in enumerate(texts)}
    vectors = embed(texts)
    first = np.asarray([place[text] for text in anchors], dtype=np.int64)
    second = np.asarray([place[text] for text in positives], dtype=np.int64)
    candidates = np.unique(second)
    if len(candidates) > MOST_CANDIDATES:
        drawn = generator(seed, "hard negatives").choice(len(candidates), MOST_CANDIDATES, replace=False)
        candidates = candidates[np.sort(drawn)]
    own = _belonging(first, second)
    found: list[list[str]] = []
    for start in range(0, len(first), ANCHORS_AT_ONCE):
        rows = slice(start, start + ANCHORS_AT_ONCE)
        near = vectors[first[rows]] @ vectors[candidates].T
        most = np.sum(vectors[first[rows]] * vectors[second[rows]], axis=1) - MARGIN
        for line, limit, anchor in zip(near, most, first[rows].tolist(), strict=True):
            line[line > limit] = -np.inf
            line[_places(candidates, own[anchor])] = -np.inf
            found.append([texts[candidates[one]] for one in best_places(line, number) if np.isfinite(line[one])])
    return found


def _places(candidates: NDArray[np.int64], wanted: list[int]) -> NDArray[np.int64]:
    """Where those of ``wanted`` that are among the candidates (ascending) stand."""
    places = np.minimum(np.searchsorted(candidates, wanted), len(candidates) - 1)
    return np.asarray(places[candidates[places] == wanted])


def _belonging(first: NDArray[np.int64], second: NDArray[np.int64]) -> dict[int, list[int]]:
    """Anchor -> the texts that belong to it, itself among them."""
    found: dict[int, list[int]] = {anchor: [anchor] for anchor in first.tolist()}
    for anchor, positive in zip(first.tolist(), second.tolist(), strict=True):
        found[anchor].append(positive)
        if positive in found:
            found[positive].append(anchor)
    return found
