"""Rows in folds, each to be judged by what the others teach: balanced by label, what belongs together on one side."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.splitting import rarest
from whet.seeds import generator


def folds(label_ids: NDArray[Any], keys: NDArray[np.uint64], number: int, seed: int) -> NDArray[np.int64]:
    """(n,) the fold of each row, 0 to ``number`` - 1; the same for the same rows and seed.

    :param label_ids: (n,) int64, or (n, C) bool with several labels; a row then counts for its rarest one.
    :param keys: (n,) rows of equal keys are in one fold.
    """
    strata = rarest(label_ids)
    order = generator(seed, "folds", len(keys)).permutation(len(keys))
    first = np.unique(keys[order], return_index=True)[1]
    units = np.unique(keys, return_inverse=True)[1].ravel()
    sizes = np.bincount(units)
    leading = order[np.sort(first)]  # one row of each unit, in the order drawn
    # large units first, so that small ones can even out; then label by label
    leading = leading[np.lexsort((strata[leading], -sizes[units[leading]]))]
    held = np.zeros((int(strata.max(initial=0)) + 1, number), dtype=np.int64)
    total = np.zeros(number, dtype=np.int64)
    place = np.zeros(len(sizes), dtype=np.int64)
    for row in leading:
        unit, stratum = units[row], strata[row]
        chosen = int(np.lexsort((total, held[stratum]))[0])
        place[unit] = chosen
        held[stratum, chosen] += sizes[unit]
        total[chosen] += sizes[unit]
    return np.asarray(place[units])
