"""Each limit of ``whet gate`` held against two sets of predictions, or what two runs noted; see ``limits``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation import power
from whet.evaluation.alike import say_the_same
from whet.evaluation.calibration import ece
from whet.evaluation.flips import Rights, rights, rights_by_part
from whet.evaluation.gates import DECISIONS, FEWEST_ROWS_ECE, NEITHER, RIGHT, RIGHT_CHOICE, UNSTATED
from whet.evaluation.kinds import kind_of, right_by
from whet.evaluation.limits import FORGOTTEN, WORDS, Limits, Outcome, State, missing, state_of
from whet.evaluation.measures import CHOICE, MEASURES, lower_is_better
from whet.evaluation.paired import Comparison, holm
from whet.evaluation.shares import LEVEL, effective_rows, floor, share_interval
from whet.evaluation.slowdown import ratio
from whet.evaluation.verdict import two_digits
from whet.evaluation.weakness import PARTS, listed
from whet.evaluation.wording import amount

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

Asked = Collection[str]
MOST_TIMES = 100
"""No more rows than so many times those there are is a number that helps anybody."""
QUALITY, FLIPS, SLICES = "quality", "flips", "flips in slices"
CALIBRATION, FORGETTING, LATENCY = "calibration", "forgetting", "latency"


def quality(found: Comparison, limits: Limits, shared: bool = False) -> list[Outcome]:
    """Whether the metric of the verdict has fallen by no more than ``max_drop``.

    :param found: the new model as candidate, against the old one.
    :param shared: whether the metric is a share of all rows, each by itself.
    """
    limit = limits.max_drop
    if limit is None:
        return []
    sign = 1.0 if lower_is_better(found.metric) else -1.0
    low, high = sorted((sign * found.low, sign * found.high))
    drop, rows = sign * found.difference + 0.0, f"{found.num_rows:,} {MEASURES[found.metric].rows}"
    figures: dict[str, Any] = {"limit": limit, "value": drop, "low": low, "high": high, "unit": found.metric}
    evidence = found.to_json()
    if found.alike:
        message = f"{_equal(rows)} It is neither better nor worse; the limit is {amount(limit, found.metric)} worse."
        return [Outcome(QUALITY, "passed", message, **figures, evidence=evidence)]
    state = state_of(low, high, limit)
    message = (
        f"{MEASURES[found.metric].words} is {_moved(drop, found.metric)}; {rows} leave open anything from "
        f"{_moved(low, found.metric)} to {_moved(high, found.metric)}, and the limit is "
        f"{amount(limit, found.metric)} worse."
    )
    if state == "cannot_tell" and (needed := _rows_needed(found, shared, drop, limit)) is not None:
        evidence["rows_to_decide"] = needed
        message += f" About {needed:,} {MEASURES[found.metric].rows} would tell, if they turn out like these."
    return [Outcome(QUALITY, state, _sentence(message), **figures, evidence=evidence)]


def _equal(rows: str) -> str:
    """Why a limit on answers is passed, however few rows there are."""
    return f"Both runs give equal answers to all {rows}, which passes however few they are."


def _rows_needed(found: Comparison, shared: bool, drop: float, limit: float) -> int | None:
    """How many rows would show that the limit holds, or that it does not; None where the drop is the limit."""
    if drop < limit and shared:
        changed = (found.positive_flips + found.negative_flips) / found.num_rows
        rows = power.rows_within_margin(drop, changed, limit) if limit > 0 else None
    else:
        rows = power.rows_of_error(drop - limit, found.standard_error, found.num_rows)
    if rows is None or rows > MOST_TIMES * found.num_rows:
        return None
    return max(found.num_rows + 1, two_digits(rows))


def _moved(drop: float, metric: str) -> str:
    if drop == 0:
        return "unchanged"
    return f"{amount(abs(drop), metric)} {'worse' if drop > 0 else 'better'}"


def flips(
    new: Predictions,
    old: Predictions,
    limits: Limits,
    metric: str,
    traits: Mapping[str, NDArray[np.bool_]],
    asked: Asked,
) -> list[Outcome]:
    """Whether few enough rows turned from right to wrong: over all rows, and within each part of them.

    :param traits: masks over the rows in the order of their ids, by what goes on after "rows ...".
    """
    wanted = [
        (name, limit, key)
        for name, limit, key in (
            (FLIPS, limits.max_flips, "max_flips"),
            (SLICES, limits.max_slice_flips, "max_slice_flips"),
        )
        if limit is not None
    ]
    if right_by(new, metric) is None or right_by(old, metric) is None:
        why = f"{NEITHER.get(new.kind, 'No row is right or wrong.')} So none can turn from right to wrong."
        return [missing(name, why, limit, asked, key) for name, limit, key in wanted]
    whole, alike = rights(new, old, metric), say_the_same(new, old, metric)
    found = []
    if limits.max_flips is not None:
        meaning = RIGHT_CHOICE if metric == CHOICE else RIGHT.get(new.kind, "")
        found.append(_over_all(whole, limits.max_flips, meaning, alike))
    if limits.max_slice_flips is not None:
        parts = _parts(new, old) | {name: whole.at(rows) for name, rows in traits.items()}
        found.append(_in_slices(parts, limits.max_slice_flips, asked, alike))
    return found


def _over_all(whole: Rights, limit: float, meaning: str, alike: bool) -> Outcome:
    counts = whole.flips
    low, high = share_interval(whole.old & ~whole.new, whole.groups)
    message = (
        f"{counts.negative:,} of {counts.num_rows:,} rows turned from right to wrong "
        f"({_percent(counts.negative_rate)}) and {counts.positive:,} from wrong to right. On other rows of this sort "
        f"{_percent(low)} to {_percent(high)} may turn to wrong; the limit is {_percent(limit)}.{meaning}"
    )
    if alike:
        rows = f"{counts.num_rows:,} rows"
        message = f"{_equal(rows)} None turned from right to wrong; the limit is {_percent(limit)}."
    evidence = {"num_rows": counts.num_rows, "negative": counts.negative, "positive": counts.positive, "alike": alike}
    state = "passed" if alike else state_of(low, high, limit)
    return Outcome(FLIPS, state, message, limit, counts.negative_rate, low, high, "share", evidence)


def _parts(new: Predictions, old: Predictions) -> dict[str, Rights]:
    """The parts that a kind knows, by the same words as traits."""
    one = PARTS[new.kind].one if new.kind in PARTS else "part"
    return {f"of {one} {name!r}": part for name, part in rights_by_part(new, old).items()}


def _in_slices(parts: Mapping[str, Rights], limit: float, asked: Asked, alike: bool) -> Outcome:
    """Each slice by itself; to fail, one must stand out among as many as there are (exact binomial test, Holm).

    Slices that are too small to show that the limit holds stop nothing, as long as nothing in them speaks against it.
    """
    if not parts:
        return missing(SLICES, "The rows are not known to have any parts.", limit, asked, "max_slice_flips")
    beyond = holm([_p_of_more(part, limit) for part in parts.values()])
    told = [_slice(name, part, limit, p) for (name, part), p in zip(parts.items(), beyond, strict=True)]
    worst = max(told, key=lambda one: (one["state"] == "failed", one["low"], one["value"]))
    by_state = {state: [one["rows"] for one in told if one["state"] == state] for state in (*WORDS, "too_few")}
    state: State = "failed" if by_state["failed"] else "cannot_tell" if by_state["cannot_tell"] else "passed"
    if len(by_state["too_few"]) == len(told):
        state = "cannot_tell"
    sentences = [
        f"{len(told):,} parts of the rows looked at; most turned from right to wrong among rows {worst['rows']}: "
        f"{worst['negative']:,} of {worst['num_rows']:,} ({_percent(worst['value'])}; by chance it may stand for "
        f"{_percent(worst['low'])} to {_percent(worst['high'])}). The limit is {_percent(limit)} in each."
    ]
    for name, words in (("failed", "Surely beyond it: rows"), ("cannot_tell", "Nobody can tell of rows")):
        sentences += [f"{words} {listed(by_state[name])}."] if by_state[name] else []
    if few := len(by_state["too_few"]):
        small = "1 is too small" if few == 1 else f"{few:,} are too small"
        sentences.append(f"{small} to show that the limit holds, even without a single such row.")
    figures = {name: worst[name] for name in ("value", "low", "high")}
    if alike:
        rows = f"rows in {len(told):,} parts"
        state, sentences = "passed", [f"{_equal(rows)} None turned in any; the limit is {_percent(limit)} in each."]
    evidence = {"slices": told, "alike": alike}
    return Outcome(SLICES, state, " ".join(sentences), limit, unit="share", evidence=evidence, **figures)


def _p_of_more(part: Rights, limit: float) -> float:
    """How often so many rows or more would turn if ``limit`` were their true share: one-sided, exact."""
    from scipy.special import betainc

    negative = part.old & ~part.new
    n = effective_rows(negative, part.groups)
    count = float(negative.mean()) * n
    return float(betainc(count, n - count + 1, limit)) if count > 0 else 1.0


def _slice(name: str, part: Rights, limit: float, p: float) -> dict[str, Any]:
    negative = part.old & ~part.new
    low, high = share_interval(negative, part.groups)
    state: str = "failed" if p < (1 - LEVEL) / 2 else "passed" if high <= limit else "cannot_tell"
    counts = part.flips
    if state == "cannot_tell" and counts.negative_rate <= limit and floor(len(negative)) > limit:
        state = "too_few"
    return {
        "rows": name,
        "num_rows": counts.num_rows,
        "negative": counts.negative,
        "positive": counts.positive,
        "value": counts.negative_rate,
        "low": low,
        "high": high,
        "p_holm": p,
        "state": state,
    }


def calibration(new: Predictions, old: Predictions, limits: Limits, asked: Asked, *, seed: int) -> list[Outcome]:
    """Whether the probabilities that the new run states are off by no more than ``max_ece`` on average."""
    limit, key = limits.max_ece, "max_ece"
    if limit is None:
        return []
    stated = kind_of(new).decisions(new)
    if stated is None:
        why = UNSTATED.get(new.kind, "This task states no probabilities.")
        return [missing(CALIBRATION, why, limit, asked, key)]
    if len(stated[0]) < FEWEST_ROWS_ECE:
        what = f"{len(stated[0]):,} {DECISIONS.get(new.kind, 'decisions')}"
        why = f"{what} are too few to say whether probabilities hold (at least {FEWEST_ROWS_ECE})."
        return [missing(CALIBRATION, why, limit, asked, key)]
    found, before = ece(new, seed=seed), ece(old, seed=seed)
    if found is None:
        return [missing(CALIBRATION, "Nothing was said with a probability.", limit, asked, key)]
    message = (
        f"Stated probabilities are off by {_points(found.value)} points on average (ECE"
        f"{'' if before is None else f'; {_points(before.value)} before'}); the rows leave open "
        f"{_points(found.low)} to {_points(found.high)}, and the limit is {_points(limit)}."
    )
    evidence = {"before": None if before is None else before.to_json()}
    state = state_of(found.low, found.high, limit)
    return [Outcome(CALIBRATION, state, message, limit, found.value, found.low, found.high, "share", evidence)]


def forgetting(
    new: Mapping[str, Any] | None, old: Mapping[str, Any] | None, own_limit: float | None, limits: Limits, asked: Asked
) -> list[Outcome]:
    """Whether the new run forgot no more of what the base knew than ``max_forgotten``.

    :param new: what forgetting.json holds of its model; None where that was not measured.
    :param own_limit: ``forgetting.limit`` of the new run's recipe.
    """
    limit, key = limits.max_forgotten, "max_forgotten"
    if limit is None:
        return []
    given = own_limit if limit == "auto" else float(limit)
    if new is None:
        why = "This was not measured: 'whet forgetting RUN' does so for a finished run."
        return [missing(FORGETTING, why, given, asked, key)]
    if not new["moves"]:
        message = "The model leaves every weight of its base as it was: nothing can be forgotten."
        return [Outcome(FORGETTING, "passed", message, given, 0.0, 0.0, 0.0)]
    found = new["forgotten"]
    if found is None:
        return [missing(FORGETTING, "Nothing that the base knows could be asked.", given, asked, key)]
    text = found["way"] == "text"
    most = FORGOTTEN[found["way"]] if given is None else given
    unit, shown = ("nats a token", lambda one: f"{one:.3f}") if text else ("points", _points)
    before = (old or {}).get("forgotten") or {}
    earlier = f" (a loss of {shown(before['value'])} before)" if before.get("way") == found["way"] else ""
    gone = found["value"] > 0
    message = (
        f"{shown(abs(found['value']))} {unit} of what the base knew are {'gone' if gone else 'gained'}{earlier}; what "
        f"was asked leaves open a loss of {shown(found['low'])} to {shown(found['high'])}, and the limit is "
        f"{shown(most)}."
    )
    state = state_of(found["low"], found["high"], most)
    figures = {name: float(found[name]) for name in ("value", "low", "high")}
    evidence = {"way": found["way"], "before": before.get("value")}
    return [Outcome(FORGETTING, state, message, most, unit="nats" if text else "share", evidence=evidence, **figures)]


def latency(
    new: Sequence[float], old: Sequence[float], num_rows: int, why_not: str, limits: Limits, asked: Asked
) -> list[Outcome]:
    """Whether the new model needs no more than ``max_slower`` times the old one's time for the same rows.

    :param new: seconds of each round; none where nothing was measured, and ``why_not`` says why.
    """
    limit = limits.max_slower
    if limit is None:
        return []
    if why_not:
        return [missing(LATENCY, why_not, limit, asked, "max_slower", "times")]
    found = ratio(new, old)
    ratios = np.asarray(new) / np.asarray(old)
    middle = int(np.argmin(np.abs(ratios - found.value)))
    shown = [1000 * some[middle] / num_rows for some in (new, old)]
    message = (
        f"{shown[0]:.3g} ms a row against {shown[1]:.3g}, which is {found.value:.2f} times as long, in the middle one "
        f"of {len(new)} rounds in turn; they leave open {found.low:.2f} to {found.high:.2f} times, and the limit is "
        f"{limit:.2f}."
    )
    evidence = {"new_seconds": list(new), "old_seconds": list(old), "num_rows": num_rows}
    state = state_of(found.low, found.high, limit)
    return [Outcome(LATENCY, state, message, limit, found.value, found.low, found.high, "times", evidence)]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
