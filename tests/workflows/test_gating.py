"""Two runs held against limits, and the files that say which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whet
from tests.evaluation.made import single
from tests.made_compared import run_of, texts, two
from whet.data.normal import hashes
from whet.data.predictions import save
from whet.errors import UserError
from whet.evaluation.limits import DEFAULTS, Limits
from whet.files import write_json
from whet.folder import FINISHED, RUNNING, RunFolder
from whet.workflows import latency
from whet.workflows.comparing import compare
from whet.workflows.gating import gate
from whet.workflows.limits_file import NAMES, Wanted, wanted
from whet.workflows.two_runs import opened, rows_of


def silent(*_: object) -> None: ...


def only(*, strict: bool = False, **limits: Any) -> Wanted:
    """Nothing looked at but these."""
    none = dict.fromkeys(NAMES)
    return Wanted(
        Limits(**{**none, **limits}), frozenset(limits) if "auto" not in limits.values() else frozenset(), strict
    )


def states(found: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["state"] for one in found["outcomes"]}


def test_a_run_that_breaks_nothing_goes_on(tmp_path: Path):
    old, new = two(tmp_path, 900, fixed=range(60))
    found = gate(new, old, only(max_drop=0.01, max_flips=0.02, max_slice_flips=0.1), silent)
    assert states(found) == {"quality": "passed", "flips": "passed", "flips in slices": "passed"}
    assert found["state"] == "passed" and found["go_on"]
    assert found["models"] == {"run": "full", "against": "full"}
    slices = {one["rows"] for one in found["outcomes"][2]["evidence"]["slices"]}
    assert {"of class 'a'", "with digits", "with a question mark"} < slices


def test_a_run_that_breaks_rows_is_stopped(tmp_path: Path):
    old, new = two(tmp_path, 900, broke=range(90))
    found = gate(new, old, only(max_drop=0.01, max_flips=0.05), silent)
    assert states(found) == {"quality": "failed", "flips": "failed"}
    assert found["state"] == "failed" and not found["go_on"]


def test_from_python(tmp_path: Path):
    old, new = two(tmp_path, 900, fixed=range(60), broke=range(60, 80))
    found = whet.gate(new, old, max_drop=0.01, max_flips=0.001, max_slower=None, max_ece=None)
    assert states(found)["flips"] == "failed" and not found["go_on"]
    beside = whet.compare([old, new])
    assert whet.compare(whet.Run(old), str(new), margin=0.01) == beside, "one after the other, or as one list"
    for wrong in (([old, new], 0.01), (old,), ()):
        with pytest.raises(UserError, match="F016"):
            whet.compare(*wrong)
    (name,) = beside["beside"]
    assert (beside["beside"][name]["changed"]["fixed"], beside["beside"][name]["changed"]["broke"]) == (60, 20)
    with pytest.raises(UserError, match="V121"):
        whet.gate(new, old, max_dorp=0.1)


def test_what_nobody_can_tell_stops_only_where_strict(tmp_path: Path):
    old, new = two(tmp_path, 200, broke=range(5), fixed=range(5, 10))
    assert gate(new, old, only(max_drop=0.01), silent)["go_on"]
    found = gate(new, old, only(max_drop=0.01, strict=True), silent)
    assert found["state"] == "cannot_tell" and not found["go_on"]


def test_other_rows_are_refused(tmp_path: Path):
    old, _ = two(tmp_path / "one", 90)
    other = run_of(tmp_path / "other", single([0, 1, 2] * 30, [0] * 90), texts(90, seed=1))
    with pytest.raises(UserError, match="V101"):
        gate(other, old, only(max_drop=0.01), silent)


def test_runs_that_are_none(tmp_path: Path):
    old, new = two(tmp_path, 60)
    with pytest.raises(UserError, match="F016"):
        gate(old, old, Wanted(), silent)
    with pytest.raises(UserError, match="F012"):
        gate(new, tmp_path, Wanted(), silent)
    RunFolder(new).write_state(RUNNING)
    with pytest.raises(UserError, match="F015"):
        gate(new, old, Wanted(), silent)


def test_nothing_to_look_at_is_refused(tmp_path: Path):
    old, new = two(tmp_path, 60)
    with pytest.raises(UserError, match="V123"):
        gate(new, old, only(), silent)


def test_forgetting_is_read_from_the_run(tmp_path: Path):
    rows, said = texts(60), single([0, 1] * 30, [0, 1] * 30)
    told = {"way": "probes", "value": 0.05, "low": 0.04, "high": 0.06}
    asked = {"limit": None, "models": {"full": {"moves": True, "forgotten": told}}}
    old, new = run_of(tmp_path / "old", said, rows), run_of(tmp_path / "new", said, rows, forgetting=asked)
    assert states(gate(new, old, only(max_forgotten="auto"), silent)) == {"forgetting": "failed"}
    assert states(gate(new, old, only(max_forgotten=0.1), silent)) == {"forgetting": "passed"}
    assert states(gate(old, new, only(max_forgotten="auto"), silent)) == {"forgetting": "not_applicable"}
    assert states(gate(old, new, only(max_forgotten=0.1), silent)) == {"forgetting": "cannot_tell"}


class Slow:
    """A model that takes a fixed time by a clock of its own."""

    def __init__(self, clock: list[float], seconds: float) -> None:
        self.clock, self.seconds = clock, seconds

    def predict(self, rows: Any) -> None:
        self.clock[0] += self.seconds * len(rows)


def test_latency_is_measured_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old, new = two(tmp_path, 90)
    clock = [0.0]
    models = {"old": Slow(clock, 0.01), "new": Slow(clock, 0.015)}
    monkeypatch.setattr(latency, "_opened", lambda run: models[run.name])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock[0])
    (found,) = gate(new, old, only(max_slower=1.2), silent)["outcomes"]
    assert found["state"] == "failed" and found["value"] == pytest.approx(1.5)
    assert found["evidence"]["num_rows"] == 64 and len(found["evidence"]["new_seconds"]) == latency.ROUNDS
    assert "15 ms a row against 10, which is 1.50 times as long" in found["message"]


def test_a_model_that_is_much_slower_takes_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each is repeated by its own pace: that one must answer often to be timed at all is no matter of the other."""
    old, new = two(tmp_path, 90)
    clock = [0.0]
    models = {"old": Slow(clock, 0.0001), "new": Slow(clock, 0.5)}
    monkeypatch.setattr(latency, "_opened", lambda run: models[run.name])
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock[0])
    (found,) = gate(new, old, only(max_slower=1.2), silent)["outcomes"]
    assert found["state"] == "failed" and found["value"] == pytest.approx(5000)
    assert clock[0] < 30


