"""Which model to ship, and why; or "cannot tell", and how many test rows would decide.

The rule, in order:

1. All models stand on the same test rows. The best baseline is the one with the best score. A baseline
   that the metric cannot measure (a text without probabilities, where it is the cross-entropy of tokens)
   is no rival; the model that is named is compared with it by another metric, and the reason says so.
2. A candidate is *better* when its difference to the best baseline is a gain with p < alpha (exact
   paired test, Holm over all candidates) whose interval does not hold zero. A model is *near* another
   when the lower end of the interval of their paired difference is above -margin: surely not worse by
   more than the margin.
3. If the best baseline is near every candidate: **keep_baseline**, even where a candidate is surely
   better by less than the margin, since that is not worth its cost. Named is the cheapest baseline
   that is near the best model.
4. Else, if some candidate is better: **ship**. Named is the cheapest better candidate that is near the
   best model; where none is, the best of the better ones.
5. Else: **cannot_tell**. Nothing is claimed. Named is the cheapest baseline near the best baseline, to
   be used in the meantime, and the number of rows that would decide one way or the other; none where
   the best candidate says the same of every row.

Any model may be named, baselines too: "the TF-IDF model is enough" is a useful answer. That majority
is named says that no model has shown to be worth anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.evaluation import power
from whet.evaluation.contest import Contest, arrange
from whet.evaluation.intervals import RESAMPLES
from whet.evaluation.kinds import is_share_of_all
from whet.evaluation.paired import ROUNDS, Comparison
from whet.evaluation.wording import reason

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

Code = Literal["ship", "keep_baseline", "cannot_tell"]

MARGIN = 0.01
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Verdict:
    """The content of verdict.json.

    ``ship`` always names a model; with ``cannot_tell`` it is the one to use until more rows decide.
    ``values`` holds each model's metric, ``near_best`` the paired gain of each model over the best one.
    ``beside`` compares it with the baselines that the metric cannot measure, by another one.
    ``minimum_detectable_effect`` belongs to the leading comparison, at 80 % power and the level that
    Holm leaves it; None where these rows could show no difference at all, or there is no candidate.
    """

    code: Code
    ship: str
    reason: str
    metric: str
    margin: float
    alpha: float
    best: str
    best_baseline: str
    num_rows: int
    minimum_detectable_effect: float | None
    rows_to_decide: int | None
    comparisons: tuple[Comparison, ...]
    values: dict[str, float]
    near_best: tuple[dict[str, Any], ...]
    costs: dict[str, Any]
    beside: tuple[Comparison, ...] = ()

    @property
    def leading(self) -> Comparison | None:
        """The comparison of the best candidate with the best baseline; None without candidates."""
        return max(self.comparisons, key=lambda one: one.gain, default=None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object: every field, tuples as lists."""
        whole = asdict(self)
        return whole | {name: list(whole[name]) for name in ("comparisons", "near_best", "beside")}


def decide(
    candidates: Sequence[Predictions],
    baselines: Sequence[Predictions],
    *,
    seed: int,
    metric: str | None = None,
    margin: float = MARGIN,
    alpha: float = ALPHA,
    costs: Mapping[str, Mapping[str, Any]] | None = None,
    groups: NDArray[Any] | None = None,
    num_resamples: int = RESAMPLES,
    num_rounds: int = ROUNDS,
) -> Verdict:
    """Come to a verdict by the rule at the top of this file.

    A model given both as candidate and as baseline (the probe) counts as baseline, unless it is the
    only candidate. Without baselines the cheapest candidate takes their part.

    :param metric: one of the metrics of this kind of predictions; by default its primary one.
    :param margin: what a gain must exceed to be worth a dearer model, in the metric's own unit.
    :param costs: per model, any of train_seconds, predict_rows_per_second, size_bytes,
        trainable_parameters; they order models of one kind and are passed on.
    :param groups: (n,) the document of each row, in the order of the rows of the first baseline; by
        default those that the predictions know.
    :raises UserError: V103 no predictions, V109 two models of one name, V110 a margin or alpha out of range,
        G001 unknown metric, V113 one that cannot measure the models, and as :func:`whet.evaluation.rows.same_rows`.
    """
    _check(margin, alpha)
    contest = arrange(
        candidates,
        baselines,
        metric=metric,
        alpha=alpha,
        costs=costs,
        seed=seed,
        groups=groups,
        num_resamples=num_resamples,
        num_rounds=num_rounds,
    )
    baseline, best = contest.best(contest.baselines), contest.best(tuple(contest.models))
    comparisons = tuple(contest.comparisons(baseline))
    behind = {name: contest.gain(name, best) for name in contest.models if name != best}
    near_best = [name for name in contest.models if name == best or behind[name].low > -margin]
    code, ship = _choose(contest, comparisons, baseline, near_best, margin)
    effect, rows = _reach(contest, comparisons, margin)
    verdict = Verdict(
        code=code,
        ship=ship,
        reason="",
        metric=contest.metric,
        margin=margin,
        alpha=alpha,
        best=best,
        best_baseline=baseline,
        num_rows=len(contest.models[best]),
        minimum_detectable_effect=effect,
        rows_to_decide=rows if code == "cannot_tell" else None,
        comparisons=comparisons,
        values=contest.values,
        near_best=tuple(
            {"model": name, "against": best, "gain": one.value, "low": one.low, "high": one.high}
            for name, one in behind.items()
        ),
        costs={name: dict(one) for name, one in (costs or {}).items()},
        beside=tuple(contest.beside(ship)),
    )
    return replace(verdict, reason=reason(verdict))


