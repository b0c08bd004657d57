"""What a test set can show: the smallest difference it detects, and the rows that would decide.

For accuracy the test is McNemar's exact one, so its power is computed exactly up to
:data:`EXACT_UP_TO` rows, and by the formula of Miettinen (1968, Biometrics 24:339) and Connett, Smith
and McHugh (1987, Stat. Med. 6:53) beyond, where the two agree:

    n = (z_a * sqrt(s) + z_b * sqrt(s - d^2))^2 / d^2

with d the difference of the accuracies, s the share of discordant rows, z_a the two-sided normal
quantile of the level and z_b that of the power. For any other metric the normal form with the
bootstrap's standard error: smallest difference = (z_a + z_b) * error (arXiv 2411.00640).
A thousand paired rows see about 3 points (arXiv 2010.06595).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

POWER = 0.8
ALPHA = 0.05
EXACT_UP_TO = 100_000


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    from scipy.special import ndtri

    return float(ndtri(1 - alpha / 2)), float(ndtri(power))


def power_of_mcnemar(num_rows: int, discordance: float, difference: float, alpha: float = ALPHA) -> float:
    """The probability that McNemar's exact test rejects.

    Sums over the number m of discordant rows, binomial in ``num_rows`` and ``discordance``, the
    probability that the m coins, each for the better model with (1 + difference / discordance) / 2,
    fall outside the two-sided exact region.

    :param discordance: share of rows on which exactly one model is right, at least ``|difference|``.
    """
    from scipy.stats import binom

    discordance = max(discordance, abs(difference))
    if discordance == 0:
        return 0.0
    low, high = binom.ppf([1e-9, 1 - 1e-9], num_rows, discordance)
    m = np.arange(int(low), int(high) + 1)
    edge = binom.ppf(alpha / 2, m, 0.5)
    edge = np.where(2 * binom.cdf(edge, m, 0.5) <= alpha, edge, edge - 1)  # largest count that rejects; -1: none
    better = (1 + abs(difference) / discordance) / 2
    rejects = binom.cdf(edge, m, better) + binom.cdf(edge, m, 1 - better)
    return float((binom.pmf(m, num_rows, discordance) * rejects).sum())


def minimum_detectable_effect(
    num_rows: int, discordance: float, *, alpha: float = ALPHA, power: float = POWER
) -> float | None:
    """The smallest difference of two accuracies that ``num_rows`` paired rows detect with ``power``.

    Where ``discordance`` is smaller than the difference looked for, every discordant row must favour
    the better model, and the discordance is the difference. None where no difference is detectable
    (fewer than six rows can never reject at 5 %).
    """
    if num_rows > EXACT_UP_TO:
        za, zb = _quantiles(alpha, power)
        root = math.sqrt(num_rows - za * za + zb * zb)
        return math.sqrt(max(discordance, 8 / num_rows)) * (za * math.sqrt(num_rows) + zb * root) / (num_rows + zb * zb)
    if power_of_mcnemar(num_rows, 1.0, 1.0, alpha) < power:
        return None
    return _least(lambda d: power_of_mcnemar(num_rows, discordance, d, alpha) >= power, 0.0, 1.0, 0.01 / num_rows)


def rows_needed(difference: float, discordance: float, *, alpha: float = ALPHA, power: float = POWER) -> int | None:
    """How many paired rows detect a difference of two accuracies with ``power``; None for no difference.

    :param discordance: share of rows on which exactly one of the two is right.
    """
    difference = abs(difference)
    if difference == 0:
        return None
    discordance = max(discordance, difference)
    za, zb = _quantiles(alpha, power)
    about = (za * math.sqrt(discordance) + zb * math.sqrt(discordance - difference**2)) ** 2 / difference**2
    if about > EXACT_UP_TO:
        return math.ceil(about)

    def enough(n: float) -> bool:
        return power_of_mcnemar(math.ceil(n), discordance, difference, alpha) >= power

    high = max(8.0, about)
    while not enough(high):
        high *= 1.2
    return math.ceil(_least(enough, high / 2 if high > 16 else 1.0, high, 1.0))


def rows_within_margin(
    behind: float, discordance: float, margin: float, *, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """How many paired rows show that a model is behind another by less than ``margin``, with ``power``.

    The interval's lower end must clear -margin: n = (z_a + z_b)^2 (s - d^2) / (margin - d)^2, and at
    least the rows that clear it with no discordant row at all. None where d reaches the margin.

    :param behind: d, by how much the model is behind; negative where it is ahead.
    """
    if behind >= margin:
        return None
    za, zb = _quantiles(alpha, power)
    spread = max(discordance, abs(behind)) - behind**2
    silent = za * za * (1 - margin) / margin
    return math.ceil(max(silent, (za + zb) ** 2 * spread / (margin - behind) ** 2))


def effect_of_error(standard_error: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """The smallest detectable difference of any metric, from the standard error of the paired difference."""
    return sum(_quantiles(alpha, power)) * standard_error


def rows_of_error(
    difference: float, standard_error: float, num_rows: int, *, alpha: float = ALPHA, power: float = POWER
) -> int | None:
    """How many rows would detect ``difference`` if ``num_rows`` give ``standard_error``; None for no difference."""
    if difference == 0:
        return None
    return math.ceil(num_rows * (effect_of_error(standard_error, alpha=alpha, power=power) / abs(difference)) ** 2)


def _least(enough: Callable[[float], bool], low: float, high: float, step: float) -> float:
    """The smallest value, to within ``step``, that is enough; ``high`` is."""
    while high - low > step:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
