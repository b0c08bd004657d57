"""Every task of encoders from rows to a model in use, through the same command as text classification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whet
from tests.made_runs import TRAINED, Runs
from tests.made_tasks import JOBS, Job
from whet.data.predictions import load as load_predictions
from whet.data.row_form import Choice
from whet.errors import UserError
from whet.workflows import using
from whet.workflows.comparing import compare


@pytest.fixture(params=JOBS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


def test_a_run_is_complete(fitted: Any, name: str):
    run, job = fitted(name), JOBS[name]
    scores, verdict = read(run, "scores.json"), read(run, "verdict.json")
    assert scores["task"] == job.task
    assert set(scores["models"]) == set(job.models)
    assert scores["primary"] == verdict["metric"] == job.metric
    assert verdict["ship"] in job.models
    for metrics in scores["models"].values():
        one = metrics[job.metric]
        assert one["low"] <= one["value"] <= one["high"]
    for model in job.models:
        for split in ("validation", "test"):
            assert len(load_predictions(run / "predictions" / f"{model}.{split}.parquet"))
    found = {finding["code"]: finding for finding in read(run, "findings.json")}
    assert found["E008"]["bin"] == "passed", found["E008"]["message"]
    assert (run / "report.html").stat().st_size > 10_000
    assert (run / "model" / "whet.json").is_file()


def test_the_saved_model_says_what_the_run_said(fitted: Any, name: str):
    """Every row of the test split, asked anew of the model in its folder."""
    run = fitted(name)
    said = load_predictions(run / "predictions" / "full.test.parquet")
    model = using.open_model(run, "full")
    from whet.data.forms import Examples

    again = model.predict(Examples.open(run / "data" / "test.arrow"))
    assert np.array_equal(said.ids, again.ids)
    assert said.kind == again.kind
    if said.kind == "spans":
        assert [said.said.row(i) for i in range(len(said))] == [again.said.row(i) for i in range(len(again))]
    elif said.kind == "answers":
        assert said.said == again.said
    elif said.kind == "preferences":
        assert again.rewards == pytest.approx(said.rewards, abs=1e-3)
        assert again.reference == pytest.approx(said.reference, abs=1e-3)
    elif said.kind == "values":
        assert again.said == pytest.approx(said.said, abs=1e-3)
    else:
        assert [[k for k, _ in said.said.row(i)[:3]] for i in range(len(said))] == [
            [k for k, _ in again.said.row(i)[:3]] for i in range(len(again))
        ]


@pytest.mark.parametrize("name", ["entities", "questions", "similarity", "regression", "preference"])
def test_predicting_and_evaluating_a_file(fitted: Any, tmp_path: Path, name: str):
    run, job = fitted(name), JOBS[name]
    rows = job.rows(tmp_path)
    found = list(using.predict(run, str(rows), Choice(), lambda *_: None, "full"))
    assert [one.line for one in found] == list(range(1, len(rows.read_text().splitlines()) + 1))
    for one in found:
        json.dumps(one.answer.to_json(True))
    scores = using.evaluate(run, str(rows), Choice(), tmp_path / "kept", lambda *_: None, "full")
    assert scores["primary"] == job.metric
    assert scores["num_rows"] == len(found)
    assert (tmp_path / "kept" / "predictions" / "full.test.parquet").is_file()


@pytest.mark.parametrize(
    ("name", "least"), [("entities", 0.4), ("regression", 0.2), ("similarity", 0.3), ("preference", 0.8)]
)
def test_something_is_learnt(fitted: Any, name: str, least: float):
    job: Job = JOBS[name]
    assert read(fitted(name), "scores.json")["models"]["full"][job.metric]["value"] > least


def test_the_untouched_base_is_pooled_as_it_was_trained(fitted: Any, runs: Runs, tmp_path: Path):
    """Whatever the recipe asks of the model that is trained."""
    job = JOBS["similarity"]
    options = {**TRAINED, **job.options, "training.epochs": 0.5, "head.pooling": "first"}
    named = {key.replace(".", "__"): value for key, value in options.items()}
    run = whet.fit(
        job.rows(tmp_path), task=job.task, base=str(runs.base("mean")), method="full", out=tmp_path / "run", **named
    )
    said, usual = (
        load_predictions(path / "predictions" / "base_cosine.test.parquet") for path in (run.path, fitted("similarity"))
    )
    assert said.said == pytest.approx(usual.said, abs=1e-6)


def test_what_was_loaded_anew_is_said(fitted: Any):
    """Two libraries give, one gives."""
    said = {
        name: next(one["message"] for one in read(fitted(name), "findings.json") if one["code"] == "E008")
        for name in ("similarity", "regression")
    }
    assert "transformers and sentence-transformers give the same vectors" in said["similarity"]
    assert "transformers gives the same numbers" in said["regression"]


def test_runs_of_different_tasks_are_not_compared(fitted: Any):
    paths = [fitted("similarity"), fitted("regression")]
    with pytest.raises(UserError) as caught:
        compare(paths, margin=0.01, alpha=0.05)
    (problem,) = caught.value.problems
    assert problem.code == "V102"
    assert problem.what == f"is a run of regression, and {paths[0]} one of sentence-similarity."
