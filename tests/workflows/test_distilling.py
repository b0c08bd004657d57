"""Distillation through whole runs: student, control, teacher beside, what is refused, and going on after an end."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import whet
from tests import made_models, made_rows, made_tasks
from tests.made_runs import MEAN, quiet_machine
from whet.batches.encoding import Cut, Encoded
from whet.errors import Interrupted, UserError
from whet.files import Lock
from whet.folder import RunFolder
from whet.recipe.distillation_rules import distilled
from whet.report.distillation_section import distillation
from whet.report.page import page
from whet.report.run_files import read_run
from whet.workflows import distilling, retaining
from whet.workflows.fit import fit

SHORT: dict[str, Any] = {
    "method": "full",
    "evaluation.resamples": 100,
    "training.epochs": 2.0,
    "training.learning_rate": 0.003,
    "forgetting.measure": False,
}
CHEAP = {"text-classification": "majority", "token-classification": "dictionary", "sentence-similarity": "bm25"}


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing it takes half of a tiny run's time, and it has tests of its own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def options(task: str, more: dict[str, Any]) -> dict[str, Any]:
    noise = {"evaluation.label_noise": False} if task == "text-classification" else {}
    return {**SHORT, **noise, "evaluation.baselines": [CHEAP.get(task, "unigram")], **more}


def run_of(rows: Path, base: Path, out: Path, task: str = "text-classification", **more: Any) -> Path:
    named = {name.replace(".", "__"): value for name, value in options(task, more).items()}
    return whet.fit(rows, task=task, base=str(base), out=out, **named).path


def finding(run: Path, code: str) -> dict[str, Any]:
    return next(one for one in json.loads((run / "findings.json").read_text()) if one["code"] == code)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a wide teacher, its rows, and a student that learnt from it: 'teacher' and 'student'."""
    folder = tmp_path_factory.mktemp("distilled")
    with pytest.MonkeyPatch.context() as patch, quiet_machine(folder / "store.sqlite"):
        patch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
        rows = made_rows.single(folder)
        made_models.make_base(folder / "wide", "bert", MEAN, width=24)
        made_models.make_base(folder / "base", "bert", MEAN)
        texts = "".join(json.dumps({"text": text}) + "\n" for text, _ in made_rows.texts(150, seed=0))
        (folder / "texts.jsonl").write_text(texts)
        run_of(rows, folder / "wide", folder / "teacher", **{"training.learning_rate": 0.01})
        more = {
            "student.layers": 1,
            "distillation.teacher": str(folder / "teacher"),
            "distillation.hidden": 0.5,
            "distillation.attention": 0.5,
            "distillation.unlabelled": str(folder / "texts.jsonl"),
        }
        run_of(rows, folder / "base", folder / "student", **more)
    return folder


def test_a_student_its_control_and_its_teacher_stand_on_the_same_rows(made: Path):
    run = made / "student"
    scores = json.loads((run / "scores.json").read_text())["models"]
    assert {"probe", "full", "distilled", "teacher"} <= set(scores)
    told = json.loads((run / "distillation.json").read_text())
    assert told["control"] == "full" and told["student"]["layers"] == [0]
    assert set(told["kept"]) == {"full", "distilled"}
    assert told["kept"]["distilled"]["share"] == pytest.approx(
        scores["distilled"]["accuracy"]["value"] / scores["teacher"]["accuracy"]["value"]
    )
    assert told["gain"]["candidate"] == "distilled" and told["gain"]["against"] == "full"
    sizes = {name: one["parameters"] for name, one in told["models"].items()}
    assert sizes["full"] == sizes["distilled"] < sizes["teacher"]
    assert all(one["rows_per_second"] > 0 and one["size_bytes"] > 0 for one in told["models"].values())
    assert 0 < told["timed_rows"] <= told["test_rows"]
    ships = json.loads((made / "teacher" / "shipped.json").read_text())["model"]
    assert told["taught_by"]["model"] == ships
    assert f"{ships} of {made / 'teacher'}" in finding(run, "X012")["message"]
    verdict = json.loads((run / "verdict.json").read_text())
    assert "teacher" not in verdict["values"] and verdict["ship"] != "teacher"
    assert finding(run, "X010")["bin"] in ("passed", "tip", "issue")
    steps = {name: one["steps"] for name, one in told["models"].items()}
    assert steps["full"] == steps["distilled"] > 0, "although the student learnt from texts without labels, too"
    assert finding(run, "E008")["bin"] == "passed"


