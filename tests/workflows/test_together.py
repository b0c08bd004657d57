"""Several tasks learnt together over one trunk: trained, stopped, gone on with, refused, held against going alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

import whet
from tests import made_rows, made_runs, made_tasks
from tests.made_models import make_base
from whet.cli.app import app
from whet.engine.events import Evaluated
from whet.errors import Interrupted, UserError
from whet.evaluation.paired import Comparison
from whet.folder import RunFolder
from whet.recipe import load
from whet.workflows import starting, together
from whet.workflows.events import OfModel
from whet.workflows.fit import fit


@pytest.fixture(autouse=True)
def drawn_without(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pages of single runs have tests of their own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
    yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, labelled rows, and rows with entities."""
    root = tmp_path_factory.mktemp("together")
    make_base(root / "base", "bert")
    made_rows.single(root, 90)
    made_tasks.entities(root, 60)
    return root


def written(place: Path, name: str, more: str = "", method: str = "full", task: str = "") -> Path:
    path = place / f"{name}.yaml"
    path.write_text(
        f"base: {place / 'base'}\n"
        f"method: {method}\n"
        "training: {epochs: 2, learning_rate: 0.01}\n"
        "evaluation: {resamples: 100, label_noise: false, baselines: [probe]}\n"
        "forgetting: {measure: false}\n"
        f"{more}"
        "tasks:\n"
        "  - name: intents\n"
        f"    data: {{source: {place / 'messages.csv'}}}\n"
        "  - name: names\n"
        "    task: token-classification\n"
        f"    data: {{source: {place / 'entities.jsonl'}}}\n"
        "    training: {epochs: 2, learning_rate: 0.01}\n"
        "    evaluation: {resamples: 100, baselines: [probe]}\n"
        "    forgetting: {measure: false}\n"
        f"{task}"
    )
    return path


