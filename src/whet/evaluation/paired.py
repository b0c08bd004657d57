"""Two models on the same rows: exact tests of whether they differ."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import UserError
from whet.evaluation.intervals import LEVEL, RESAMPLES, paired_difference
from whet.evaluation.metrics import LOWER_IS_BETTER, METRICS, is_proportion
from whet.evaluation.rows import ordered_groups, same_rows, truth
from whet.evaluation.sums import MEASURES, blocks, sums, swapped
from whet.registry import unknown
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

ROUNDS = 9999
"""Swaps of the randomisation test; with the data as they are, ten thousand arrangements."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``candidate`` minus ``against`` on the same rows, in the metric's own unit (1.0, not 100 points).

    ``won`` and ``lost`` count the rows that the candidate decides better or worse (with several labels:
    with fewer or more wrong labels); the flips count rows that turned wholly right or wholly wrong.
    ``p`` is two-sided; ``p_holm`` is ``p`` corrected for all comparisons made together.
    """

    candidate: str
    against: str
    metric: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    test: str
    won: int
    lost: int
    positive_flips: int
    negative_flips: int
    num_rows: int
    standard_error: float

    @property
    def gain(self) -> float:
        """The difference turned so that more is better."""
        return -self.difference if self.metric in LOWER_IS_BETTER else self.difference

    def to_json(self) -> dict[str, Any]:
        """A JSON object, one of ``comparisons`` in verdict.json."""
        return asdict(self)


def mcnemar(won: int, lost: int, *, mid_p: bool = False) -> float:
    """McNemar's exact two-sided p of ``won`` and ``lost`` discordant rows; never 0.

    p = min(1, 2 * sum over i <= min(won, lost) of C(won + lost, i) / 2^(won + lost)); the mid-p form
    takes the probability of the observed split half (more power, level held on average only:
    Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13:91).
    """
    from scipy.stats import binom

    fewer, both = min(won, lost), won + lost
    p = 2 * float(binom.cdf(fewer, both, 0.5))
    if mid_p:
        p -= float(binom.pmf(fewer, both, 0.5))
    return min(1.0, max(p, sys.float_info.min))


def randomisation(
    candidate: Predictions,
    against: Predictions,
    metric: str,
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    num_rounds: int = ROUNDS,
) -> float:
    """Approximate randomisation: the two-sided p of any metric, (1 + #{|d*| >= |d|}) / (rounds + 1).

    In each round the two answers to a row are swapped with probability one half and the metric is
    recomputed from summed statistics. Ties count against the difference (>= and not >).

    :param groups: (n,) the document of each row, in the order of ``candidate``; whole groups are swapped.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    groups = ordered_groups(groups, candidate)
    candidate, against = same_rows(candidate, against)
    soft = metric in LOWER_IS_BETTER
    first, second = sums(candidate, soft=soft), sums(against, soft=soft)
    rng = generator(seed, "randomisation", *sorted((candidate.model, against.model)), metric)
    swapped_as_one = blocks(len(candidate), groups, rng)
    if swapped_as_one is not None:
        first, second = first.grouped(swapped_as_one), second.grouped(swapped_as_one)
    measure = MEASURES[metric]
    observed = abs(float((measure(first, first.total) - measure(second, second.total))[0]))
    near = 1e-12 * max(1.0, observed)  # equal differences may differ in the last bit by order of summing
    count = 0
    for one, other in swapped(first, second, num_rounds, rng):
        count += int((np.abs(measure(first, one) - measure(second, other)) >= observed - near).sum())
    return (1 + count) / (num_rounds + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction (Holm 1979): p times the number of hypotheses not yet rejected, monotone."""
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = highest
    return corrected


def with_holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The same comparisons with ``p_holm`` over all of them together."""
    corrected = holm([comparison.p for comparison in comparisons])
    return [replace(one, p_holm=p) for one, p in zip(comparisons, corrected, strict=True)]


def compare(
    candidate: Predictions,
    against: Predictions,
    metric: str,
    *,
    seed: int,
    groups: NDArray[Any] | None = None,
    num_resamples: int = RESAMPLES,
    num_rounds: int = ROUNDS,
    level: float = LEVEL,
) -> Comparison:
    """Compare two models on the same rows.

    Accuracy: McNemar's exact test and Tango's interval. Any other metric, and accuracy of grouped
    rows: approximate randomisation and the paired bootstrap.

    :param metric: one of :data:`whet.evaluation.metrics.METRICS`.
    :param groups: (n,) the document of each row, in the order of ``candidate``, where rows come in groups.
    :raises UserError: G001 unknown metric, and as :func:`whet.evaluation.rows.same_rows`.
    """
    if metric not in METRICS:
        raise UserError(unknown(metric, list(METRICS), "metric"))
    estimate = paired_difference(
        candidate, against, metric, seed=seed, groups=groups, num_resamples=num_resamples, level=level
    )
    first, second = same_rows(candidate, against)
    up, down = (int(flips.sum()) for flips in (first.correct & ~second.correct, second.correct & ~first.correct))
    if groups is None and is_proportion(metric, multi_label=first.multi_label):
        p, test = mcnemar(up, down), "McNemar exact"
    else:
        p = randomisation(candidate, against, metric, seed=seed, groups=groups, num_rounds=num_rounds)
        test = f"approximate randomisation, {num_rounds:,} rounds"
    won, lost = _won_and_lost(first, second)
    return Comparison(
        candidate=candidate.model,
        against=against.model,
        metric=metric,
        difference=estimate.value,
        low=estimate.low,
        high=estimate.high,
        p=p,
        p_holm=p,
        test=test,
        won=won,
        lost=lost,
        positive_flips=up,
        negative_flips=down,
        num_rows=len(first),
        standard_error=estimate.standard_error,
    )


def _won_and_lost(first: Predictions, second: Predictions) -> tuple[int, int]:
    wrong = [np.atleast_2d((one.predicted != truth(one)).T).sum(axis=0) for one in (first, second)]
    return int((wrong[0] < wrong[1]).sum()), int((wrong[0] > wrong[1]).sum())