def test_the_control_is_what_a_run_without_a_teacher_trains(made: Path, tmp_path: Path):
    rows, base, teacher = made / "messages.csv", made / "base", str(made / "teacher")
    alone = run_of(rows, base, tmp_path / "alone", **{"student.layers": 1})
    taught = run_of(rows, base, tmp_path / "taught", **{"student.layers": 1, "distillation.teacher": teacher})
    names = [f"predictions/full.{split}.parquet" for split in ("validation", "test")]
    from whet.data.predictions import load

    for name in names:
        one, other = load(alone / name), load(taught / name)
        assert np.array_equal(one.scores, other.scores)  # type: ignore[attr-defined]


def test_what_the_teacher_said_is_kept_and_texts_of_other_splits_are_left_out(made: Path):
    about = json.loads((made / "student" / "teacher" / "teacher.json").read_text())
    assert about["rows"] == 72 and about["unlabelled"] == 30, "of 150 texts 120 are the rows"
    assert np.load(made / "student" / "teacher" / "said.npy").shape == (102, 3)
    assert np.load(made / "student" / "teacher" / "hidden0.npy").shape[1] == 24
    known = json.loads((made / "student" / "data" / "unlabelled.json").read_text())
    assert known["left_out"] == 120 and len(known["texts"]) == 30
    held = json.loads((made / "student" / "base" / "student.json").read_text())
    assert held["parameters"] < held["parameters_before"]


def test_the_page_shows_what_is_kept(made: Path):
    found = read_run(made / "student")
    section = distillation(found)
    rows = {row.cells[0].text: row for row in section.content["table"].rows}
    assert list(rows) == ["teacher", "full fine-tuning", "distilled"]
    assert "%" in rows["distilled"].cells[2].text
    assert section.content["made_of"].startswith("layers 0 of ")
    assert "What was learnt from a teacher" in page(found)
    ships = json.loads((made / "teacher" / "shipped.json").read_text())["model"]
    assert f"{ships} of {made / 'teacher'}" in str(rows["teacher"].cells[0])
    assert "asked about 72 training rows and 30 texts" in section.content["how"]
    assert "learns 50 % of a row from it, at temperature 2" in section.content["how"]


def test_timing_is_bounded_by_tokens_and_seconds(monkeypatch: pytest.MonkeyPatch):
    """Ten rows of five thousand tokens each took four minutes."""
    lengths = np.full(500, 100)
    long = Encoded(
        np.zeros(0, np.uint32),
        np.concatenate([[0], np.cumsum(lengths)]),
        np.full(500, -1, np.int32),
        Cut(100, 0, 0, 0),
        rows=np.repeat(np.arange(10), 50),
    )
    assert retaining._first_rows(long, 10) == 1
    assert retaining._first_rows(replace(long, rows=None), 500) == retaining.FIRST_TOKENS // 100
    assert retaining._first_rows(replace(long, rows=None), 7) == 7
    asked: list[int] = []
    monkeypatch.setattr(retaining, "_model", lambda run, name: None)
    monkeypatch.setattr(retaining, "_asks", lambda run, models, size: {name: lambda: size for name in models})
    monkeypatch.setattr(retaining, "_seconds", lambda ask: asked.append(ask()) or float(ask()))
    run: Any = SimpleNamespace(encoded={"test": long}, examples=lambda split: range(10))
    rates, size = retaining._in_turn(run, ["full", "distilled"])
    assert size == 2 and rates == {"full": 1.0, "distilled": 1.0}, "a second a row: two rows, five rounds, two models"
    assert sum(asked) <= 2 + retaining.TIMED_SECONDS
    slow: Any = SimpleNamespace(encoded={"test": long}, examples=lambda split: range(10))
    monkeypatch.setattr(retaining, "_seconds", lambda ask: asked.append(ask()) or 15.0)
    asked.clear()
    assert retaining._in_turn(slow, ["full", "distilled"])[1] == 1 and len(asked) == 4, "one round where rows are slow"


