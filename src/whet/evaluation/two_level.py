"""Intervals over trainings and rows: what another seed and other test rows would have given.

A training is drawn with its seed, a test row from what the model will be asked. Both are drawn with replacement, and
all trainings are measured on the same drawn rows, as they were measured on the same rows (the pigeonhole bootstrap:
Owen 2007, Ann. Appl. Stat. 1:386). Of a few seeds the bootstrap sees too little: the spread of what it draws of them
is widened by sqrt(S / (S - 1)), and the interval by Student's quantile over the normal one, with Satterthwaite's
degrees of freedom for the share of the variance that seeds have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.evaluation.intervals import RESAMPLES, items, left_open, percentile, widened
from whet.evaluation.kinds import sums
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.rows import clusters, same_rows
from whet.evaluation.shares import LEVEL, z_of
from whet.evaluation.sums import Floats, Sums, blocks, leave_one_out, resampled
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions


@dataclass(frozen=True, slots=True)
class TwoLevel:
    """A mean over trainings with its interval over trainings and rows.

    - ``each``: the number of each training on all rows; of a difference, where trainings are paired, of each pair.
    - ``spread``: standard deviation between trainings (n - 1); of a difference that of both sides together.
    - ``of_seeds``: share of the variance of the mean that is between trainings.
    """

    value: float
    low: float
    high: float
    each: tuple[float, ...]
    spread: float
    of_seeds: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def two_level(
    runs: Sequence[Predictions],
    metric: str,
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> TwoLevel:
    """The mean of ``metric`` over trainings that differ by their seed alone, all on the same rows.

    :param groups: (n,) the document of each row, in the order of the first predictions; whole groups are drawn.
    :raises UserError: V114, fewer than two trainings; and as :func:`whet.evaluation.rows.same_rows`.
    """
    if len(runs) < 2:
        what = f"{len(runs)} training: how far seeds lie apart cannot be told."
        raise UserError(Problem("V114", metric, what, "Train with two or more seeds; three to five tell more."))
    sides = _Sides(runs, [], metric, groups, lower_is_better(metric), generator(seed, "two level", metric, len(runs)))
    return sides.estimate(num_resamples, level, paired=False)


def two_level_difference(
    runs: Sequence[Predictions],
    against: Sequence[Predictions],
    metric: str,
    *,
    seed: int,
    paired: bool = False,
    groups: NDArray[Any] | None = None,
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> TwoLevel:
    """Mean of ``runs`` minus mean of ``against``, all trainings on the same rows.

    One training on a side stands for a model that no seed changes, such as a baseline.

    :param paired: run i of both sides shares what its seed decides, so that seeds are drawn for both at once.
    :raises UserError: V114, one training on both sides, or pairs of unequal number; and as
        :func:`whet.evaluation.rows.same_rows`.
    """
    sizes = (len(runs), len(against))
    if min(sizes) < 1 or max(sizes) < 2 or (paired and sizes[0] != sizes[1]):
        what = f"{sizes[0]} and {sizes[1]} trainings: how far seeds lie apart cannot be told."
        raise UserError(Problem("V114", metric, what, "Train with two or more seeds, in pairs the same number."))
    rng = generator(seed, "two level", metric, *sizes)
    sides = _Sides(runs, against, metric, groups, lower_is_better(metric), rng)
    return sides.estimate(num_resamples, level, paired)


class _Sides:
    """The trainings of both sides on one order of rows; S trainings of the first, T of the other (0 for none)."""

    def __init__(
        self,
        runs: Sequence[Predictions],
        against: Sequence[Predictions],
        metric: str,
        groups: NDArray[Any] | None,
        soft: bool,
        rng: np.random.Generator,
    ) -> None:
        every = [*runs, *against]
        groups = clusters(groups, *every)
        first = same_rows(every[0], every[0])[0]
        aligned = [same_rows(first, one)[1] for one in every]
        self.metric, self.rng, self.sizes = metric, rng, (len(runs), len(against))
        rows = [sums(one, soft=soft) for one in aligned]
        self.items = items(aligned[0], [metric], groups, *rows[:1])
        drawn_as_one = blocks(len(first), groups, rng)
        self.parts: list[Sums] = rows if drawn_as_one is None else [part.grouped(drawn_as_one) for part in rows]
        self.each = np.asarray([float(part.metrics([metric], part.total)[metric][0]) for part in self.parts])

    def estimate(self, num_resamples: int, level: float, paired: bool) -> TwoLevel:
        """The mean, or the difference of the two means, with its interval."""
        s, t = self.sizes
        sides = [(slice(0, s), 1.0), *([(slice(s, s + t), -1.0)] if t else [])]
        drawn = self._drawn(num_resamples)  # (R, S + T)
        value = sum(sign * float(self.each[side].mean()) for side, sign in sides)
        of_rows = sum(sign * drawn[:, side].mean(1) for side, sign in sides) - value
        of_seeds, together, variance = self._seeds(drawn, sides, paired)
        spread_rows = float(np.var(of_rows))
        total = variance + spread_rows
        wider = _student(variance, spread_rows, max(2, min(size for size in self.sizes if size > 1)), level)
        low, high = percentile(value + of_seeds + together, level)
        low, high = min(low, value), max(high, value)
        low, high = value - wider * (value - low), value + wider * (high - value)
        low, high = self._opened(value, low, high, sides, level)
        each = self.each[:s] - self.each[s:] if paired and t else self.each[:s]
        spread = float(np.sqrt(sum(_variance(self.each[side]) for side, _ in sides)))
        if paired and t:
            spread = float(np.sqrt(_variance(each)))
        return TwoLevel(value, low, high, tuple(each.tolist()), spread, variance / total if total > 0 else 0.0)

    def _drawn(self, num_resamples: int) -> Floats:
        """(R, S + T) the metric of every training on each drawing of rows."""
        pieces = [
            np.stack(
                [
                    part.metrics([self.metric], totals)[self.metric]
                    for part, totals in zip(self.parts, all_, strict=True)
                ],
                1,
            )
            for all_ in resampled(self.parts, num_resamples, self.rng)
        ]
        return np.concatenate(pieces)

    def _seeds(self, drawn: Floats, sides: Sequence[tuple[slice, float]], paired: bool) -> tuple[Floats, Floats, float]:
        """What drawing seeds adds on all rows, widened; the rest, from drawn rows; the variance of the first."""
        r = len(drawn)
        own, rest, variance = np.zeros(r), np.zeros(r), 0.0
        weights: Floats | None = None
        for side, sign in sides:
            values = self.each[side]
            s = len(values)
            if weights is None or not paired:
                weights = self.rng.multinomial(s, np.full(s, 1 / s), size=r) / s
            moved = weights @ values - values.mean()
            own += sign * moved * (np.sqrt(s / (s - 1)) if s > 1 else 1.0)
            rest += sign * ((weights * drawn[:, side]).sum(1) - values.mean() - moved)
            variance += _variance(values) / s
        if paired and len(sides) > 1:
            gaps = self.each[sides[0][0]] - self.each[sides[1][0]]
            variance = _variance(gaps) / len(gaps)
        return own, rest, variance

    def _opened(
        self, value: float, low: float, high: float, sides: Sequence[tuple[slice, float]], level: float
    ) -> tuple[float, float]:
        """With what the rows leave open to exceptions that did not occur, as every other interval here."""
        if MEASURES[self.metric].bounds is None:
            return low, high
        left_out = sum(
            sign * np.mean([leave_one_out(part, [self.metric])[self.metric] for part in self.parts[side]], axis=0)
            for side, sign in sides
        )
        effects = self.items.effects(self.metric, value, np.asarray(left_out))
        independent = self.items.independent[self.metric]
        if len(sides) == 1:
            return widened(value, (low, high), self.metric, effects, independent, level)
        slack = left_open(effects, independent, level)
        return min(low, value - slack), max(high, value + slack)


def _variance(values: Floats) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else 0.0


def _student(of_seeds: float, of_rows: float, num_seeds: int, level: float) -> float:
    """Student's quantile over the normal one, by Satterthwaite's degrees of freedom; rows count as without end."""
    from scipy.special import stdtrit

    if of_seeds <= 0:
        return 1.0
    freedom = (num_seeds - 1) * ((of_seeds + of_rows) / of_seeds) ** 2
    return float(stdtrit(freedom, 0.5 + level / 2)) / z_of(level)
