"""Runs side by side: changed rows, slices, recipes, costs, and the page of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.evaluation import made_kinds
from tests.evaluation.made import single
from tests.made_compared import run_of, texts, two
from whet.cli import compare as cli
from whet.data.predictions import load, save
from whet.files import write_json
from whet.folder import FINISHED, RunFolder
from whet.report.side_by_side import side_by_side
from whet.workflows.comparing import Together, compare


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Together:
    """A new run that breaks the rows with digits and fixes a few others."""
    folder = tmp_path_factory.mktemp("compared")
    digits = [number for number, text in enumerate(texts(500)) if re.search(r"\d", text)]
    others = [number for number in range(500) if number not in digits]
    return compare(two(folder, 500, broke=digits[:90], fixed=others[:12]), 0.01, 0.05)


def test_every_changed_row_is_told(found: Together):
    (one,) = found.beside
    assert one.counts == {"broke": 90, "fixed": 12, "worse": 0, "better": 0}
    assert [row["change"] for row in one.rows] == ["broke"] * 90 + ["fixed"] * 12
    row = one.rows[0]
    assert set(row) == {"id", "place", "change", "gain", "text", "truth", "was", "is"}
    assert row["place"] == f"test.csv:{row['id'] + 2}" and row["text"] == texts(500)[row["id"]]
    assert row["was"] == row["truth"] != row["is"]


def test_the_part_that_broke_is_found_and_confirmed(found: Together):
    (one,) = found.beside
    assert "with digits" in [part.rows for part in one.slices.confirmed]
    assert not any(part.better for part in one.slices.confirmed if part.rows == "with digits")
    assert any("rows with digits, new gains surely less over old" in sentence for sentence in one.said)


def test_a_class_that_broke_completely_is_found(tmp_path: Path):
    """Where nothing else changed gains vary on neither side, and what is written stays JSON."""
    broke = np.flatnonzero(np.random.default_rng(3).integers(0, 3, 300) == 1)
    found = compare(two(tmp_path, 300, broke=broke), 0.01, 0.05)
    clearest = found.beside[0].slices.confirmed[0]  # behind it stands all that has to do with it, such as other classes
    assert clearest.rows == "of class 'b'" and not clearest.better
    json.dumps(found.to_json(), allow_nan=False)


def test_recipes_and_costs(found: Together):
    assert found.figures["differences"] == [
        {"name": "method", "values": ("full", "lora"), "reasons": ("default", "default")}
    ]
    assert found.figures["machines"] == []
    assert found.figures["costs"]["new/full"]["size_bytes"] == 1_000_000


def test_what_json_prints(found: Together):
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert {"runs", "num_test_rows", "scores", "verdict", "findings", "costs", "differences", "machines"} < set(told)
    assert told["against"] == "old/full"
    assert len(told["beside"]["new/full"]["examples"]) == 20
    assert told["beside"]["new/full"]["changed"]["broke"] == 90


def test_the_page(found: Together):
    told, rows = found.to_json(), {one.name: one.rows for one in found.beside}
    page = side_by_side(told, rows, found.kind)
    for words in ("Which run is better", "Row by row", "Where they differ", "How the recipes differ", "90 broke"):
        assert words in page
    assert "rows with digits" in page and "<script>alert" not in page
    assert page == side_by_side(told, rows, found.kind)
    evil = {**rows["new/full"][0], "text": "<script>alert(1)</script>"}
    assert "<script>alert(1)" not in side_by_side(told, {"new/full": [evil]}, found.kind)


def test_runs_of_one_recipe_say_the_same(tmp_path: Path):
    rows, gold = texts(80), np.arange(80) % 2
    runs = [run_of(tmp_path / name, single(gold, gold), rows, recipe={"seed": seed}) for seed, name in enumerate("ab")]
    found = compare(runs, 0.01, 0.05)
    (one,) = found.beside
    assert one.rows == [] and one.said == ["Both models decide every row equally well."]
    assert [entry["name"] for entry in found.figures["differences"]] == ["seed"]
    assert "Not one row is decided better or worse" in side_by_side(found.to_json(), {one.name: []}, found.kind)


TASKS = {
    "spans": "token-classification",
    "answers": "question-answering",
    "similarity": "sentence-similarity",
    "regression": "regression",
    "ranks": "ranking",
    "preferences": "preference",
    "generation": "text-generation",
    "translation": "translation",
    "summarization": "summarization",
    "language": "language-modeling",
}


@pytest.mark.parametrize("kind", made_kinds.KINDS)
def test_every_kind(tmp_path: Path, kind: str):
    """Each kind has its rows, its slices and its page; without the rows' texts, too."""
    rows: Any = texts(100) if kind not in ("answers", "summarization") else None
    runs = [
        run_of(tmp_path / name, made_kinds.model(kind, quality, n=100), rows, task=TASKS[kind])
        for name, quality in (("old", 0.6), ("new", 0.9))
    ]
    found = compare(runs, 0.01, 0.05)
    (one,) = found.beside
    assert one.rows and sum(one.counts.values()) == len(one.rows)
    assert one.slices.why_not == ""
    assert side_by_side(found.to_json(), {one.name: one.rows}, found.kind)
    json.dumps(found.to_json(), allow_nan=False)


def test_a_name_is_written_as_it_is(found: Together):
    """A run may be called new; it is not New."""
    assert found.figures["verdict"]["reason"].startswith("new/full is ")


