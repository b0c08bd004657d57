"""Two models on the same rows: exact tests of whether they differ."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.evaluation.alike import say_the_same
from whet.evaluation.intervals import RESAMPLES, paired_difference
from whet.evaluation.kinds import is_share_of_all, kind_of, right_by, shared_metrics, sums
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.rows import clusters, same_rows
from whet.evaluation.shares import LEVEL
from whet.evaluation.sums import blocks, laid_alike, swapped
from whet.registry import unknown
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

ROUNDS = 9999
"""Swaps of the randomisation test; with the data as they are, ten thousand arrangements."""

SIGNS = 1999
"""Rounds of the same test within a part of the rows, one of many."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``candidate`` minus ``against`` on the same rows, in the metric's own unit (1.0, not 100 points).

    ``won`` and ``lost`` count the rows that the candidate decides better or worse (fewer wrong labels or
    spans, an answer that shares more words, a nearer number, relevant passages further up, a text that the
    metric finds better); the flips count rows that turned wholly right or wholly wrong, and are 0 where no row
    is either. ``alike``: both say the same of every row.
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
    alike: bool = False

    @property
    def gain(self) -> float:
        """The difference turned so that more is better."""
        return -self.difference if lower_is_better(self.metric) else self.difference

    @property
    def surely_better(self) -> bool:
        """Whether the candidate gains, and the interval of the difference does not hold zero."""
        return self.gain > 0 and not self.low <= 0 <= self.high

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
    groups = clusters(groups, candidate, against)
    candidate, against = same_rows(candidate, against)
    soft = lower_is_better(metric)
    first, second = laid_alike(sums(candidate, soft=soft), sums(against, soft=soft))
    rng = generator(seed, "randomisation", *sorted((candidate.model, against.model)), metric)
    swapped_as_one = blocks(len(candidate), groups, rng)
    if swapped_as_one is not None:
        first, second = first.grouped(swapped_as_one), second.grouped(swapped_as_one)
    measure = first.formulas[metric]
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

    Accuracy, exact match, label accuracy: McNemar's exact test and Tango's interval. Any other metric, and shares of
    grouped rows: approximate randomisation and the paired bootstrap. An interval holds zero at least where the
    test does not reject it.

    :param metric: one of the metrics of this kind of predictions.
    :param groups: (n,) the document of each row, in the order of ``candidate``, where rows come in groups; by
        default those that the predictions know.
    :raises UserError: G001 unknown metric, V113 one that cannot measure both, and as
        :func:`whet.evaluation.rows.same_rows`.
    """
    first, second = same_rows(candidate, against)
    known(metric, first)
    measured_alike(metric, first, second)
    groups = clusters(groups, candidate, against)
    estimate = paired_difference(
        first, second, metric, seed=seed, groups=groups, num_resamples=num_resamples, level=level
    )
    up, down = _turned(first, second, metric)
    if groups is None and is_share_of_all(first, metric):
        p, test = mcnemar(up, down), "McNemar exact"
    else:
        p = randomisation(first, second, metric, seed=seed, groups=groups, num_rounds=num_rounds)
        test = f"approximate randomisation, {num_rounds:,} rounds"
    won, lost = _won_and_lost(first, second, metric)
    rejected = p < round(1 - level, 12)  # 1 - 0.95 is a little above 0.05
    return Comparison(
        candidate=candidate.model,
        against=against.model,
        metric=metric,
        difference=estimate.value,
        low=estimate.low if rejected else min(estimate.low, 0.0),
        high=estimate.high if rejected else max(estimate.high, 0.0),
        p=p,
        p_holm=p,
        test=test,
        won=won,
        lost=lost,
        positive_flips=up,
        negative_flips=down,
        num_rows=len(first),
        standard_error=estimate.standard_error,
        alike=say_the_same(first, second, metric),
    )


def known(metric: str, predictions: Predictions) -> None:
    """:raises UserError: G001, these predictions cannot be measured so."""
    names = kind_of(predictions).metrics(predictions)
    if metric not in names:
        raise UserError(unknown(metric, list(names), "metric"))


def measured_alike(metric: str, first: Predictions, second: Predictions) -> None:
    """:raises UserError: V113, only one of them can be measured so, or they do not count the same tokens or bytes."""
    names = shared_metrics(first, second)
    if metric not in names:
        what = f"cannot be compared by {MEASURES[metric].words}: not both have it, or they count other tokens."
        remedy = f"Compare them by {', '.join(names)}." if names else "Let both models predict the same rows again."
        raise UserError(Problem("V113", f"{first.model} against {second.model}", what, remedy))


def _turned(first: Predictions, second: Predictions, metric: str) -> tuple[int, int]:
    """How many rows only the first has right, and only the second."""
    one, other = right_by(first, metric), right_by(second, metric)
    if one is None or other is None:
        return 0, 0
    return int((one & ~other).sum()), int((other & ~one).sum())


def _won_and_lost(first: Predictions, second: Predictions, metric: str) -> tuple[int, int]:
    kind = kind_of(first)
    one, other = kind.mistakes(first, metric), kind.mistakes(second, metric)
    return int((one < other).sum()), int((one > other).sum())


def harm(
    new: NDArray[np.bool_], old: NDArray[np.bool_], groups: NDArray[Any] | None, rng: np.random.Generator
) -> float:
    """The two-sided p that as many rows got right as got wrong: McNemar, or with groups by turning whole groups round.

    :param new: (n,) whether the new model has each row right; ``old`` (n,) the old one.
    """
    change = new.astype(np.int64) - old.astype(np.int64)
    if groups is None:
        return mcnemar(int((change > 0).sum()), int((change < 0).sum()))
    net = np.bincount(np.unique(groups, return_inverse=True)[1].ravel(), weights=change)
    signs = rng.integers(0, 2, size=(SIGNS, len(net))) * 2 - 1
    return float((1 + (np.abs(signs @ net) >= abs(net.sum()) - 1e-9).sum()) / (SIGNS + 1))