def test_a_model_that_is_not_kept_is_not_timed(tmp_path: Path):
    old, new = two(tmp_path, 60)
    RunFolder(new).shipped.write_text('{"model": "other"}')
    RunFolder(old).shipped.write_text('{"model": "other"}')
    (found,) = gate(new, old, only(max_slower=1.2), silent)["outcomes"]
    assert found["state"] == "cannot_tell" and "not kept as a model" in found["message"]


def test_rows_come_from_whichever_run_still_has_them(tmp_path: Path):
    old, new = two(tmp_path, 60)
    assert rows_of(opened([old, new])) is not None
    (old / "data" / "test.arrow").unlink()
    assert rows_of(opened([old, new])) is not None
    run_of(tmp_path / "other", single([0] * 60, [0] * 60), texts(60, seed=5))
    (tmp_path / "other" / "data" / "test.arrow").replace(new / "data" / "test.arrow")
    assert rows_of(opened([old, new])) is None


def limits_of(tmp_path: Path, text: str, **given: Any) -> Wanted:
    path = tmp_path / "gate.yaml"
    path.write_text(text)
    return wanted(path, given)


def test_a_file_of_limits(tmp_path: Path):
    found = limits_of(tmp_path, "max_drop: 0.02\nmax_slower: null\nstrict: true\nmetric: macro_f1\n", max_flips=0.03)
    assert (found.limits.max_drop, found.limits.max_flips, found.limits.max_slower) == (0.02, 0.03, None)
    assert found.limits.max_ece == DEFAULTS.max_ece
    assert found.asked == {"max_drop", "max_flips"}
    assert found.strict and found.metric == "macro_f1"
    assert limits_of(tmp_path, "max_drop: 0.02", max_drop=0.05).limits.max_drop == 0.05
    assert limits_of(tmp_path, "") == Wanted()


@pytest.mark.parametrize(
    ("text", "code", "place"),
    [
        (
            "max_drop: 0.1\nmax_drop: 0.2",
            "R007",
            "gate.yaml:2 max_drop: stands in lines 1 and 2; one alone would count.",
        ),
        ("max_dorp: 0.1", "V121", "gate.yaml:1 max_dorp: is no limit. Did you mean 'max_drop'?"),
        ("max_ece: 0.1\nmax_drop: much", "V122", "gate.yaml:2 max_drop: is 'much', which is no number."),
        ("max_flips: 5", "V122", "is 5, and it is a share of 1."),
        ("max_drop: -1", "V122", "is -1, less than 0."),
        ("max_slower: 0", "V122", "no model takes less than no time"),
        ("strict: 3", "V122", "It is true or false."),
        ("- max_drop", "V120", "no mapping"),
        ("max_drop: [", "V120", "is not YAML"),
    ],
)
def test_mistakes_in_limits(tmp_path: Path, text: str, code: str, place: str):
    with pytest.raises(UserError) as caught:
        limits_of(tmp_path, text)
    assert caught.value.problems[0].code == code
    assert place in str(caught.value)


