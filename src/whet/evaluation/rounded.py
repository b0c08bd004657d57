"""What rounding the weights of a model to few bits costs in quality, and what it saves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whet.evaluation.intervals import Estimate, paired_difference
from whet.evaluation.kinds import values_of
from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.wording import amount, number
from whet.findings import Finding

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

CODE = "E015"
MB = 1e6


def lost(
    rounded: Predictions,
    whole: Predictions,
    metric: str,
    *,
    words: str,
    margin: float,
    seed: int,
    level: float,
    num_resamples: int,
    costs: Mapping[str, Mapping[str, Any]],
) -> Finding:
    """E015: the same model in few bits and in whole weights, on the same test rows.

    Passed where it is surely not worse by more than the margin, an issue where it is surely worse by more.

    :param words: how the weights are kept, such as '8 bits'.
    :param costs: of both models, by their names, ``weights_bytes`` and ``predict_rows_per_second``.
    """
    found = paired_difference(rounded, whole, metric, seed=seed, num_resamples=num_resamples, level=level)
    gain = Estimate(-found.value, -found.high, -found.low) if lower_is_better(metric) else found
    values = {one.model: float(values_of(one)[metric]) for one in (whole, rounded)}
    quality = _quality(values[rounded.model], values[whole.model], metric, gain, level)
    message = f"In {words}, {quality}; {_saved(costs[whole.model], costs[rounded.model])}."
    evidence = {
        "metric": metric,
        "values": values,
        "difference": {"value": found.value, "low": found.low, "high": found.high, "level": level},
        "margin": margin,
        "costs": {name: dict(costs[name]) for name in values},
    }
    if gain.low > -margin:
        return Finding(CODE, "passed", message, rounded.model, "", evidence)
    if gain.high < -margin:
        remedy = "Use quantisation.bits=8, or train beside the quantised weights: method qlora."
        return Finding(CODE, "issue", message, rounded.model, remedy, evidence)
    more = f"{message} Whether that is worse by more than {amount(margin, metric)} cannot be told."
    return Finding(CODE, "tip", more, rounded.model, f"Label more test {MEASURES[metric].rows}.", evidence)


def _quality(rounded: float, whole: float, metric: str, gain: Estimate, level: float) -> str:
    """Such as 'accuracy is 91.2 instead of 91.5: 0.3 points worse (95 % interval -0.9 to 0.3)'."""
    said = f"{MEASURES[metric].words} is {number(rounded, metric)} instead of {number(whole, metric)}"
    how = f"{amount(abs(gain.value), metric)} {'better' if gain.value > 0 else 'worse'}"
    ends = f"{number(gain.low, metric)} to {number(gain.high, metric)}"
    return f"{said}: {how if gain.value else 'exactly as good'} ({100 * level:.0f} % interval {ends})"


def _saved(whole: Mapping[str, Any], rounded: Mapping[str, Any]) -> str:
    """Size on disk and time for a row, of both."""
    before, after = float(whole["weights_bytes"]), float(rounded["weights_bytes"])
    slow, fast = (1000 / max(float(one["predict_rows_per_second"]), 1e-9) for one in (whole, rounded))
    size = f"its weights take {after / MB:.3g} MB on disk instead of {before / MB:.3g} ({after / max(1.0, before):.0%})"
    return f"{size}, and a row {fast:.3g} ms instead of {slow:.3g} on this machine"