def _check(margin: float, alpha: float) -> None:
    """:raises UserError: V110, a margin or alpha out of range."""
    problems = []
    if not 0 < margin < 1:
        problems.append(Problem("V110", "margin", f"{margin} is not between 0 and 1.", "0.01 is one point."))
    if not 0 < alpha < 0.5:
        problems.append(Problem("V110", "alpha", f"{alpha} is not between 0 and 0.5.", "0.05 is usual."))
    if problems:
        raise UserError(problems)


def _choose(
    contest: Contest, comparisons: Sequence[Comparison], baseline: str, near_best: Sequence[str], margin: float
) -> tuple[Code, str]:
    """Steps 3 to 5 of the rule; ``contest.models`` and ``near_best`` run from cheap to dear."""
    if all(contest.near(baseline, name, margin) for name in contest.candidates):
        return "keep_baseline", next((name for name in near_best if name in contest.baselines), baseline)
    better = [one.candidate for one in comparisons if one.surely_better and one.p_holm < contest.alpha]
    if better:
        return "ship", next((name for name in near_best if name in better), contest.best(better))
    return "cannot_tell", next(name for name in contest.baselines if contest.near(name, baseline, margin))


def _reach(contest: Contest, comparisons: Sequence[Comparison], margin: float) -> tuple[float | None, int | None]:
    """The smallest gain that these rows detect, and the rows that would decide, if the gains are as seen.

    Decided is the verdict when one candidate is shown better (the fewest rows over candidates) or all
    are shown to be within the margin (the most rows over candidates), whichever comes first. The level
    is what Holm leaves the first of the comparisons: alpha over their number.
    """
    if not comparisons:
        return None, None
    level = contest.alpha / len(comparisons)
    lead = max(comparisons, key=lambda one: one.gain)
    n = lead.num_rows
    if contest.groups is None and is_share_of_all(contest.models[lead.candidate], contest.metric):
        share = {one.candidate: (one.positive_flips + one.negative_flips) / n for one in comparisons}
        effect = power.minimum_detectable_effect(n, share[lead.candidate], alpha=level)
        better = [power.rows_needed(one.gain, share[one.candidate], alpha=level) for one in comparisons if one.gain > 0]
        near = [
            power.rows_within_margin(one.gain, share[one.candidate], margin, alpha=contest.alpha) for one in comparisons
        ]
    else:
        effect = power.effect_of_error(lead.standard_error, alpha=level)
        better = [
            power.rows_of_error(one.gain, one.standard_error, n, alpha=level) for one in comparisons if one.gain > 0
        ]
        near = [
            power.rows_of_error(margin - one.gain, one.standard_error, n, alpha=contest.alpha)
            if one.gain < margin
            else None
            for one in comparisons
        ]
    if lead.alike:
        return effect, None
    routes = [rows for rows in better if rows is not None]
    if all(rows is not None for rows in near):
        routes.append(max(rows for rows in near if rows is not None))
    return effect, max(n + 1, two_digits(min(routes))) if routes else None


def two_digits(count: int) -> int:
    """Rounded up to two significant digits: an estimate from an estimate deserves no more."""
    step = 10 ** max(0, len(str(count)) - 2)
    return int(-(-count // step) * step)
