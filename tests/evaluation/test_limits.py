"""Limits: passed, failed, or nobody can tell; and each check by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.evaluation import made_kinds
from tests.evaluation.made import pair, single, softmaxed, with_right
from whet.evaluation import limit_checks
from whet.evaluation.limits import Limits, Outcome, holds, state_of, state_of_all
from whet.evaluation.paired import compare
from whet.evaluation.rows import same_rows
from whet.evaluation.slowdown import ratio

NONE = Limits(None, None, None, None, None, None)


def test_the_rule():
    assert state_of(-0.02, 0.01, 0.01) == "passed"
    assert state_of(0.011, 0.03, 0.01) == "failed"
    assert state_of(0.0, 0.03, 0.01) == "cannot_tell"
    made = [Outcome("a", "passed", ""), Outcome("b", "cannot_tell", ""), Outcome("c", "not_applicable", "")]
    assert state_of_all(made) == "cannot_tell"
    assert state_of_all([*made, Outcome("d", "failed", "")]) == "failed"
    assert state_of_all(made[:1] + made[2:]) == "passed"
    assert state_of_all(made[2:]) == "cannot_tell"
    assert [holds(state, strict) for state in ("passed", "cannot_tell", "failed") for strict in (False, True)] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def of(new: Any, old: Any, limit: float, metric: str = "accuracy", *, shared: bool = True) -> Outcome:
    found = compare(new, old, metric, seed=0, num_resamples=200, num_rounds=199)
    return limit_checks.quality(found, replace(NONE, max_drop=limit), shared)[0]


def test_quality_falls_or_not():
    new, old = pair(1000, 800, 10, 60)
    fallen = of(new, old, 0.01)
    assert fallen.state == "failed" and fallen.value == pytest.approx(0.05) and fallen.low > 0.01
    assert "5 points worse" in fallen.message
    assert of(old, new, 0.01).state == "passed"
    open_ = of(*pair(300, 250, 12, 12), 0.01)
    assert open_.state == "cannot_tell" and open_.value == 0.0 and open_.low < 0 < open_.high
    assert "rows would tell" in open_.message and open_.evidence["rows_to_decide"] > 300


def test_equal_answers_pass_however_few():
    new, old = pair(30, 20, 0, 0)
    assert of(new, old, 0.001).state == "passed"
    held = replace(NONE, max_flips=0.01, max_slice_flips=0.01)
    found = [of(new, old, 0.001), *limit_checks.flips(new, old, held, "accuracy", {}, ())]
    for one in found:
        assert one.state == "passed" and one.evidence["alike"] and one.high is not None and one.high > 0.01
        assert "Both runs give equal answers to all" in one.message and "however few" in one.message
        assert "may turn" not in one.message and "by chance" not in one.message, "which would contradict the state"


def test_quality_where_less_is_better():
    good, poor = (made_kinds.model("generation", q, name=name, n=200) for q, name in ((0.9, "a"), (0.5, "b")))
    worse = of(poor, good, 0.01, "token_nats", shared=False)
    assert worse.state == "failed" and worse.value > 0.5 and worse.unit == "token_nats"
    assert of(good, poor, 0.01, "token_nats", shared=False).state == "passed"


def flips_of(new: Any, old: Any, limits: Limits, traits: Any = None, asked: Any = ()) -> list[Outcome]:
    return limit_checks.flips(*same_rows(new, old), limits, "accuracy", traits or {}, asked)


def test_flips_over_all_rows():
    new, old = pair(1000, 800, 100, 20)
    (found,) = flips_of(new, old, replace(NONE, max_flips=0.05))
    assert found.state == "passed" and found.value == 0.02 and found.high < 0.05
    assert "20 of 1,000 rows turned from right to wrong (2.0 %)" in found.message
    assert flips_of(new, old, replace(NONE, max_flips=0.005))[0].state == "failed"
    assert flips_of(new, old, replace(NONE, max_flips=0.025))[0].state == "cannot_tell"


def test_a_slice_that_breaks_is_named():
    rng = np.random.default_rng(0)
    old_right = rng.random(900) < 0.95
    inside = np.arange(900) % 5 == 0
    new_right = old_right & ~(inside & (rng.random(900) < 0.4))
    new, old = with_right(new_right, model="n"), with_right(old_right, model="o")
    traits = {"with digits": inside, "of 3 rows": np.arange(900) < 3}
    (found,) = flips_of(new, old, replace(NONE, max_slice_flips=0.1), traits)
    assert found.state == "failed" and "Surely beyond it: rows with digits" in found.message
    told = {one["rows"]: one for one in found.evidence["slices"]}
    assert told["with digits"]["state"] == "failed"
    assert told["of 3 rows"]["state"] == "too_few"
    assert {"of class 'a'", "of class 'b'"} < set(told)


def test_one_of_many_small_slices_does_not_fail_by_chance():
    """Three of six rows look terrible, and among forty such parts they are nothing."""
    old_right = np.ones(600, bool)
    new_right = old_right.copy()
    new_right[[0, 2, 4]] = False
    parts = {f"number {one}": (np.arange(600) // 6) == one for one in range(40)}
    (found,) = flips_of(
        with_right(new_right, model="n"), with_right(old_right, model="o"), replace(NONE, max_slice_flips=0.1), parts
    )
    assert found.state != "failed"


@pytest.mark.parametrize(("broken", "state", "of_all"), [(6, "cannot_tell", "cannot_tell"), (2, "too_few", "passed")])
def test_a_small_slice_beyond_the_limit_is_not_passed_over(broken: int, state: str, of_all: str):
    """Six of twenty rows, one part of thirteen: not surely beyond 10 %, and nothing says that the limit holds."""
    new_right = np.arange(2400) >= broken
    parts: dict[str, Any] = {f"number {one}": np.arange(2400) % 10 == one for one in range(10)}
    parts["rare"] = np.arange(2400) < 20
    new, old = with_right(new_right, model="n"), with_right(np.ones(2400, bool), model="o")
    (found,) = flips_of(new, old, replace(NONE, max_slice_flips=0.1), parts)
    assert len(found.evidence["slices"]) == 13
    assert next(one["state"] for one in found.evidence["slices"] if one["rows"] == "rare") == state
    assert found.state == of_all
    assert ("Nobody can tell of rows rare." in found.message) == (state == "cannot_tell")


def test_no_row_is_right_or_wrong():
    new, old = (made_kinds.model("regression", 0.8, name=name) for name in "ab")
    limits = replace(NONE, max_flips=0.05, max_slice_flips=0.1)
    first, second = same_rows(new, old)
    assert [one.state for one in limit_checks.flips(first, second, limits, "r2", {}, ())] == ["not_applicable"] * 2
    asked = limit_checks.flips(first, second, limits, "r2", {}, ("max_flips",))
    assert [one.state for one in asked] == ["cannot_tell", "not_applicable"]


def test_calibration():
    rng = np.random.default_rng(0)
    honest, boastful = softmaxed(rng, 3000, 4, 1.0), softmaxed(rng, 3000, 4, 3.0)
    limits = replace(NONE, max_ece=0.05)
    assert limit_checks.calibration(honest, boastful, limits, (), seed=0)[0].state == "passed"
    failed = limit_checks.calibration(boastful, honest, limits, (), seed=0)[0]
    assert failed.state == "failed" and "before" in failed.message
    few = single([0, 1] * 20, [0, 1] * 20)
    assert limit_checks.calibration(few, few, limits, (), seed=0)[0].state == "not_applicable"
    assert limit_checks.calibration(few, few, limits, ("max_ece",), seed=0)[0].state == "cannot_tell"


def lost(value: float, spread: float = 0.005, way: str = "probes") -> dict[str, Any]:
    return {"moves": True, "forgotten": {"way": way, "value": value, "low": value - spread, "high": value + spread}}


def test_forgetting():
    limits = replace(NONE, max_forgotten="auto")
    states = [
        limit_checks.forgetting(told, None, own, limits, asked)[0].state
        for told, own, asked in (
            (lost(0.01), None, ()),
            (lost(0.03), None, ()),
            (lost(0.03), 0.05, ()),
            (lost(0.02), None, ()),
            (lost(0.05, way="text"), None, ()),
            ({"moves": False, "forgotten": None}, None, ()),
            (None, None, ()),
            (None, None, ("max_forgotten",)),
        )
    ]
    assert states == [
        "passed", "failed", "passed", "cannot_tell", "passed", "passed", "not_applicable", "cannot_tell"
    ]  # fmt: skip
    assert limit_checks.forgetting(lost(0.01), None, None, replace(NONE, max_forgotten=0.001), ())[0].state == "failed"
    gained = limit_checks.forgetting(lost(-0.02), lost(0.01), None, limits, ())[0]
    assert "2.0 points of what the base knew are gained (a loss of 1.0 before)" in gained.message


def test_latency():
    limits = replace(NONE, max_slower=1.2)
    rng = np.random.default_rng(0)
    old = 1 + 0.02 * rng.random(9)
    for factor, state in ((1.0, "passed"), (1.5, "failed"), (1.2, "cannot_tell")):
        assert limit_checks.latency(factor * (1 + 0.02 * rng.random(9)), old, 8, "", limits, ())[0].state == state
    assert limit_checks.latency((), (), 0, "No model.", limits, ())[0].state == "not_applicable"
    assert limit_checks.latency((), (), 0, "No model.", limits, ("max_slower",))[0].state == "cannot_tell"
    assert limit_checks.latency((), (), 0, "", NONE, ()) == []


def test_the_times_that_are_told_are_those_of_the_ratio():
    """Of the medians of both the ratio would be another: 2 against 2, and 1.5 times as long."""
    new, old = [1.0, 2.0, 2.0, 2.0, 3.0, 3.0, 6.0, 9.0, 1.5], [1.0, 1.0, 4.0, 2.0, 2.0, 2.0, 1.0, 5.0, 1.0]
    (found,) = limit_checks.latency(new, old, 1000, "", replace(NONE, max_slower=1.2), ())
    assert found.value == pytest.approx(1.5) and np.median(new) == np.median(old) == 2
    told, against = (float(found.message.split()[place].rstrip(",")) for place in (0, 5))
    assert told / against == pytest.approx(1.5), found.message


def test_one_disturbed_round_of_nine_does_no_harm():
    times = np.ones(9)
    disturbed = times.copy()
    disturbed[4] = 30.0
    assert ratio(disturbed, times) == ratio(times, times)
    six = ratio([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], np.ones(6))
    assert (six.low, six.value, six.high) == (1.0, 3.5, 6.0)
    with pytest.raises(ValueError, match="6 rounds"):
        ratio([1.0] * 5, [1.0] * 5)


def test_the_interval_of_the_ratio_holds_the_median():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = ratio(np.exp(rng.standard_t(2, 9)), np.ones(9))
        held += found.low <= 1 <= found.high
    assert held >= 0.93 * 400
