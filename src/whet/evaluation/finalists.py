"""Which of several ways to train is worth it, by the rule of a verdict, each way trained with several seeds.

The rule is that of :mod:`whet.evaluation.verdict`; what is compared are means over seeds, with intervals over seeds and
rows (:mod:`whet.evaluation.two_level`). Holm goes by the intervals themselves: the gains over the best baseline are
looked at from the surest on, the first at a level of alpha over their number, the next over one fewer, until one holds
zero. The ways were chosen on validation, and the rows here have had no say in that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from whet.errors import Problem, UserError
from whet.evaluation.contest import cost_rank
from whet.evaluation.intervals import RESAMPLES, Estimate, bootstrap, paired_difference
from whet.evaluation.kinds import primary_of, shared_metrics
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.two_level import TwoLevel, two_level, two_level_difference
from whet.evaluation.wording import amount, number, sentence

if TYPE_CHECKING:
    from whet.data.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to answer the test rows.

    - ``runs``: its trainings, which differ by their seed alone; one of what no seed changes, such as a baseline.
    - ``kind``: method or baseline, by which it costs.
    - ``words``: as a sentence names it.
    """

    name: str
    runs: tuple[Predictions, ...]
    kind: str
    words: str
    baseline: bool = False
    costs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the rule says: ``ship`` is the name of a contender; ``gains`` over the best baseline, more is better."""

    code: str
    ship: str
    reason: str
    metric: str
    margin: float
    alpha: float
    best: str
    best_baseline: str
    num_rows: int
    values: dict[str, dict[str, Any]]
    gains: dict[str, dict[str, Any]]
    near_best: list[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Gap:
    """A difference, turned so that more is better."""

    value: float
    low: float
    high: float

    @property
    def sureness(self) -> float:
        """How many half widths of its interval it is from zero."""
        return self.value / max((self.high - self.low) / 2, 1e-12)

    def to_json(self) -> dict[str, float]:
        """A JSON object."""
        return asdict(self)


def choose(
    contenders: Sequence[Contender],
    *,
    seed: int,
    margin: float,
    alpha: float,
    metric: str | None = None,
    num_resamples: int = RESAMPLES,
) -> Chosen:
    """Come to a verdict over ``contenders``; without baselines the cheapest takes their part.

    :raises UserError: V103, there is none; and as :func:`whet.evaluation.rows.same_rows`.
    """
    if not contenders:
        raise UserError(Problem("V103", "sweep", "there are no predictions to decide between.", "Evaluate a model."))
    metric = metric or _metric(contenders)
    field_ = _Field(_ordered(contenders, metric), metric, seed, alpha, num_resamples)
    held = [one for one in field_.ordered if one.baseline] or field_.ordered[:1]
    others = [one for one in field_.ordered if one not in held]
    baseline, best = field_.best(held), field_.best(field_.ordered)
    gains = {one.name: field_.gap(one, baseline) for one in others}
    near_best = [one for one in field_.ordered if field_.near(one, best, margin)]
    better = _surely_better(field_, others, baseline)
    if all(field_.near(baseline, one, margin) for one in others):
        code, ship = "keep_baseline", next((one for one in near_best if one in held), baseline)
    elif better:
        code, ship = "ship", next((one for one in near_best if one in better), field_.best(better))
    else:
        code, ship = "cannot_tell", next(one for one in held if field_.near(one, baseline, margin))
    return Chosen(
        code=code,
        ship=ship.name,
        reason=_reason(code, ship, best, baseline, field_, gains, margin),
        metric=metric,
        margin=margin,
        alpha=alpha,
        best=best.name,
        best_baseline=baseline.name,
        num_rows=len(best.runs[0]),
        values={one.name: _json(field_.value(one)) for one in field_.ordered},
        gains={name: one.to_json() for name, one in gains.items()},
        near_best=[one.name for one in near_best],
    )


def against(
    one: Contender, other: Contender, metric: str, *, seed: int, alpha: float, num_resamples: int = RESAMPLES
) -> Gap:
    """``one`` minus ``other`` with its interval at 1 - alpha, turned so that more is better."""
    return _Field([one, other], metric, seed, alpha, num_resamples).gap(one, other)


def over_seeds(one: Contender, other: Contender) -> bool:
    """Whether two are compared over seeds; where one that seeds change was trained once, the first models of both are.

    Nothing is known then of what another seed would give, and nothing is said of it.
    """
    trained = [len(some.runs) for some in (one, other) if not some.baseline]
    return bool(trained) and min(trained) > 1


def over_words(one: Contender, other: Contender) -> str:
    """What the interval of a difference is over."""
    return "seeds and rows" if over_seeds(one, other) else "rows, of one training"


class _Field:
    """Contenders, cheapest first, and how to compare two."""

    def __init__(self, ordered: Sequence[Contender], metric: str, seed: int, alpha: float, num_resamples: int) -> None:
        self.ordered, self.metric, self.seed, self.alpha = list(ordered), metric, seed, alpha
        self.num_resamples = num_resamples
        self._values: dict[str, TwoLevel | Estimate] = {}

    def value(self, one: Contender) -> TwoLevel | Estimate:
        """The mean of a contender with its interval."""
        if one.name not in self._values:
            known: dict[str, Any] = {"seed": self.seed, "num_resamples": self.num_resamples, "level": 1 - self.alpha}
            many = len(one.runs) > 1
            found = two_level(one.runs, self.metric, **known) if many else bootstrap(one.runs[0], self.metric, **known)
            self._values[one.name] = found
        return self._values[one.name]

    def best(self, some: Sequence[Contender]) -> Contender:
        """The best mean; the cheapest among equals."""
        sign = -1 if lower_is_better(self.metric) else 1
        return max(some, key=lambda one: sign * self.value(one).value)

    def gap(self, one: Contender, other: Contender, alpha: float | None = None) -> Gap:
        """How much better ``one`` is."""
        level = 1 - (self.alpha if alpha is None else alpha)
        known: dict[str, Any] = {"seed": self.seed, "num_resamples": self.num_resamples, "level": level}
        found: TwoLevel | Estimate
        if over_seeds(one, other):
            found = two_level_difference(one.runs, other.runs, self.metric, **known)
        else:
            found = paired_difference(one.runs[0], other.runs[0], self.metric, **known)
        if lower_is_better(self.metric):
            return Gap(-found.value, -found.high, -found.low)
        return Gap(found.value, found.low, found.high)

    def near(self, one: Contender, other: Contender, margin: float) -> bool:
        """Whether ``one`` is surely not worse than ``other`` by more than ``margin``."""
        return one.name == other.name or self.gap(one, other).low > -margin


def _metric(contenders: Sequence[Contender]) -> str:
    models = [one.runs[0] for one in contenders]
    return primary_of(models, {one.runs[0].model for one in contenders if one.baseline})


def _ordered(contenders: Sequence[Contender], metric: str) -> list[Contender]:
    """Those that the metric measures, cheapest first."""
    leading = next((one for one in contenders if not one.baseline), contenders[0]).runs[0]
    kept = [one for one in contenders if metric in shared_metrics(leading, one.runs[0])]
    costs = {f"{one.name}/{one.kind}": one.costs for one in kept}
    return sorted(kept, key=lambda one: cost_rank(f"{one.name}/{one.kind}", costs))


def _surely_better(field_: _Field, others: Sequence[Contender], baseline: Contender) -> list[Contender]:
    """Those whose gain over the baseline does not hold zero, after Holm."""
    rest = sorted(others, key=lambda one: -field_.gap(one, baseline).sureness)
    found = []
    for place, one in enumerate(rest):
        if field_.gap(one, baseline, field_.alpha / (len(rest) - place)).low <= 0:
            break
        found.append(one)
    return [one for one in field_.ordered if one in found]


def _json(value: TwoLevel | Estimate) -> dict[str, Any]:
    return value.to_json()


def _reason(
    code: str,
    ship: Contender,
    best: Contender,
    baseline: Contender,
    field_: _Field,
    gains: Mapping[str, Gap],
    margin: float,
) -> str:
    """Why, in a sentence or two with figures."""
    metric = field_.metric
    stands = f"{MEASURES[metric].words} {number(field_.value(ship).value, metric)}"
    lead = max(gains, key=lambda name: gains[name].value, default=None)
    if lead is None:
        return sentence(f"{ship.words} ({stands}) stands alone.")
    leader = next(one for one in field_.ordered if one.name == lead)
    if code == "ship":
        text = f"{_relation(ship, baseline, gains[ship.name], metric, field_.alpha)}: ship {ship.words} ({stands})."
        if ship.name != best.name and field_.near(ship, best, margin):
            text += f" {best.words} costs more and is better by less than the margin of {amount(margin, metric)}."
        return sentence(text)
    told = _relation(leader, baseline, gains[lead], metric, field_.alpha)
    if code == "keep_baseline":
        within = "" if ship.name == baseline.name else f", the cheapest within {amount(margin, metric)} of the best"
        sure = f"surely no gain of {amount(margin, metric)} or more"
        return sentence(f"{told}: {sure}, so keep {ship.words} ({stands}){within}.")
    return sentence(f"{told}: cannot tell. Until more test rows or seeds decide, use {ship.words} ({stands}).")


def _relation(one: Contender, other: Contender, gap: Gap, metric: str, alpha: float) -> str:
    how = f"{amount(abs(gap.value), metric)} {'better' if gap.value > 0 else 'worse'} than {other.words}"
    if gap.value == 0:
        how = f"exactly as good as {other.words}"
    level = f"{100 * (1 - alpha):.0f} % interval over {over_words(one, other)}"
    return f"{one.words} is {how} ({level} {number(gap.low, metric)} to {number(gap.high, metric)})"
