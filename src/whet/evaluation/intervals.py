"""Intervals: those of ``shares`` for a share of single rows and for the difference of two, the bootstrap for the rest.

A bootstrap cannot draw what did not occur. For other bounded metrics it is therefore widened to what
Wilson's and Tango's intervals leave open where no row is an exception (:func:`whet.evaluation.shares.floor`),
times what an exception weighs (:func:`exception`): 1 where rows are right or wrong, little where all rows
differ a little, as with correlations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.kinds import is_share_of_all, kind_of, right_by, sums
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.rows import checked, clusters, same_rows
from whet.evaluation.shares import LEVEL, effective_rows, floor, student_over_normal, tango, z_of
from whet.evaluation.sums import Floats, Sums, blocks, leave_one_out, resampled
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

RESAMPLES = 2000
ROUNDING = 1e-9
"""An effect of a row no larger than this is none; numbers are of the order of 1."""


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


def exception(effects: Floats) -> float:
    """What a row that is an exception weighs: the mean of the sizes of its effects, each weighted with itself.

    1 for shares, where the effect of a row is 0 or 1 (or -1), and where no row has any effect, as then
    nothing is known of the size of the first. With ``e`` the effects, |sum e| > z sqrt(sum e^2) implies
    |sum e| > z^2 times this, so that a difference that a test finds is not within what is left open.

    :param effects: (n,) what each row, or group of rows drawn as one, adds to n times the number.
    """
    sizes = np.where(np.abs(effects) > ROUNDING, np.abs(effects), 0.0)
    return float((sizes**2).sum() / sizes.sum()) if sizes.any() else 1.0


def left_open(effects: Floats, independent: float, level: float) -> float:
    """How far the rows leave a number open to exceptions that did not occur.

    :param effects: as in :func:`exception`.
    :param independent: how many rows count where none has an effect.
    """
    counted = float(len(effects)) if (np.abs(effects) > ROUNDING).any() else independent
    return floor(counted, level) * min(1.0, exception(effects))


@dataclass(frozen=True, slots=True)
class Items:
    """What is drawn: ``groups`` of rows, None where single rows are; ``independent`` rows of each metric.

    A metric may speak of some rows only, those ``inside``. Rows in groups count for as many as tell as much alone.
    """

    groups: int | None
    independent: dict[str, float]
    inside: dict[str, NDArray[np.bool_]]

    def effects(self, metric: str, value: float, left_out: Floats) -> Floats:
        """Pseudo-values: what each row, or group, adds to as many times the number; their mean is the number.

        Of a mean exactly the row's own value.

        :param left_out: the jackknife values of the rows, or of the groups or blocks that are drawn as one.
        """
        inside = self.inside[metric]
        counted = left_out[inside] if self.groups is None and len(left_out) == len(inside) else left_out
        return np.asarray(len(counted) * value - (len(counted) - 1) * counted)


def items(predictions: Predictions, names: Sequence[str], groups: NDArray[Any] | None, *parts: Sums) -> Items:
    """What the rows are worth to each metric of one model, or to the difference of two.

    :param parts: the sums of the model or of both, rows not yet grouped.
    """
    inside = {name: kind_of(predictions).population(predictions, name) for name in names}
    rows = {name: np.ones(len(predictions), dtype=bool) if mask is None else mask for name, mask in inside.items()}
    if groups is None:
        return Items(None, {name: float(mask.sum()) for name, mask in rows.items()}, rows)
    left_out = [leave_one_out(part, names) for part in parts]
    influence = {name: left_out[0][name] - (left_out[1][name] if parts[1:] else 0.0) for name in names}
    independent = {name: effective_rows(influence[name][mask], groups[mask]) for name, mask in rows.items()}
    return Items(len(np.unique(groups)), independent, rows)


def widened(
    value: float, interval: tuple[float, float], metric: str, effects: Floats, independent: float, level: float
) -> tuple[float, float]:
    """The interval of a bounded metric of one model, with what is left open, inside its bounds.

    An exception is what keeps the metric from the nearer bound.

    :param effects: as :meth:`Items.effects` has them.
    """
    bounds = MEASURES[metric].bounds
    if bounds is None:
        return min(interval[0], value), max(interval[1], value)
    least, most = bounds
    slack = min(left_open(away, independent, level) for away in (most - effects, effects - least))
    return max(least, min(interval[0], value - slack)), min(most, max(interval[1], value + slack))


def opened(value: float, interval: tuple[float, float], num_groups: int | None, level: float) -> tuple[float, float]:
    """A bootstrap interval with ``value`` inside, and as much wider as few groups ask for.

    The bootstrap of m groups is too narrow by sqrt(1 - 1/m) and takes the normal quantile where Student's
    with m - 1 degrees of freedom would be right (Hesterberg 2015, Am. Stat. 69:371).
    """
    low, high = min(interval[0], value), max(interval[1], value)
    if num_groups is None:
        return low, high
    m = max(2, num_groups)
    wider = student_over_normal(m, level) * float(np.sqrt(m / (m - 1)))
    return value - wider * (value - low), value + wider * (high - value)


def bootstrap_sums(
    part: Sums, names: Sequence[str], drawn: Mapping[str, Floats], num_items: Items, level: float = LEVEL
) -> dict[str, Estimate]:
    """Estimates from the (R,) resampled values of each metric of one model.

    :param part: sums of what was drawn: rows, or groups of rows.
    """
    values = {name: float(found[0]) for name, found in part.metrics(names, part.total).items()}
    left_out = leave_one_out(part, names)
    estimates = {}
    for name in names:
        interval = bca(drawn[name], values[name], left_out[name], level)
        interval = opened(values[name], interval, num_items.groups, level)
        effects = num_items.effects(name, values[name], left_out[name])
        low, high = widened(values[name], interval, name, effects, num_items.independent[name], level)
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
    groups = clusters(groups, predictions)
    predictions = checked(predictions)
    n = len(predictions)
    rng = generator(seed, "bootstrap", n)
    rows = sums(predictions)
    drawn_as_one = blocks(n, groups, rng)
    part = rows if drawn_as_one is None else rows.grouped(drawn_as_one)
    values = [part.metrics([metric], totals)[metric] for (totals,) in resampled([part], num_resamples, rng)]
    num_items = items(predictions, [metric], groups, rows)
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

    A share of all rows, without groups: Tango's interval. Anything else: the paired bootstrap (BCa), rows (or
    whole groups) drawn with both models' answers together.

    :param groups: (n,) the document of each row, in the order of ``candidate``.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    groups = clusters(groups, candidate, against)
    candidate, against = same_rows(candidate, against)
    if groups is None and is_share_of_all(candidate, metric):
        return accuracy_difference(candidate, against, metric, level)
    return bootstrap_difference(
        candidate,
        against,
        metric,
        rng=generator(seed, "paired", *sorted((candidate.model, against.model)), metric),
        groups=groups,
        num_resamples=num_resamples,
        level=level,
    )


def accuracy_difference(candidate: Predictions, against: Predictions, metric: str, level: float = LEVEL) -> Estimate:
    """Tango's interval of a share of all rows; both speak of the same rows in the same order."""
    n = len(candidate)
    one, other = right_by(candidate, metric), right_by(against, metric)
    assert one is not None and other is not None
    won, lost = int((one & ~other).sum()), int((other & ~one).sum())
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
    soft = lower_is_better(metric)
    rows = [sums(candidate, soft=soft), sums(against, soft=soft)]
    drawn_as_one = blocks(len(candidate), groups, rng)
    first, second = rows if drawn_as_one is None else [part.grouped(drawn_as_one) for part in rows]

    def difference(one: Floats, other: Floats) -> Floats:
        return first.metrics([metric], one)[metric] - second.metrics([metric], other)[metric]

    drawn = np.concatenate([difference(*pair) for pair in resampled([first, second], num_resamples, rng)])
    value = float(difference(first.total, second.total)[0])
    left_out = leave_one_out(first, [metric])[metric] - leave_one_out(second, [metric])[metric]
    num_items = items(candidate, [metric], groups, *rows)
    slack = 0.0
    if MEASURES[metric].bounds is not None:
        effects = num_items.effects(metric, value, left_out)
        slack = left_open(effects, num_items.independent[metric], level)
    low, high = opened(value, bca(drawn, value, left_out, level), num_items.groups, level)
    low, high = min(low, value - slack), max(high, value + slack)
    return Estimate(value, low, high, max(float(drawn.std()), slack / z_of(level)))