def test_all_mistakes_at_once(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        limits_of(tmp_path, "max_dorp: 1\nmax_ece: x\n", max_flips=-1.0)
    assert [one.code for one in caught.value.problems] == ["V121", "V122", "V122"]
    assert "--max-flips" in str(caught.value)
    with pytest.raises(UserError, match="V120"):
        wanted(tmp_path / "missing.yaml", {})


def test_a_series_stands_for_its_last_stage(tmp_path: Path):
    old, new = two(tmp_path, 300, broke=range(60))
    series = tmp_path / "series"
    (series / "runs").mkdir(parents=True)
    new.rename(series / "runs" / "task")
    RunFolder(series).write_state(FINISHED, answers="runs/task")
    found = gate(series, old, only(max_flips=0.05), silent)
    assert found["state"] == "failed" and found["run"] == str(series / "runs" / "task")


# --- sweeps -------------------------------------------------------------------------------------------


def sweep_of(path: Path, ship: str, *, answers: str | None = None, trial_ships: str = "full") -> Path:
    """A finished sweep of one trial, which trained two models, beside a baseline that broke 60 of 300 rows.

    :param ship: what its verdict ships; ``trial_ships``: what the trial would ship by itself.
    """
    gold = np.arange(300) % 3
    right, broken = gold, np.where(np.arange(300) < 60, (gold + 1) % 3, gold)
    run_of(path, single(gold, broken, num_labels=3, model="majority"), texts(300))
    trial = run_of(path / "trials" / "0002", single(gold, right, num_labels=3, model="full"), texts(300))
    probe = replace(single(gold, broken, num_labels=3, model="probe"), hashes=hashes(texts(300)))
    save(probe, RunFolder(trial).predictions("probe", "test"))
    write_json(RunFolder(trial).verdict, {"ship": trial_ships})
    write_json(RunFolder(trial).shipped, {"model": trial_ships})
    write_json(RunFolder(path).verdict, {"ship": ship})
    RunFolder(path).write_state(FINISHED, sweep=True, answers=answers)
    return path


@pytest.mark.parametrize(
    ("trial_ships", "answers"), [("full", "trials/0002/model"), ("probe", "trials/0002/models/full")]
)
def test_a_sweep_stands_for_the_trial_that_its_verdict_ships(tmp_path: Path, trial_ships: str, answers: str):
    sweep = sweep_of(tmp_path / "sweep", "trial 2", answers=answers, trial_ships=trial_ships)
    gold = np.arange(300) % 3
    old = run_of(tmp_path / "old", single(gold, gold, num_labels=3, model="lora"), texts(300))
    found = gate(sweep, old, only(max_flips=0.05, max_slice_flips=0.2), silent)
    assert found["state"] == "passed" and found["models"] == {"run": "full", "against": "lora"}
    assert found["run"] == str(sweep / "trials" / "0002")
    assert compare([old, sweep], 0.01, 0.05).figures["scores"].keys() == {"old/lora", "sweep/full"}


def test_a_sweep_that_ships_a_baseline_stands_for_that(tmp_path: Path):
    """Also where no model of it is kept, so that a finalist answers in its place, which is then not timed."""
    old, _ = two(tmp_path, 300)
    gold = np.arange(300) % 3
    old = run_of(tmp_path / "before", single(gold, gold, num_labels=3, model="lora"), texts(300))
    sweep = sweep_of(tmp_path / "sweep", "majority", answers="trials/0002/model")
    found = gate(sweep, old, only(max_flips=0.05, max_slower=1.2), silent)
    assert found["models"]["run"] == "majority" and found["run"] == str(sweep)
    assert states(found) == {"flips": "failed", "latency": "cannot_tell"}
    assert "ships 'majority', which is not kept as a model" in found["outcomes"][1]["message"]


def test_the_model_of_a_trial_is_timed_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The run of a trial has a verdict of its own, which may be for another of its models."""
    sweep = sweep_of(tmp_path / "sweep", "trial 2", answers="trials/0002/models/full", trial_ships="probe")
    (sweep / "trials" / "0002" / "models" / "full").mkdir(parents=True)
    old = run_of(tmp_path / "old", single([0, 1, 2] * 100, [0, 1, 2] * 100, num_labels=3, model="lora"), texts(300))
    asked = []
    monkeypatch.setattr("whet.workflows.using.open_model", lambda path, name=None: asked.append((path, name)))
    latency._opened(opened([old, sweep])[1])
    assert asked == [(sweep / "trials" / "0002", "full")]


def test_a_sweep_that_is_not_finished(tmp_path: Path):
    old, sweep = two(tmp_path, 60)
    RunFolder(sweep).write_state(RUNNING, sweep=True)
    with pytest.raises(UserError, match="whet sweep --resume"):
        gate(sweep, old, only(max_flips=0.05), silent)
