"""Would more labels help? Errors at growing sizes, a curve through them, and how far it can be trusted.

err(n) = a n^-b + c is fitted to the mean errors of nested samples of the training rows (Hestness et al.,
arXiv 1712.00409), later sizes counting more as their errors vary less. Whether it may be drawn further is judged where
that can be checked: fitted without the largest size, it must meet the error there. What twice or ten times the rows
would gain is said with an interval, and not at all where that holds zero.

The interval is a bootstrap over test rows, the same for all models, and over draws of training rows, whose spread is
widened by sqrt(D / (D - 1)); what all draws have in common, being taken from the same rows, moves the whole curve.
``a`` may be negative: nothing decides beforehand that more rows help.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.intervals import Estimate, percentile
from whet.evaluation.kinds import sums
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.rows import clusters, same_rows
from whet.evaluation.shares import LEVEL
from whet.evaluation.sums import Floats, blocks, resampled
from whet.evaluation.wording import amount, number
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

FEWEST_SIZES, FEWEST_DRAWS = 5, 3
RESAMPLES = 1000
FACTORS = (2, 10)
POWERS = np.arange(1, 41) * 0.05
"""Values of b that are tried."""
DRAWN = 60
"""Points of the curve that is drawn."""


@dataclass(frozen=True, slots=True)
class Gain:
    """What ``factor`` times the rows would gain, in the metric's own unit, more being better; ``says``: whether the
    interval leaves out zero and the curve may be drawn further."""

    factor: int
    value: float
    low: float
    high: float
    says: bool


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """Errors by size, the curve, and what it says; K sizes, D draws.

    - ``errors`` (D, K); ``mean`` (K,) with ``low`` and ``high`` (K,).
    - ``a``, ``b``, ``c``: of err(n) = a (n / largest size)^-b + c.
    - ``predicted``: the error at the largest size by the curve of the others; ``missed``: that minus the error there.
    - ``line``: (size, value, low, high) of the curve, up to ten times the largest size.
    """

    metric: str
    sizes: tuple[int, ...]
    errors: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    a: float
    b: float
    c: float
    predicted: float
    missed: Estimate
    meets: bool
    gains: tuple[Gain, ...]
    line: tuple[tuple[float, float, float, float], ...]
    level: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object, as in curve.json."""
        return {**asdict(self), "missed": self.missed.to_json(), "words": self.words()}

    def words(self) -> list[str]:
        """What the curve says, a sentence each."""
        largest, percent = self.sizes[-1], f"{100 * self.level:.0f} %"
        found = []
        if not self.meets:
            found.append(
                f"Cannot say: fitted to the smaller sizes, the curve misses the error at {largest:,} rows by "
                f"{amount(abs(self.missed.value), self.metric)} ({percent} interval "
                f"{number(self.missed.low, self.metric)} to {number(self.missed.high, self.metric)}), "
                "so that it must not be drawn further."
            )
        for gain in self.gains:
            times = "Twice" if gain.factor == 2 else f"{gain.factor} times"
            size = f"{times} the labels ({gain.factor * largest:,} rows)"
            within = f"{percent} interval {number(gain.low, self.metric)} to {number(gain.high, self.metric)}"
            if gain.says:
                found.append(f"{size} would gain about {amount(gain.value, self.metric)} ({within}).")
            elif self.meets:
                found.append(f"{size}: cannot say; the interval of the gain holds zero ({within}).")
        return found


def error_of(value: Floats, metric: str) -> Floats:
    """A metric as an error: less is better; its best value is 0 where it has one."""
    bounds = MEASURES[metric].bounds
    if lower_is_better(metric):
        return value
    return (1.0 if bounds is None else bounds[1]) - value


