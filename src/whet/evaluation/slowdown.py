"""How much slower one model is than another, from times taken in turn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.evaluation.intervals import Estimate
from whet.evaluation.shares import LEVEL

FEWEST_ROUNDS = 6
"""Fewer have no interval of 95 %: all of 5 rounds lie on one side of the median once in 16 times."""


def ratio(new: Sequence[float], old: Sequence[float], level: float = LEVEL) -> Estimate:
    """The median over rounds of the time of the new model by that of the old one, and its interval.

    Each round times both, one right behind the other, so that what the machine does beside it falls on both. The
    interval goes from one ordered ratio to another, such that a median lies between them at ``level`` whatever the
    form of the noise (the sign test turned round; Thompson 1936, Ann. Math. Stat. 7:122). One round that was
    disturbed does not widen it where there are nine.

    :param new: seconds of each round, as many as ``old``.
    :raises ValueError: fewer than :data:`FEWEST_ROUNDS` rounds.
    """
    from scipy.stats import binom

    if len(new) < FEWEST_ROUNDS or len(new) != len(old):
        raise ValueError(f"at least {FEWEST_ROUNDS} rounds of both are needed")
    ratios = np.sort(np.asarray(new, dtype=np.float64) / np.asarray(old, dtype=np.float64))
    n = len(ratios)
    beyond = max((k for k in range(n // 2) if 2 * binom.cdf(k, n, 0.5) <= 1 - level), default=0)
    return Estimate(float(np.median(ratios)), float(ratios[beyond]), float(ratios[n - 1 - beyond]))
