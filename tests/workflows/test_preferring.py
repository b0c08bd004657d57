"""Runs of preferences: what is left behind, what is said of them, refused, resumed and talked to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whet
from tests.made_runs import Runs
from tests.made_tasks import preferences, thumbs
from whet.data.predictions import PreferencePredictions
from whet.data.predictions import load as load_predictions
from whet.errors import Interrupted, UserError
from whet.models.about import load_about
from whet.recipe import from_options
from whet.workflows.fit import fit
from whet.workflows.starting import start
from whet.workflows.talking import open_voices
from whet.workflows.usage import usage
from whet.workflows.using import open_model

OPTIONS: dict[str, Any] = {
    "training.epochs": 2.0,
    "training.learning_rate": 0.01,
    "evaluation.resamples": 100,
    "generation.max_tokens": 4,
    "preference.samples": 4,
    "forgetting.measure": False,
}


def options(runs: Runs, rows: Path, **more: Any) -> dict[str, Any]:
    named = {name.replace("__", "."): value for name, value in more.items()}
    fixed = {"data.source": str(rows), "task": "preference", "base": str(runs.base("decoder")), "method": "full"}
    return {**fixed, **OPTIONS, **named}


def fitted(runs: Runs, rows: Path, out: Path, stops: Any = lambda: False, **more: Any) -> Path:
    _, folder = start(from_options(options(runs, rows, **more)), out)
    for _ in fit(from_options(options(runs, rows, **more)), folder, lambda *_: None, stops):
        pass
    return folder.path


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing the page takes most of a tiny run's time; one run here draws it."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def codes(caught: Any) -> set[str]:
    return {problem.code for problem in caught.value.problems}


def read(run: Path, name: str) -> Any:
    return json.loads((run / name).read_text())


@pytest.fixture(scope="module")
def lora(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("lora")
    return fitted(runs, preferences(root), root / "run", method="lora")


def test_findings_say_what_was_learnt(lora: Path):
    found = {one["code"]: one for one in read(lora, "findings.json")}
    assert {"X020", "X021", "X022", "X023", "X024"} <= set(found)
    evidence = found["X020"]["evidence"]
    scores = read(lora, "scores.json")["models"]
    assert evidence["after"] == pytest.approx(scores["lora"]["pair_accuracy"]["value"])
    assert evidence["before"] == pytest.approx(scores["base"]["pair_accuracy"]["value"])
    assert found["X022"]["evidence"] == {
        "kl": read(lora, "preference.json")["lora"]["kl"],
        "kl_per_token": read(lora, "preference.json")["lora"]["kl_per_token"],
        "prompts": 4,
    }
    page = (lora / "report.html").read_text()
    assert "Rewards of answers" in page and "Its own answers" in page
    assert "has an unexpected form" not in page


def test_the_reference_is_the_adapter_switched_off(lora: Path):
    """What the run cached before training, and what the saved adapter's own base says."""
    from whet.data.forms import Examples

    kept = load_predictions(lora / "predictions" / "lora.test.parquet")
    again = open_model(lora, "lora").predict(Examples.open(lora / "data" / "test.arrow"))
    base = load_predictions(lora / "predictions" / "base.test.parquet")
    assert isinstance(kept, PreferencePredictions) and isinstance(again, PreferencePredictions)
    assert isinstance(base, PreferencePredictions)
    assert kept.reference == pytest.approx(base.policy, abs=1e-4)
    assert again.reference == pytest.approx(kept.reference, abs=1e-3)
    assert kept.rewards == pytest.approx(0.1 * (kept.policy - kept.reference))
    assert not (lora / "reference").exists()


@pytest.mark.parametrize("merge", [False, True])
def test_an_adapter_that_does_nothing_is_at_no_distance_of_a_quantised_base(
    runs: Runs, tmp_path: Path, undrawn: None, merge: bool
):
    """With B at 0 the policy is the reference, quantised as it is; merged, but for the rounding to 16 bits."""
    from whet.data.forms import Examples

    more = {"quantisation.bits": 8, "training.learning_rate": 1e-30, "training.epochs": 1.0, "lora.merge": merge}
    more["training.precision"] = "bf16" if merge else "fp32"
    run = fitted(runs, preferences(tmp_path, 60), tmp_path / "run", method="qlora", **more)
    found = load_predictions(run / "predictions" / "qlora.test.parquet")
    again = open_model(run, "qlora").predict(Examples.open(run / "data" / "test.arrow"))
    near = 1e-3 if merge else 1e-4
    for said in (found, again):
        assert isinstance(said, PreferencePredictions)
        assert said.policy == pytest.approx(said.reference, abs=near)
    assert again.reference == pytest.approx(found.reference, abs=1e-4)
    untouched = load_predictions(run / "predictions" / "base.test.parquet")
    assert np.abs(untouched.policy - found.reference).max() > 1e-3, "the base as it came says something else"
    assert abs(read(run, "preference.json")["qlora"]["kl"]["value"]) < near
    looks = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines() if "margin" in line]
    assert looks[0]["margin"] == pytest.approx(0, abs=1e-5), "nor is it in the precision of training"