def test_how_far_a_teacher_is_counts_what_it_reads(monkeypatch: pytest.MonkeyPatch):
    """'532 of 10': long rows are read in many pieces."""
    told: list[int] = []
    pieces: Any = SimpleNamespace(offsets=np.asarray([0, 5]), __len__=lambda: 1)
    teacher = SimpleNamespace(reads_as=lambda *_: False, outputs=lambda *_: None)
    task = SimpleNamespace(predictions=lambda *_: None)
    monkeypatch.setattr(retaining.distilling, "teacher", lambda run: teacher)
    monkeypatch.setattr(retaining.distilling, "tokenised", lambda *_: range(532))
    monkeypatch.setattr(retaining.teachers, "known_texts", lambda examples: [])
    run: Any = SimpleNamespace(
        task=task,
        tokenizer=None,
        examples=lambda split: range(10),
        encoded={"test": pieces},
        telling=lambda what, total: told.append(total),
    )
    retaining._answers(run, "test")
    assert told == [532]


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(made: Path, tmp_path: Path):
    from whet.recipe import load as load_recipe

    more = {
        "student.layers": 1,
        "distillation.teacher": str(made / "teacher"),
        "distillation.hidden": 0.5,
        "training.batch_tokens": 64,
    }
    whole = run_of(made / "messages.csv", made / "base", tmp_path / "whole", **more)
    recipe = load_recipe(whole / "recipe.yaml")
    folder = RunFolder(tmp_path / "stopped")
    folder.path.mkdir()
    (folder.path / "state.json").write_text('{"id": "x", "state": "running"}')
    seen = 0

    def stop() -> bool:
        return seen > 0

    with pytest.raises(Interrupted), Lock(folder.path):
        for event in fit(recipe, folder, lambda *_: None, stop):
            row = event.to_json()
            seen += row["kind"] == "evaluation" and row["model"] == "distilled" and row["step"] > 0
    with Lock(folder.path):
        list(fit(recipe, folder, lambda *_: None, lambda: False))
    for name in ("full", "distilled", "teacher"):
        one, other = (path / "predictions" / f"{name}.test.parquet" for path in (whole, folder.path))
        assert contents_of(one) == contents_of(other)


def contents_of(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(path).to_pydict()


def test_a_teacher_that_knows_test_rows_is_nothing_to_be_held_against(made: Path, tmp_path: Path):
    more = {"distillation.teacher": str(made / "teacher"), "seed": 1, "training.epochs": 1.0}
    run = run_of(made / "messages.csv", made / "base", tmp_path / "run", **more)
    found, kept = finding(run, "X011"), finding(run, "X010")
    assert found["bin"] == "issue" and found["evidence"]["seen"]["train"] > 0 and "same seed" in found["remedy"]
    assert kept["evidence"]["kept"] == {} and "is not told" in kept["message"]
    rows = {row.cells[0].text: row for row in distillation(read_run(run)).content["table"].rows}
    assert "%" not in rows["distilled"].cells[2].text
    assert finding(made / "student", "X011")["bin"] == "passed"


@pytest.mark.parametrize("changed", ["weights", "tokens"])
def test_a_teacher_or_rows_that_changed_meanwhile_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
):
    known = {"weights": "a", "tokens": "b", changed: "other"}
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "teacher.json").write_text(json.dumps(known))
    monkeypatch.setattr(distilling, "learnt", lambda run: None)
    monkeypatch.setattr(distilling, "_hash", lambda encoded: "b")
    run: Any = SimpleNamespace(folder=RunFolder(tmp_path), teacher=SimpleNamespace(weights="a", name="x"))
    ask = {"weights": distilling.teacher, "tokens": distilling._refuse_other_tokens}
    with pytest.raises(UserError, match="T029"):
        ask.pop(changed)(run)
    next(iter(ask.values()))(run)