@pytest.fixture(scope="module")
def run(place: Path) -> Iterator[whet.Run]:
    with made_runs.quiet_machine(place / "store.sqlite"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
        yield whet.fit(written(place, "both"), out=place / "both")


def weights(run: Path, task: str) -> dict[str, Any]:
    return load_file(RunFolder(run / "runs" / task).models / "together" / "model.safetensors")


def half_done(run: Path, task: str) -> bool:
    """Whether a task's part of the shared model was handed over."""
    return (RunFolder(run / "runs" / task).stages / "train together.json").exists()


def test_each_task_has_a_run_with_one_more_model(run: whet.Run) -> None:
    found = json.loads((run.path / "stages.json").read_text())["stages"]
    assert [(one["name"], one["task"], one["model"], one["state"]) for one in found] == [
        ("intents", "text-classification", "together", "finished"),
        ("names", "token-classification", "together", "finished"),
    ]
    for task in ("intents", "names"):
        folder = RunFolder(run.path / "runs" / task)
        scores = json.loads(folder.scores.read_text())["models"]
        assert {"probe", "full", "together"} <= set(scores)
        events = [json.loads(line) for line in folder.events.read_text().splitlines()]
        looks = [one for one in events if one["kind"] == "evaluation" and one["model"] == "together"]
        assert len(looks) > 1 and all("loss" in one for one in looks), "each run has its own numbers of the training"
    assert not (run.path / "checkpoints").exists()


def test_what_is_below_the_heads_is_the_same(run: whet.Run) -> None:
    one, other = weights(run.path, "intents"), weights(run.path, "names")
    common = [name for name in one if name in other and "encoder" in name and name.endswith("weight")]
    assert len(common) >= 12 and all(np.array_equal(one[name], other[name]) for name in common)


def test_what_sharing_gave_is_said_of_each_task(run: whet.Run) -> None:
    found = {one.place: one for one in run.findings if one.code == "X025"}
    assert set(found) == {"intents", "names"}
    for one in found.values():
        assert one.evidence["candidate"] == "together" and one.evidence["against"] == "full"
        assert one.evidence["p_holm"] >= one.evidence["p"]


def test_saved_parts_say_what_the_run_said(run: whet.Run) -> None:
    for task in ("intents", "names"):
        finding = json.loads(RunFolder(run.path / "runs" / task).facts("together").read_text())["parity"]
        assert finding["bin"] == "passed", finding


def test_stopped_and_gone_on_with_is_the_same(run: whet.Run, place: Path) -> None:
    recipe, folder = starting.start(load(written(place, "both")), place / "cut")
    seen = list[Evaluated]()

    def half_way() -> bool:
        return any(look.step for look in seen)

    with pytest.raises(Interrupted):
        for event in fit(recipe, folder, lambda *_: None, half_way):
            if isinstance(event, OfModel) and event.model == "together" and isinstance(event.event, Evaluated):
                seen.append(event.event)
    assert not half_done(folder.path, "intents") and not half_done(folder.path, "names")
    came = load_file(place / "base" / "model.safetensors")
    left = load_file(folder.path / "checkpoints" / "together" / "last" / "state.safetensors")
    moved = {name: weight for name, weight in left.items() if name.endswith("query.weight") and "optim" not in name}
    assert len(moved) == 2, "the weights of the trunk are there once"
    for name, weight in moved.items():
        assert not np.array_equal(weight, came[name.removeprefix("models.intents.network.").removeprefix("bert.")])
    whet.resume(place / "cut")
    for task in ("intents", "names"):
        cut, whole = weights(place / "cut", task), weights(run.path, task)
        assert all(np.array_equal(cut[name], whole[name]) for name in whole)


def test_what_was_trained_is_kept_when_a_late_step_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise UserError(whet.Problem("T001", "together", "memory runs out."))

    with monkeypatch.context() as patch, pytest.raises(UserError, match="T001"):
        patch.setattr("whet.workflows.together.learn", broken)
        whet.fit(written(place, "late"), out=place / "late")
    assert RunFolder(place / "late").read_state()["state"] == "failed"
    for task in ("intents", "names"):
        folder = RunFolder(place / "late" / "runs" / task)
        assert folder.read_state()["state"] == "failed" and (folder.stages / "train full.json").exists()
    trained = (place / "late" / "runs" / "names" / "stages" / "train full.json").stat().st_mtime_ns
    whet.resume(place / "late")
    assert (place / "late" / "runs" / "names" / "stages" / "train full.json").stat().st_mtime_ns == trained
    assert (place / "late" / "runs" / "names" / "models" / "together").is_dir() or "together" in str(
        json.loads((place / "late" / "runs" / "names" / "shipped.json").read_text())
    )


@pytest.mark.parametrize("by", ["temperature", "uncertainty"])
def test_other_mixtures_are_learnt_without_controls(place: Path, by: str) -> None:
    more = f"mixing: {{by: {by}, control: false}}\n"
    found = whet.fit(written(place, by, more, method="lora"), out=place / by)
    scores = json.loads(RunFolder(found.path / "runs" / "names").scores.read_text())["models"]
    assert "together" in scores and "lora" not in scores
    assert {one.bin for one in found.findings if one.code == "X025"} == {"not_applicable"}
    learnt = [one for one in found.findings if one.code == "X027"]
    assert bool(learnt) == (by == "uncertainty")
    for one in learnt:
        assert set(one.evidence["weights"]) == {"intents", "names"}
        assert "intents" in one.message and all(weight > 0 for weight in one.evidence["weights"].values())
    joint: Any = SimpleNamespace(tasks={"a": None, "b": None})
    assert together._loss_weights(joint, torch.tensor([0.0, -np.log(2.0)])) == pytest.approx({"a": 1.0, "b": 2.0})


def compared(difference: float, low: float, high: float, p: float) -> Comparison:
    return Comparison("together", "full", "accuracy", difference, low, high, p, p, "test", 1, 1, 1, 1, 100, 0.01)


@pytest.mark.parametrize(
    ("one", "bin", "words"),
    [
        (compared(-0.194, -0.282, -0.106, 0.001), "issue", "loses 19.4 points (10.6 to 28.2, "),
        (compared(0.194, 0.106, 0.282, 0.001), "passed", "gains 19.4 points (10.6 to 28.2, "),
        (compared(-0.027, -0.103, 0.049, 0.5), "tip", "it is 2.7 points (-4.9 to 10.3, p = 0.5 after Holm) worse than"),
    ],
)
def test_ends_of_an_interval_count_as_the_sentence_does(one: Comparison, bin: str, words: str) -> None:
    found = together._finding("intents", one, 0.05)
    assert found.bin == bin and words in found.message


@pytest.mark.parametrize("name", ["together", "full"])
def test_a_training_that_was_cut_short_is_not_judged(tmp_path: Path, name: str) -> None:
    """A task 'loses by learning with the others' that had no time to learn."""
    place = RunFolder(tmp_path)
    place.facts(name).parent.mkdir(parents=True)
    place.resolved.write_text("method: {value: full}\n")
    for one in ("together", "full"):
        ended = "max_seconds" if one == name else "patience"
        place.facts(one).write_text(json.dumps({"ended": ended, "steps": 55}))
    cut = together._cut_short(place)
    assert len(cut) == 1 and "max_seconds, after 55 steps" in cut[0]
    found = together._finding("intents", compared(-0.194, -0.282, -0.106, 0.001), 0.05, cut)
    assert found.bin == "not_applicable" and "loses" not in found.message and "not judged" in found.message
    assert "max_seconds" in found.remedy


@pytest.mark.parametrize(
    ("more", "task", "method", "code"),
    [
        ("stages: [{name: a}, {name: b}]\n", "", "full", "R092"),
        ("", "    method: lora\n", "full", "R091"),
        ("", "", "prompt", "R092"),
        ("regularisation: {mixout: 0.1}\n", "", "full", "R092"),
        ("mixing: {temperature: 3}\n", "", "full", "R092"),
        ("", "    trainings: {epochs: 1}\n", "full", "R010"),
        ("", "  - name: names\n", "full", "R090"),
        ("", "  - name: 'a b'\n", "full", "R090"),
    ],
)
def test_what_cannot_be_shared_is_refused_with_its_line(
    place: Path, more: str, task: str, method: str, code: str
) -> None:
    path = written(place, "wrong", more, method, task)
    with pytest.raises(UserError) as caught:
        load(path)
    assert code in {problem.code for problem in caught.value.problems}
    assert any("wrong.yaml:" in problem.where for problem in caught.value.problems)


def test_mistakes_of_tasks_are_told_at_once_each_with_its_line(place: Path) -> None:
    task = f"    trainings: {{epochs: 1}}\n  - data: {{source: {place / 'messages.csv'}}}\n"
    path = written(place, "many", "mixing: {by: sizes, temperature: 0.5}\n", task=task)
    with pytest.raises(UserError) as caught:
        load(path)
    found = {problem.code: problem for problem in caught.value.problems}
    assert [one.code for one in caught.value.problems].count("R011") == 2
    assert {"R010", "R011", "R090"} <= set(found)
    assert all("many.yaml:" in problem.where for problem in caught.value.problems)


def test_options_that_became_different_are_refused_before_training(place: Path) -> None:
    path = written(place, "ranks", method="lora", task="    lora: {rank: 3}\n")
    with pytest.raises(UserError, match=r"lora.rank.*one trunk needs one value"):
        whet.fit(path, out=place / "ranks")


def test_the_command_prints_a_row_a_task(place: Path) -> None:
    path = written(place, "told", "mixing: {control: false}\n")
    result = CliRunner().invoke(app, ["fit", str(path), "--out", str(place / "told")])
    assert result.exit_code == 0, result.output
    assert "intents" in result.output and "names" in result.output