def test_the_tuned_model_talks_and_judges(lora: Path):
    (voice,) = open_voices(lora, {"generation.max_tokens": 3})
    assert isinstance("".join(voice.ask("where order")), str)
    (found,) = whet.open_run(lora).predict(["where order"], ["thank item"])
    assert found.better is None and len(found.rewards) == 1
    with pytest.raises(UserError) as caught:
        whet.open_run(lora).predict(["where order"])
    assert codes(caught) == {"D105"}


def test_the_card_says_how_the_adapter_writes(lora: Path, runs: Runs, capsys: pytest.CaptureFixture[str]):
    """A decoder was loaded with 'num_labels=1', and nothing was asked of it."""
    text = usage(load_about(lora / "model"), str(runs.base("decoder"))).replace("RUN", str(lora))
    assert "num_labels" not in text
    code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[1]
    assert "AutoModelForCausalLM" in code and "generate(" in code
    exec(code, {})
    assert "Error" not in capsys.readouterr().out


def test_a_run_begins_from_the_model_of_another(runs: Runs, tmp_path: Path, undrawn: None):
    first = fitted(runs, preferences(tmp_path), tmp_path / "first", **{"preference.loss": "orpo"})
    second = fitted(runs, preferences(tmp_path), tmp_path / "second", base=str(first / "model"))
    one = load_predictions(first / "predictions" / "full.test.parquet")
    other = load_predictions(second / "predictions" / "base.test.parquet")
    assert isinstance(one, PreferencePredictions) and isinstance(other, PreferencePredictions)
    assert other.policy == pytest.approx(one.policy, abs=1e-3)


def test_stopped_and_resumed_is_the_same(runs: Runs, tmp_path: Path, undrawn: None):
    """KTO, whose batches hold unrelated answers, with the reference of an earlier process."""
    rows, seen, stopped = thumbs(tmp_path), list[int](), 0
    whole = fitted(runs, rows, tmp_path / "whole")

    def stops() -> bool:
        seen.append(1)
        return (tmp_path / "run" / "stages" / "reference.json").exists() and len(seen) % 4 == 0

    _, folder = start(from_options(options(runs, rows)), tmp_path / "run")
    for _ in range(40):
        try:
            for _ in fit(from_options(options(runs, rows)), folder, lambda *_: None, stops):
                pass
            break
        except Interrupted:
            stopped += 1
    assert stopped > 1
    one, other = (load_predictions(path / "predictions" / "full.test.parquet") for path in (whole, tmp_path / "run"))
    assert isinstance(one, PreferencePredictions) and isinstance(other, PreferencePredictions)
    assert np.array_equal(one.rewards, other.rewards)
    assert read(whole, "preference.json") == read(tmp_path / "run", "preference.json")


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_equal_answers_are_refused_with_their_lines(runs: Runs, tmp_path: Path):
    rows = [json.loads(line) for line in preferences(tmp_path, 60).read_text().splitlines()]
    for number in (4, 9):
        rows[number]["rejected"] = rows[number]["chosen"] + " "
    with pytest.raises(UserError) as caught:
        fitted(runs, write(tmp_path, rows), tmp_path / "run")
    assert [(one.code, one.where) for one in caught.value.problems] == [
        ("D100", "rows.jsonl:5"),
        ("D100", "rows.jsonl:10"),
    ]
    assert not (tmp_path / "run").exists()


def test_thumbs_have_no_loss_of_pairs(runs: Runs, tmp_path: Path):
    with pytest.raises(UserError) as caught:
        fitted(runs, thumbs(tmp_path), tmp_path / "run", preference__loss="simpo")
    assert codes(caught) == {"D104"}


def test_thumbs_of_one_kind_tell_nothing(runs: Runs, tmp_path: Path):
    rows = [{"prompt": f"where {n}", "completion": f"thank {n}", "label": True} for n in range(40)]
    with pytest.raises(UserError) as caught:
        fitted(runs, write(tmp_path, rows), tmp_path / "run")
    assert codes(caught) == {"D103"}


@pytest.mark.parametrize(
    ("named", "code"),
    [
        ({"preference.loss": "dpo", "preference.gamma": 2.0}, "R080"),
        ({"preference.desirable_weight": 2.0, "preference.loss": "ipo"}, "R080"),
        ({"preference.loss": "orpo", "preference.normalise": False}, "R081"),
        ({"method": "probe"}, "R082"),
        ({"task": "text-classification", "preference.beta": 1.0}, "R027"),
    ],
)
def test_options_that_contradict_each_other(named: dict[str, Any], code: str):
    with pytest.raises(UserError) as caught:
        from_options({"data.source": "rows.jsonl", "task": "preference", **named})
    assert code in codes(caught)


def test_an_encoder_says_no_next_token(runs: Runs, tmp_path: Path):
    with pytest.raises(UserError) as caught:
        fitted(runs, preferences(tmp_path), tmp_path / "run", base=str(runs.base("plain")))
    assert codes(caught) & {"M011", "M015"}
