"""Killed at any moment and resumed: bit for bit the run that nobody touched."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import forked
from tests.made_runs import Runs

from .contents import check_same, left_over, states
from .mishaps import KilledAtRename, KilledIn, TornLog

OFTEN = ["--set", "training.checkpoint_seconds=0.000001", "--set", "training.batch_tokens=128"]
"""A checkpoint after every step, and some fifteen steps."""

MOMENTS: dict[str, Callable[[], None]] = {
    "the splits are written": KilledIn("whet.data.reading.distribute", when="before"),
    "a split is in place, the others not yet": KilledAtRename(3),
    "the rows are read, their stage not yet noted": KilledIn("whet.data.reading.ReadResult.save", when="after"),
    "a stage is noted": KilledIn("whet.workflows.running.write_json", when="before"),
    "token ids are written": KilledIn("whet.batches.encoding.encode", 2, "after"),
    "a row of the log is written": TornLog(9),
    "predictions of a baseline are written": KilledIn("pyarrow.parquet.write_table", 2, "half"),
    "the probe is kept": KilledIn("whet.engine.checkpoint.save_file", when="half"),
    "the first best state is written": KilledIn("whet.engine.checkpoint.save_file", 2, "half"),
    "a checkpoint is written": KilledIn("whet.engine.checkpoint.save_file", 3, "half"),
    "a checkpoint is between its two renames": KilledIn("whet.engine.checkpoint.FolderKeeper.save", 6, "after"),
    "weights move": KilledIn("whet.engine.step._norm", 3, "before"),
    "training has ended, which is not yet noted": KilledIn("whet.workflows.training._speed", when="after"),
    "a model is saved": KilledIn("whet.models.saving.write_json", when="before"),
    "a saved model is looked at": KilledIn("whet.workflows.shipping.check_parity", when="before"),
    "predictions of a model are written": KilledIn("pyarrow.parquet.write_table", 1, "half"),
    "scores are in place, their stage not yet noted": KilledIn("whet.workflows.evaluating.write_json", when="after"),
    "the model to ship is copied": KilledIn("shutil.copytree", when="half"),
    "the report is drawn": KilledIn("whet.workflows.fit.write_report", when="after"),
}


@pytest.fixture(scope="module")
def whole(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody touched."""
    folder = tmp_path_factory.mktemp("whole")
    child = forked.run([*runs.line("full", folder / "run"), *OFTEN], folder)
    assert child.code() == 0, child.err
    return folder / "run"


@pytest.mark.slow
def test_killed_at_every_moment_in_turn(runs: Runs, whole: Path, tmp_path: Path):
    """One run, killed a score of times: each process dies a little further on."""
    run = tmp_path / "run"
    words = [*runs.line("full", run), *OFTEN]
    for moment, mishap in MOMENTS.items():
        child = forked.run(words, tmp_path / "output", [mishap])
        assert child.code() == -signal.SIGKILL, f"{moment}: {child.out}{child.err}"
        assert states(run) == "running", moment
        words = ["resume", str(run)]
    child = forked.run(words, tmp_path / "output")
    assert child.code() == 0, child.err
    assert states(run) == "finished"
    assert left_over(run) == []
    check_same(run, whole)


@pytest.mark.slow
def test_killed_at_random_renames(runs: Runs, whole: Path, tmp_path: Path):
    """Files come into their places by renames, so these are the moments between which a folder changes."""
    run = tmp_path / "run"
    draw = random.Random(0)
    words = [*runs.line("full", run), *OFTEN]
    for _ in range(12):
        mishap = KilledAtRename(draw.randint(4, 24), after=draw.random() < 0.5)
        child = forked.run(words, tmp_path / "output", [mishap])
        words = ["resume", str(run)]
        if child.code() == 0:
            break
        assert child.code() == -signal.SIGKILL, child.err
    else:
        child = forked.run(words, tmp_path / "output")
    assert child.code() == 0, child.err
    assert left_over(run) == []
    check_same(run, whole)


@pytest.mark.slow
def test_killed_from_outside(runs: Runs, tmp_path: Path):
    """Adapters and several labels a row, killed by the clock."""
    draw = random.Random(1)
    whole, run = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    child = forked.run([*runs.line("lora-several", whole), *OFTEN], tmp_path / "output")
    assert child.code() == 0, child.err
    words, killed = [*runs.line("lora-several", run), *OFTEN], 0
    for _ in range(4):
        child = forked.start(words, tmp_path / "output")
        child.process.join(0.1)
        child.wait_for((run / "recipe.yaml").exists)  # before that the run has not begun
        time.sleep(draw.uniform(0.0, 0.8))
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.kill(child.pid, signal.SIGKILL)
        killed += child.code() == -signal.SIGKILL
        if states(run) == "finished":
            break
        words = ["resume", str(run)]
    if states(run) != "finished":
        child = forked.run(words, tmp_path / "output")
        assert child.code() == 0, child.err
    assert killed
    assert left_over(run) == []
    check_same(run, whole)


def test_killed_while_frozen_layers_are_kept_and_after(runs: Runs, tmp_path: Path):
    """What they gave of all rows lies on disk, whole or not at all, and is read again."""
    top = ["--method", "top-layers", "--set", "layers.top=1", *OFTEN]
    whole, run = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    child = forked.run([*runs.line("full", whole), *top], tmp_path / "output")
    assert child.code() == 0, child.err
    words = [*runs.line("full", run), *top]
    moments = {
        "half of the rows are kept": KilledIn("whet.models.kept_trunk.token_numbers", 2, "before"),
        "weights move": KilledIn("whet.engine.step._norm", 5, "before"),
    }
    for moment, mishap in moments.items():
        child = forked.run(words, tmp_path / "output", [mishap])
        assert child.code() == -signal.SIGKILL, f"{moment}: {child.out}{child.err}"
        words = ["resume", str(run)]
    assert [path.name for path in run.rglob("trunk/*/vectors.bin")]
    child = forked.run(words, tmp_path / "output")
    assert child.code() == 0, child.err
    assert left_over(run) == []
    check_same(run, whole)


def test_what_is_said_twice_is_found_once(whole: Path):
    findings = json.loads((whole / "findings.json").read_text())
    assert [one["code"] for one in findings if one["code"] == "E008"] == ["E008", "E008"]
    assert {one["bin"] for one in findings if one["code"] == "E008"} == {"passed"}
