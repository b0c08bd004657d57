"""Intervals of shares: Wilson for one, Tango for the difference of two that are paired.

Why accuracy is not bootstrapped: a bootstrap of 30 rows that are all right, or of two models that never
disagree, has width zero and claims to know. Wilson's and Tango's score intervals do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95


def z_of(level: float) -> float:
    """The two-sided normal quantile: 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def student_over_normal(num_groups: int, level: float) -> float:
    """By how much Student's quantile with one degree of freedom less than groups is beyond the normal one."""
    from scipy.special import stdtrit

    return float(stdtrit(max(2, num_groups) - 1, 0.5 + level / 2)) / z_of(level)


def wilson(successes: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); (0, 1) without rows.

    With no success its upper end is about 3.8/n, the two-sided form of the rule of three.
    """
    if n == 0:
        return 0.0, 1.0
    z2, share = z_of(level) ** 2, successes / n
    centre = share + z2 / (2 * n)
    half = np.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n * n)))
    low, high = (centre - half) / (1 + z2 / n), (centre + half) / (1 + z2 / n)
    return (0.0 if successes == 0 else float(low)), (1.0 if successes == n else float(high))


def effective_rows(influence: NDArray[Any], groups: NDArray[Any] | None) -> float:
    """How many independent rows tell as much as these, which come in groups.

    The number of rows over the design effect: the variance of the sums over groups against that of as
    many single rows (Kish 1965, Survey Sampling). Never more than the rows there are, and where no
    variance can be seen (all rows alike, one group) as few as there are groups.

    :param influence: (n,) what each row adds to a number; for a share, whether the row is right.
    :param groups: (n,) the group of each row; None where each stands alone.
    """
    n = len(influence)
    if groups is None or n == 0:
        return float(n)
    index = np.unique(groups, return_inverse=True)[1].ravel()
    m = int(index.max()) + 1
    gaps = np.asarray(influence, dtype=np.float64) - np.mean(influence)
    single = float((gaps**2).sum())
    together = float((np.bincount(index, weights=gaps) ** 2).sum()) * m / max(1, m - 1)
    if m == 1 or together <= 1e-18 or single <= 1e-18:
        return float(m)
    return min(float(n), n * single / together)


def share_interval(right: NDArray[Any], groups: NDArray[Any] | None, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of the mean of ``right``.

    Where rows come in groups, for their :func:`effective_rows`, fewer again by what Student's quantile
    asks for (Korn and Graubard 1998, Surv. Methodol. 24:193).
    """
    if groups is None or not len(right):
        return wilson(float(np.sum(right)), len(right), level)
    effective = effective_rows(right, groups) / student_over_normal(len(np.unique(groups)), level) ** 2
    return wilson(float(np.mean(right)) * effective, effective, level)


def floor(n: float, level: float = LEVEL) -> float:
    """How far n rows without any exception leave a share open: z^2 / (n + z^2), as Wilson's and Tango's ends."""
    z2 = z_of(level) ** 2
    return z2 / (n + z2)


def tango(won: int, lost: int, n: int, level: float = LEVEL) -> tuple[float, float]:
    """Score interval of the difference of two paired shares, (won - lost) / n (Tango 1998, Stat. Med. 17:891).

    The ends are the differences at which the score statistic, with the nuisance share at its
    constrained maximum likelihood, equals the normal quantile. At difference 0 the statistic is
    McNemar's (won - lost) / sqrt(won + lost).
    """
    z = z_of(level)

    def score(delta: float) -> float:
        b = -won - lost + (2 * n - won + lost) * delta
        c = -lost * delta * (1 - delta)
        share = (np.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * share + delta * (1 - delta))
        gap = won - lost - n * delta
        return float(gap / np.sqrt(variance)) if variance > 1e-300 else float(np.copysign(np.inf, gap) if gap else 0.0)

    observed = (won - lost) / n
    return _crossing(score, z, -1.0, observed), _crossing(score, -z, observed, 1.0)


def _crossing(score: Callable[[float], float], target: float, low: float, high: float) -> float:
    """Where a falling function meets ``target`` between ``low`` and ``high``, by halving."""
    for _ in range(60):
        middle = (low + high) / 2
        if score(middle) > target:
            low = middle
        else:
            high = middle
    return (low + high) / 2