def learning_curve(
    said: Sequence[Sequence[Predictions]],
    sizes: Sequence[int],
    metric: str,
    *,
    seed: int,
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> LearningCurve:
    """The curve of models trained on growing samples, all asked the same rows.

    :param said: D draws of K models each, the smallest sample first; samples of one draw are nested.
    :param sizes: K sizes, growing; the largest is all rows there are.
    :raises ValueError: fewer sizes or draws than :data:`FEWEST_SIZES` and :data:`FEWEST_DRAWS`.
    """
    if len(sizes) < FEWEST_SIZES or len(said) < FEWEST_DRAWS:
        raise ValueError(f"at least {FEWEST_SIZES} sizes and {FEWEST_DRAWS} draws are needed")
    rng = generator(seed, "more data", metric, len(said), *map(str, sizes))
    n = np.asarray(sizes, dtype=np.float64)
    errors, drawn = _errors(said, metric, rng, num_resamples)
    means = _means(errors, drawn, n, rng)
    mean = errors.mean(0)
    a, b, c = (float(one[0]) for one in fit(n, mean[None]))
    sides = fit(n, means)
    predicted = float(at(fit(n[:-1], mean[None, :-1]), n[-1:] / n[-2])[0, 0])
    missed_by = at(fit(n[:-1], means[:, :-1]), n[-1:] / n[-2])[:, 0] - means[:, -1]
    missed = _estimate(predicted - float(mean[-1]), missed_by, level)
    meets = missed.low <= 0 <= missed.high
    gains = []
    for factor in FACTORS:
        one = _estimate(a * (1 - factor**-b), sides[0] * (1 - float(factor) ** -sides[1]), level)
        gains.append(Gain(factor, one.value, one.low, one.high, meets and one.low > 0))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return LearningCurve(
        metric,
        tuple(int(size) for size in sizes),
        tuple(tuple(row) for row in errors.tolist()),
        tuple(mean.tolist()),
        tuple(np.minimum(low, mean).tolist()),
        tuple(np.maximum(high, mean).tolist()),
        a,
        b,
        c,
        predicted,
        missed,
        meets,
        tuple(gains),
        _line((a, b, c), sides, n, level),
        level,
    )


def _errors(
    said: Sequence[Sequence[Predictions]], metric: str, rng: np.random.Generator, num_resamples: int
) -> tuple[Floats, Floats]:
    """(D, K) errors on all rows, and (R, D, K) on drawn ones."""
    shape = (len(said), len(said[0]))
    every = [one for draw in said for one in draw]
    groups = clusters(None, *every)
    first = same_rows(every[0], every[0])[0]
    soft = lower_is_better(metric)
    parts = [sums(same_rows(first, one)[1], soft=soft) for one in every]
    drawn_as_one = blocks(len(first), groups, rng)
    parts = parts if drawn_as_one is None else [part.grouped(drawn_as_one) for part in parts]
    errors = np.asarray([error_of(part.metrics([metric], part.total)[metric], metric)[0] for part in parts])
    pieces = [
        np.stack([part.metrics([metric], totals)[metric] for part, totals in zip(parts, some, strict=True)], 1)
        for some in resampled(parts, num_resamples, rng)
    ]
    return errors.reshape(shape), error_of(np.concatenate(pieces), metric).reshape(-1, *shape)


def _means(errors: Floats, drawn: Floats, n: Floats, rng: np.random.Generator) -> Floats:
    """(R, K) mean errors, test rows and draws of training rows drawn anew."""
    r, d, _ = drawn.shape
    weights = rng.multinomial(d, np.full(d, 1 / d), size=r) / d
    mean = drawn.mean(1)
    moved = np.einsum("rd,rdk->rk", weights, drawn) - mean
    # samples of a part of the rows vary less than rows drawn afresh would: by 1 - n / all
    small = n <= n[-1] / 2
    spread = errors[:, small].var(0, ddof=1) * n[small] / (1 - n[small] / n[-1])
    shared = rng.standard_normal((r, 1)) * np.sqrt(max(0.0, float(spread.mean())) / n[-1]) if small.any() else 0.0
    return np.asarray(mean + np.sqrt(d / (d - 1)) * moved + shared)


def fit(n: NDArray[Any], errors: Floats) -> tuple[Floats, Floats, Floats]:
    """Weighted least squares of R curves: (K,) sizes and (R, K) errors to (R,) a, b, c; c is not negative.

    Sizes count from the largest: err(n) = a (n / n[-1])^-b + c. b is taken from :data:`POWERS`, a and c follow.
    """
    x = (np.asarray(n, dtype=np.float64) / n[-1]) ** -POWERS[:, None]  # (B, K)
    w = np.asarray(n, dtype=np.float64) / np.sum(n)
    mean_x, mean_y = x @ w, errors @ w  # (B,), (R,)
    spread = ((x - mean_x[:, None]) ** 2) @ w
    together = (errors * w) @ x.T - mean_y[:, None] * mean_x
    a = together / spread
    c = mean_y[:, None] - a * mean_x
    through = ((errors * w) @ x.T) / ((x**2) @ w)  # with c = 0
    a, c = np.where(c < 0, through, a), np.maximum(c, 0.0)
    gaps = errors[:, None, :] - a[:, :, None] * x - c[:, :, None]
    best = ((gaps**2) @ w).argmin(1)
    rows = np.arange(len(errors))
    return a[rows, best], POWERS[best], c[rows, best]


def at(curve: tuple[Floats, Floats, Floats], times: NDArray[Any]) -> Floats:
    """(R, T) errors at ``times`` the largest size."""
    a, b, c = (one[:, None] for one in curve)
    return np.asarray(a * np.asarray(times, dtype=np.float64) ** -b + c)


def _estimate(value: float, drawn: Floats, level: float) -> Estimate:
    low, high = percentile(drawn, level)
    return Estimate(value, min(low, value), max(high, value), float(drawn.std()))


def _line(
    curve: tuple[float, float, float], sides: tuple[Floats, Floats, Floats], n: Floats, level: float
) -> tuple[tuple[float, float, float, float], ...]:
    times = np.geomspace(n[0] / n[-1], max(FACTORS), DRAWN)
    drawn = at(sides, times)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    value = at((np.asarray([curve[0]]), np.asarray([curve[1]]), np.asarray([curve[2]])), times)[0]
    table = np.stack([times * n[-1], value, np.minimum(low, value), np.maximum(high, value)], 1)
    return tuple((float(w), float(x), float(y), float(z)) for w, x, y, z in table)