@pytest.mark.parametrize(("control", "tried"), [(True, "full"), (False, "distilled")])
def test_a_rate_found_by_trial_is_that_of_the_control(made: Path, tmp_path: Path, control: bool, tried: str):
    more = {
        "distillation.teacher": str(made / "teacher"),
        "distillation.control": control,
        "distillation.hidden": 0.1,
        "training.learning_rate": "range-test",
        "training.epochs": 1.0,
    }
    run = run_of(made / "messages.csv", made / "base", tmp_path / "run", **more)
    assert [path.stem for path in (run / "rates").glob("*.json")] == [tried]
    assert finding(run, "E011")["place"] == tried


def test_vectors_of_another_width_are_brought_to_the_teachers(made: Path, tmp_path: Path):
    rows, task = made_tasks.scored_pairs(tmp_path, 60), "sentence-similarity"
    teacher = run_of(rows, made / "wide", tmp_path / "teacher", task)
    run = run_of(rows, made / "base", tmp_path / "run", task, **{"distillation.teacher": str(teacher)})
    assert np.load(run / "teacher" / "said.npy").shape[1] == 24
    assert finding(run, "E008")["bin"] == "passed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: {"distillation.teacher": str(folder / "none")}, "M003"),
        (lambda folder: {"distillation.teacher": str(folder / "wide")}, "T021.*has no head that was trained"),
        (lambda folder: {"distillation.teacher": str(folder / "other")}, "T022.*other labels.*it lacks 'late'"),
        (
            lambda folder: {
                "distillation.teacher": str(folder / "teacher"),
                "distillation.unlabelled": str(folder / "messages.csv"),
            },
            "T025|D0",
        ),
        (lambda folder: {"student.layers": 4}, "T030"),
    ],
)
def test_what_cannot_teach_is_refused_before_anything_is_trained(
    made: Path, tmp_path: Path, change: Callable[[Path], dict[str, Any]], words: str
):
    if not (made / "other").exists():
        lines = (made / "messages.csv").read_text().splitlines()
        (made / "two.csv").write_text("\n".join(line for line in lines if not line.endswith(",late")) + "\n")
        run_of(made / "two.csv", made / "base", made / "other")
    with pytest.raises(UserError, match=words):
        run_of(made / "messages.csv", made / "base", tmp_path / "run", **change(made))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"distillation.weight": 0.9}, "R060"),
        ({"student.layers": 1, "method": "lora"}, "R061"),
        ({"distillation.teacher": "a", "method": "probe"}, "R062"),
        ({"distillation.teacher": "a", "distillation.weight": 0.0}, "R062"),
        ({"distillation.teacher": "a", "task": "preference"}, "R062"),
        ({"distillation.teacher": "a", "distillation.unlabelled": "b", "task": "ranking"}, "R063"),
        ({"distillation.teacher": "a", "distillation.unlabelled": "b", "task": "text-generation"}, "R063"),
        ({"distillation.teacher": "a", "distillation.texts": "replace"}, "R064"),
        ({"distillation.teacher": "a", "distillation.endpoint": "http://x/v1", "task": "ranking"}, "R064"),
        ({"distillation.teacher": "a", "distillation.top_k": 5}, "R065"),
        ({"student.layers": [0, 0]}, "R066"),
    ],
)
def test_options_that_cannot_be_meant_together(change: dict[str, Any], code: str):
    from whet.recipe import Recipe

    tree: dict[str, Any] = {"data": {"source": "rows.csv"}}
    for name, value in change.items():
        part, _, leaf = name.partition(".")
        if leaf:
            tree.setdefault(part, {})[leaf] = value
        else:
            tree[name] = value
    assert code in {one[0] for one in distilled(Recipe.model_validate(tree))}
