"""Trainings that go wrong on purpose, and what is said of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import whet
from tests import made_rows
from tests.made_runs import Runs
from whet.evaluation.measures import MEASURES
from whet.report import write_report
from whet.workflows.comparing import compare

Fit = Callable[..., dict[str, dict[str, Any]]]
QUICK: dict[str, Any] = {
    "evaluation__resamples": 100,
    "evaluation__baselines": ["majority"],
    "evaluation__label_noise": False,
    "forgetting__measure": False,
    "training__restarts": 0,
}


@pytest.fixture
def fit(runs: Runs, tmp_path: Path, no_report: None) -> Fit:
    """Fine-tune, and give the findings by code."""

    def of(rows: Path, **options: Any) -> dict[str, dict[str, Any]]:
        base = str(runs.base("plain"))
        run = whet.fit(rows, base=base, method="full", out=tmp_path / "run", **{**QUICK, **options})
        return {one["code"]: one for one in json.loads((run.path / "findings.json").read_text())}

    return of


def shuffled(folder: Path) -> Path:
    """Rows whose labels say nothing: all that can be learnt is learnt by heart."""
    rows = made_rows.texts(150)
    labels = [label for _, label in rows]
    random.Random(0).shuffle(labels)
    pairs = [(text, label) for (text, _), label in zip(rows, labels, strict=True)]
    return made_rows.write_csv(folder / "shuffled.csv", ["message", "intent"], pairs)


def test_learning_labels_by_heart(fit: Fit, tmp_path: Path):
    named = {"training__epochs": 60.0, "training__learning_rate": 0.01, "training__patience": 100}
    found = fit(shuffled(tmp_path), head__start="random", **named)
    assert found["W001"]["bin"] == "tip" and found["W001"]["message"].startswith("Overfits from step")
    assert found["V005"]["message"] == "It overfits; W001 says how."
    assert found["W003"]["bin"] == "passed"
    losses = found["W001"]["evidence"]
    assert losses["train_loss"][-1] < losses["train_loss"][0]
    assert losses["validation_loss"][-1] > 1.03 * min(losses["validation_loss"])
    write_report(tmp_path / "run")
    assert "Overfits from step" in (tmp_path / "run" / "report.html").read_text()


def test_a_training_that_is_over_before_it_began(fit: Fit, tmp_path: Path):
    found = fit(
        made_rows.single(tmp_path, 150),
        training__epochs=1.0,
        training__learning_rate=0.003,
        training__evaluations_per_epoch=4,
        head__start="random",
    )
    assert (found["W002"]["bin"], found["V005"]["bin"]) == ("tip", "tip")
    assert (found["W001"]["bin"], found["W003"]["bin"]) == ("passed", "passed")


def test_a_rate_beyond_measure(fit: Fit, tmp_path: Path):
    found = fit(
        made_rows.single(tmp_path, 150),
        training__epochs=4.0,
        training__learning_rate=1.0,
        training__head_learning_rate=1.0,
        training__patience=50,
        head__start="random",
    )
    assert found["W003"]["bin"] == "issue" and "training.learning_rate" in found["W003"]["remedy"]
    assert found["V005"]["message"] == "The rate looks too high; W003 says how."
    assert found["W004"]["bin"] == "issue" and found["W004"]["message"].startswith("Collapsed")


def test_nothing_was_tuned(runs: Runs):
    told = json.loads((runs.finished("probe") / "findings.json").read_text())
    found = {one["code"]: one["bin"] for one in told}
    assert {found[code] for code in ("W001", "W002", "W003", "W004", "W005", "V005")} == {"not_applicable"}
    assert found["W006"] in ("passed", "tip", "issue")


def test_runs_that_differ_by_their_seed(runs: Runs, tmp_path: Path, no_report: None):
    folder = tmp_path / "rows"
    folder.mkdir()
    for place, name in enumerate(("train", "validation", "test")):
        made_rows.single(folder, 100, seed=place, name=name)
    paths = []
    for seed in (0, 1):
        named = {name: value for name, value in QUICK.items() if not name.startswith("training")}
        run = whet.fit(folder, base=str(runs.base()), method="probe", out=tmp_path / str(seed), seed=seed, **named)
        paths.append(run.path)
    found = compare(paths, margin=0.01, alpha=0.05).figures["findings"]
    assert [(one["code"], one["bin"]) for one in found] == [("W005", "passed")]
    assert set(found[0]["evidence"]["values"]) == {f"{seed}/{_shipped(paths[0])}" for seed in (0, 1)}
    assert found[0]["evidence"]["metric"] in MEASURES


def _shipped(run: Path) -> str:
    return str(json.loads((run / "verdict.json").read_text())["ship"])
