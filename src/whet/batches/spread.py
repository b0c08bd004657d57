"""Numbers that follow one another, many runs of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


def spread(starts: Numbers, sizes: Numbers) -> Numbers:
    """``starts[i], starts[i] + 1, ...``, ``sizes[i]`` of them, for each i."""
    ends = np.cumsum(sizes)
    found = np.repeat(starts - (ends - sizes), sizes)
    found += np.arange(len(found))
    return found