def test_of_a_search_what_it_measures_is_no_difference(tmp_path: Path):
    """A trial leaves baselines to the search; beside another run that would look like an option of the training."""
    old, new = two(tmp_path, 60, named=("old", "trial"))
    sweep, trial = RunFolder(tmp_path / "sweep"), RunFolder(tmp_path / "sweep" / "trials" / "0001")
    trial.path.parent.mkdir(parents=True)
    new.rename(trial.path)
    measured = {
        "evaluation.baselines": ["majority", "probe"],
        "evaluation.label_noise": True,
        "forgetting.measure": True,
    }
    for place, more in ((RunFolder(old), measured), (sweep, measured), (trial, dict.fromkeys(measured))):
        known = yaml.safe_load(place.resolved.read_text()) if place.resolved.exists() else {}
        known |= {name: {"value": value, "reason": "default"} for name, value in more.items()}
        place.resolved.write_text(yaml.safe_dump(known))
    sweep.write_state(FINISHED, sweep=True, answers="trials/0001/model")
    write_json(sweep.verdict, {"ship": "trial 1"})
    write_json(trial.shipped, {"model": "full"})
    found = compare([old, sweep.path], 0.01, 0.05)
    assert [one["name"] for one in found.figures["differences"]] == ["method"]


# --- series -------------------------------------------------------------------------------------------


def series(path: Path, *, seed: int = 0, epochs: float = 1.0, name: str = "sort") -> Path:
    """A finished series of two stages: texts of a domain, then a task from the model of that."""
    gold = np.arange(80) % 2
    domain = f"{path.resolve()}/runs/domain"
    asked = {"domain": {"seed": seed, "base": "minilm", "epochs": epochs}}
    asked[name] = {"seed": seed, "base": f"{domain}/model", "texts": [f"{domain}/data", "x"]}
    for number, (stage, recipe) in enumerate(asked.items()):
        facts = {"train_seconds": [100.0, 3.0][number], "peak_bytes": [7e9, 2e9][number], "size_bytes": 5}
        said = single(gold, gold, model="full")
        place = RunFolder(run_of(path / "runs" / stage, said, texts(80), recipe=recipe, facts=facts))
        write_json(place.scores, {"task": "text-classification", "kind": "classes", "models": {"full": {}}})
    whole = RunFolder(path)
    whole.write_state(FINISHED, name=path.name, answers=f"runs/{name}")
    stages = [{"name": "domain", "task": "fill-mask"}, {"name": name, "task": "text-classification"}]
    whole.recipe.write_text(yaml.safe_dump({"seed": seed, "stages": stages}))
    return path


def differences(*paths: Path) -> dict[str, tuple[Any, ...]]:
    return {one["name"]: one["values"] for one in compare(paths, 0.01, 0.05).figures["differences"]}


def test_series_are_compared_stage_by_stage(tmp_path: Path):
    """What differs in an earlier stage has its name; where the runs lie is no difference."""
    old, new = series(tmp_path / "old"), series(tmp_path / "new", epochs=2.0)
    assert differences(old, new) == {"domain: epochs": (1.0, 2.0)}
    renamed = series(tmp_path / "renamed", name="last")
    assert differences(old, renamed) == {}, "the last stages are held against each other whatever they are called"


def test_series_of_one_recipe_are_seeds_of_it(tmp_path: Path):
    old, new = series(tmp_path / "old"), series(tmp_path / "new", seed=1)
    found = compare([old, new], 0.01, 0.05)
    assert [one["name"] for one in found.figures["differences"]] == ["domain: seed", "sort: seed"]
    assert len(found.figures["findings"]) == 1, "how far seeds lie apart"
    other = series(tmp_path / "other", seed=1, epochs=2.0)
    assert compare([old, other], 0.01, 0.05).figures["findings"] == []


def test_a_series_beside_a_run_and_one_that_was_moved(tmp_path: Path):
    old = series(tmp_path / "old")
    gold = np.arange(80) % 2
    plain = run_of(tmp_path / "plain", single(gold, gold, model="full"), texts(80), recipe={"base": "minilm"})
    assert differences(plain, old) == {
        "domain": ("(not there)", "full"),
        "base": ("minilm", "runs/domain/model"),
        "texts": ("(not there)", ["runs/domain/data", "x"]),
    }
    moved = old.rename(tmp_path / "moved")
    assert differences(moved, series(tmp_path / "again")) == {}


def test_the_time_of_a_series_is_that_of_all_its_stages(tmp_path: Path):
    old = series(tmp_path / "old")
    costs = compare([old, series(tmp_path / "new")], 0.01, 0.05).figures["costs"]
    assert costs["old/full"] == {"train_seconds": 103.0, "peak_bytes": 7e9, "size_bytes": 5}
    place = RunFolder(old / "runs" / "sort")
    save(replace(load(place.predictions("full", "test")), model="majority"), place.predictions("majority", "test"))
    write_json(place.verdict, {"ship": "majority"})
    write_json(place.facts("majority"), {"train_seconds": 0.5})
    costs = compare([old, tmp_path / "new"], 0.01, 0.05).figures["costs"]
    assert costs["old/majority"] == {"train_seconds": 0.5}, "it needs no stage before it"


def test_a_search_over_the_last_stage_has_the_stages_before_it(tmp_path: Path):
    """What its trial begins from lies in the search itself."""
    old, sweep = series(tmp_path / "old"), RunFolder(series(tmp_path / "sweep"))
    trial = RunFolder(sweep.path / "trials" / "0001")
    trial.path.parent.mkdir()
    (sweep.path / "runs" / "sort").rename(trial.path)
    sweep.resolved.write_text(trial.resolved.read_text())
    sweep.write_state(FINISHED, sweep=True, answers="trials/0001/model")
    write_json(sweep.verdict, {"ship": "trial 1"})
    write_json(trial.shipped, {"model": "full"})
    assert differences(old, sweep.path) == {}


def test_values_are_no_python():
    assert cli._value(["majority", "probe"]) == "majority, probe" and cli._value([]) == cli._value(None) == "none"
    assert cli._value(False) == "false" and cli._value(0.5) == "0.5"
