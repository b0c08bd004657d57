"""Asked to stop by Ctrl-C or SIGTERM: the state is saved, and going on from it changes nothing."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests import forked
from tests.forked import Child
from tests.made_runs import Runs

from .contents import check_same, left_over, states
from .mishaps import SlowReading, SlowSteps

RESUME = "Stopped; everything is saved. Go on with: whet resume "


def noted(run: Path, text: str) -> bool:
    """Whether the log of a run holds ``text``."""
    log = run / "events.jsonl"
    return log.exists() and text in log.read_text()


def stopped_while_training(runs: Runs, run: Path, number: int, output: Path) -> Child:
    child = forked.start(runs.line("full", run), output, [SlowSteps(0.05)])
    child.wait_for(lambda: noted(run, '"kind": "evaluation"'))
    os.kill(child.pid, number)
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_while_training_and_resumed(runs: Runs, tmp_path: Path, number: int):
    run = tmp_path / "run"
    child = stopped_while_training(runs, run, number, tmp_path)
    assert child.code() == 130
    assert child.err.strip().endswith(RESUME + str(run))
    assert "Stopping: saving the state first. Ctrl-C again stops at once." in child.out
    assert "Traceback" not in child.err
    assert states(run) == "interrupted"
    assert (run / "checkpoints" / "full" / "0" / "last").is_dir()

    child = forked.run(["resume", str(run)], tmp_path)
    assert child.code() == 0, child.err
    assert "- train probe: done before" in child.out
    assert left_over(run) == []
    check_same(run, runs.finished("full"))


def test_stopped_with_json(runs: Runs, tmp_path: Path):
    """Who waits for one object gets one."""
    run = tmp_path / "run"
    child = forked.start([*runs.line("full", run), "--json"], tmp_path, [SlowSteps(0.05)])
    child.wait_for(lambda: noted(run, '"kind": "evaluation"'))
    os.kill(child.pid, signal.SIGTERM)
    assert child.code() == 130
    assert json.loads(child.out) == {"run": str(run), "state": "interrupted"}
    assert child.err.strip().endswith(RESUME + str(run))


def test_stopped_while_reading(runs: Runs, tmp_path: Path):
    """The stage under way ends first."""
    run = tmp_path / "run"
    child = forked.start(runs.line("full", run), tmp_path, [SlowReading(0.5)])
    child.wait_for((run / "state.json").exists)
    child.wait_for(lambda: noted(run, '"stage": "read"'))
    os.kill(child.pid, signal.SIGINT)
    assert child.code() == 130
    assert states(run) == "interrupted"
    assert not (run / "stages" / "audit.json").exists()
    child = forked.run(["resume", str(run)], tmp_path)
    assert child.code() == 0, child.err
    check_same(run, runs.finished("full"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_stops_at_once(runs: Runs, tmp_path: Path, number: int):
    """Within a step that would take a minute, nothing but an end at once can be meant."""
    run = tmp_path / "run"
    child = forked.start(runs.line("full", run), tmp_path, [SlowSteps(60.0)])
    child.wait_for(lambda: noted(run, '"kind": "evaluation"'))
    os.kill(child.pid, number)
    child.wait_for(lambda: "Ctrl-C again" in child.out)
    os.kill(child.pid, number)
    child.process.join(20)
    assert child.process.exitcode == 128 + number
    assert states(run) == "running"  # there was no time to say otherwise, and nothing depends on it


def test_an_interrupted_run_is_not_used(runs: Runs, tmp_path: Path):
    run = tmp_path / "run"
    stopped_while_training(runs, run, signal.SIGINT, tmp_path).code()
    for words in (["predict", str(run), str(runs.data())], ["evaluate", str(run), str(runs.data())]):
        child = forked.run(words, tmp_path)
        assert child.code() == 2
        assert child.err.startswith(f"F015 {run}: is interrupted, not finished")
        assert f"whet resume {run}" in child.err
