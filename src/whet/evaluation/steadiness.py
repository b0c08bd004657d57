"""W005: whether another seed would have given another model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from whet.evaluation.intervals import paired_difference
from whet.evaluation.kinds import primary_of
from whet.evaluation.measures import lower_is_better
from whet.evaluation.two_level import two_level
from whet.evaluation.wording import amount, number
from whet.findings import Finding

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

REMEDY = (
    "Train with several seeds and report all of them; lower training.learning_rate, raise training.epochs or "
    "training.warmup_share, or let fewer weights move."
)


def of_attempts(outcomes: Sequence[Mapping[str, Any]], model: str) -> Finding:
    """W005 of one run: how its restarts with other seeds ended.

    :param outcomes: of each attempt in order: ``failed``, whether it was no better than saying always the same, and
        ``best_score``.
    """
    failed = sum(bool(one.get("failed")) for one in outcomes)
    evidence = {"attempts": len(outcomes), "failed": failed, "best_scores": [one.get("best_score") for one in outcomes]}
    if failed:
        were = "was" if failed == 1 else "were"
        message = (
            f"{failed} of {len(outcomes)} trainings with another seed each {were} no better than a constant answer."
        )
        return Finding("W005", "issue", message, model, REMEDY, evidence)
    message = "One training, which did not fail: how far other seeds lie apart is not known."
    remedy = "Fit again with other values of --seed, and set the runs side by side with 'whet compare'."
    return Finding("W005", "not_applicable", message, model, remedy, evidence)


def of_seeds(
    runs: Sequence[Predictions], *, seed: int, margin: float, alpha: float, num_resamples: int = 2000
) -> Finding:
    """W005 of several runs whose recipes differ by their seed alone, on the same test rows.

    Unstable are seeds of which two differ by more than ``margin`` and by more than the rows leave open: the paired
    interval at ``alpha`` over all pairs (Bonferroni) does not hold zero.
    """
    metric = primary_of(list(runs))
    found = two_level(runs, metric, seed=seed, num_resamples=num_resamples, level=1 - alpha)
    low, high = min(found.each), max(found.each)
    evidence: dict[str, Any] = {
        "metric": metric,
        "values": dict(zip((one.model for one in runs), found.each, strict=True)),
    }
    evidence |= {"mean": found.to_json(), "of_seeds": found.of_seeds}
    pairs = list(combinations(range(len(runs)), 2))
    apart = [
        (runs[one].model, runs[other].model)
        for one, other in pairs
        if abs(found.each[one] - found.each[other]) > margin
        and _differ(runs[one], runs[other], metric, seed, 1 - alpha / len(pairs), num_resamples)
    ]
    said = (
        f"{len(runs)} seeds lie between {number(low, metric)} and {number(high, metric)} (mean "
        f"{number(found.value, metric)}, {100 * (1 - alpha):.0f} % interval over seeds and rows "
        f"{number(found.low, metric)} to {number(found.high, metric)})"
    )
    place = ", ".join(one.model for one in runs)
    if not apart:
        message = f"{said}: no two of them differ by more than the rows leave open."
        return Finding("W005", "passed", message, place, "", evidence)
    evidence["apart"] = [list(pair) for pair in apart]
    share = "most" if found.of_seeds > 0.5 else f"{100 * found.of_seeds:.0f} %"
    message = (
        f"{said}: {len(apart)} of {len(pairs)} pairs differ by more than {amount(margin, metric)} and by more than "
        f"the rows leave open; {share} of the uncertainty is that of the seed."
    )
    worst = min(runs, key=lambda one: (-1 if lower_is_better(metric) else 1) * evidence["values"][one.model])
    return Finding("W005", "issue", message, worst.model, REMEDY, evidence)


def _differ(one: Predictions, other: Predictions, metric: str, seed: int, level: float, num_resamples: int) -> bool:
    gap = paired_difference(one, other, metric, seed=seed, level=level, num_resamples=num_resamples)
    return not gap.low <= 0 <= gap.high
