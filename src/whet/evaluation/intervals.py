"""Intervals: Wilson for a share, Tango for a difference of paired shares, the bootstrap for the rest.

Why accuracy is not bootstrapped: a bootstrap of 30 rows that are all right, or of two models that never
disagree, has width zero and claims to know. Wilson's and Tango's score intervals do not. For other
bounded metrics the bootstrap is widened to the same floor (:func:`floor`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.metrics import LOWER_IS_BETTER, is_proportion
from whet.evaluation.rows import checked, ordered_groups, same_rows
from whet.evaluation.sums import Floats, Sums, blocks, leave_one_out, resampled, sums
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

RESAMPLES = 2000
LEVEL = 0.95

BOUNDS = {"accuracy": (0.0, 1.0), "macro_f1": (0.0, 1.0), "micro_f1": (0.0, 1.0), "mcc": (-1.0, 1.0)}
"""Metrics with a smallest and a largest value; log loss has none, and Brier differs by kind of task."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; ``standard_error`` is the bootstrap's or the formula's own."""

    value: float
    low: float
    high: float
    standard_error: float = 0.0

    def to_json(self) -> dict[str, float]:
        """``{value, low, high}``."""
        return {name: number for name, number in asdict(self).items() if name != "standard_error"}


def z_of(level: float) -> float:
    """The two-sided normal quantile: 1.96 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2))


def wilson(successes: int, n: int, level: float = LEVEL) -> tuple[float, float]:
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


def floor(n: int, level: float = LEVEL) -> float:
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


def percentile(drawn: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The plain bootstrap interval: the middle share ``level`` of the (R,) resampled values."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca(drawn: Floats, value: float, left_out: Floats, level: float = LEVEL) -> tuple[float, float]:
    """The bias-corrected and accelerated bootstrap interval (Efron 1987, JASA 82:171).

    :param drawn: (R,) resampled values.
    :param value: the value on the data itself.
    :param left_out: (n,) jackknife values, for the acceleration.
    """
    from scipy.special import ndtr, ndtri

    if np.ptp(drawn) == 0:
        return percentile(drawn, level)
    near = 1e-12 * max(1.0, abs(value))
    below = (drawn < value - near).mean() + (np.abs(drawn - value) <= near).mean() / 2
    bias = float(ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn))))
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum()) ** 1.5
    acceleration = float((pull**3).sum()) / (6 * spread) if spread > 0 else 0.0
    shifted = bias + ndtri(np.asarray([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(drawn, ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-3)))
    return float(low), float(high)


def widened(value: float, interval: tuple[float, float], metric: str, n: int, level: float) -> tuple[float, float]:
    """An interval of a bounded metric, no narrower than n rows without exception allow, inside its bounds."""
    if metric not in BOUNDS:
        return min(interval[0], value), max(interval[1], value)
    least, most = BOUNDS[metric]
    slack = floor(n, level)
    return max(least, min(interval[0], value - slack)), min(most, max(interval[1], value + slack))


def bootstrap_sums(
    part: Sums, names: Sequence[str], drawn: dict[str, Floats], num_items: int, level: float = LEVEL
) -> dict[str, Estimate]:
    """Estimates from the (R,) resampled values of each metric of one model.

    :param num_items: how many independent items there are (rows, or groups), for :func:`floor`.
    """
    values = {name: float(found[0]) for name, found in part.metrics(names, part.total).items()}
    left_out = leave_one_out(part, names)
    estimates = {}
    for name in names:
        interval = bca(drawn[name], values[name], left_out[name], level)
        low, high = widened(values[name], interval, name, num_items, level)
        estimates[name] = Estimate(values[name], low, high, float(drawn[name].std()))
    return estimates


def bootstrap(
    predictions: Predictions,
    metric: str,
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Bootstrap estimate (BCa) of one metric of one model.

    :param groups: (n,) the document of each row, in the order of ``predictions``; whole groups are drawn.
    """
    groups = ordered_groups(groups, predictions)
    predictions = checked(predictions)
    n = len(predictions)
    rng = generator(seed, "bootstrap", n)
    part = sums(predictions)
    drawn_as_one = blocks(n, groups, rng)
    part = part if drawn_as_one is None else part.grouped(drawn_as_one)
    values = [part.metrics([metric], totals)[metric] for (totals,) in resampled([part], num_resamples, rng)]
    num_items = n if groups is None else len(part)
    return bootstrap_sums(part, [metric], {metric: np.concatenate(values)}, num_items, level)[metric]


def paired_difference(
    candidate: Predictions,
    against: Predictions,
    metric: str,
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """``candidate`` minus ``against`` on the same rows, in the metric's own unit, with its interval.

    Accuracy without groups: Tango's interval. Anything else: the paired bootstrap (BCa), rows (or
    whole groups) drawn with both models' answers together.

    :param groups: (n,) the document of each row, in the order of ``candidate``.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    groups = ordered_groups(groups, candidate)
    candidate, against = same_rows(candidate, against)
    if groups is None and is_proportion(metric, multi_label=candidate.multi_label):
        return accuracy_difference(candidate, against, level)
    return bootstrap_difference(
        candidate,
        against,
        metric,
        rng=generator(seed, "paired", *sorted((candidate.model, against.model)), metric),
        groups=groups,
        num_resamples=num_resamples,
        level=level,
    )


def accuracy_difference(candidate: Predictions, against: Predictions, level: float = LEVEL) -> Estimate:
    """Tango's interval; both speak of the same rows in the same order."""
    n = len(candidate)
    won = int((candidate.correct & ~against.correct).sum())
    lost = int((against.correct & ~candidate.correct).sum())
    difference = (won - lost) / n
    low, high = tango(won, lost, n, level)
    error = float(np.sqrt(max((won + lost) / n - difference**2, floor(n, level) / n) / n))
    return Estimate(difference, low, high, error)


def bootstrap_difference(
    candidate: Predictions,
    against: Predictions,
    metric: str,
    *,
    rng: np.random.Generator,
    groups: NDArray[Any] | None,
    num_resamples: int,
    level: float,
) -> Estimate:
    """The paired bootstrap; both speak of the same rows in the same order."""
    soft = metric in LOWER_IS_BETTER
    first, second = sums(candidate, soft=soft), sums(against, soft=soft)
    drawn_as_one = blocks(len(candidate), groups, rng)
    if drawn_as_one is not None:
        first, second = first.grouped(drawn_as_one), second.grouped(drawn_as_one)

    def difference(one: Floats, other: Floats) -> Floats:
        return first.metrics([metric], one)[metric] - second.metrics([metric], other)[metric]

    drawn = np.concatenate([difference(*pair) for pair in resampled([first, second], num_resamples, rng)])
    value = float(difference(first.total, second.total)[0])
    left_out = leave_one_out(first, [metric])[metric] - leave_one_out(second, [metric])[metric]
    low, high = bca(drawn, value, left_out, level)
    num_items = len(candidate) if groups is None else len(first)
    slack = floor(num_items, level) if metric in BOUNDS else 0.0
    low, high = min(low, value - slack), max(high, value + slack)
    return Estimate(value, low, high, max(float(drawn.std()), slack / z_of(level)))
