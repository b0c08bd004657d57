"""The check of recipes of several trainings, and of those that ask for a search: what is shown, what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import whet
from tests import made_rows
from tests.made_models import WORDS, make_base
from whet.cli.app import app
from whet.errors import UserError
from whet.recipe import load
from whet.recipe.resolve import Choice
from whet.seeds import generator
from whet.workflows import checking

POOL = 80


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model, texts of a domain, and labelled rows."""
    root = tmp_path_factory.mktemp("checking")
    base = make_base(root / "base", "bert", language=True)
    path = base / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "<unk>"}))
    texts = [" ".join(str(w) for w in generator(0, "pool", row).choice(WORDS, 12)) for row in range(POOL)]
    (root / "pool.txt").write_text("\n".join(texts) + "\n")
    made_rows.single(root, 60)
    return root


def recipe(place: Path, out: Path, **more: Any) -> Path:
    """Two stages over ``place``; ``more``: parts of the recipe, ``adapt`` and ``sort`` being options of the stages."""
    adapt, sort = more.pop("adapt", {}), more.pop("sort", {})
    pool, rows = {"source": str(place / "pool.txt")}, {"source": str(place / "messages.csv")}
    values = {
        "base": str(place / "base"),
        "method": "full",
        "training": {"epochs": 2, "learning_rate": 0.01},
        "stages": [
            {"name": "adapt", "task": "fill-mask", "method": "full", "data": pool, **adapt},
            {"name": "sort", "task": "text-classification", "data": rows, **sort},
        ],
        **more,
    }
    out.write_text(yaml.safe_dump(values, sort_keys=False))
    return out


def parts(path: Path) -> dict[str, dict[str, Choice]]:
    return checking.check_parts(load(path), lambda *_: None)


def refused(path: Path) -> list[tuple[str, str]]:
    """Code and place of every problem, without the line, which each has."""
    with pytest.raises(UserError) as caught:
        parts(path)
    found = [(one.code, *re.subn(rf"{re.escape(str(path))}:\d+ ", "", one.where)) for one in caught.value.problems]
    assert all(times == 1 for code, _, times in found if code[0] != "O" and code != "R093")
    return [(code, where) for code, where, _ in found]


def staged(path: Path, *stages: dict[str, Any], **more: Any) -> Path:
    """A recipe of other stages behind the two of ``path``."""
    values = yaml.safe_load(path.read_text())
    values["stages"] += stages
    path.write_text(yaml.safe_dump({**values, **more}, sort_keys=False))
    return path


def test_each_stage_is_shown_with_what_it_takes_of_others(place: Path, tmp_path: Path) -> None:
    path = recipe(place, tmp_path / "recipe.yaml", adapt={"selection": {"way": "dsir", "share": 0.5}})
    before = sorted(tmp_path.iterdir())
    found = parts(path)
    assert list(found) == ["adapt", "sort"]
    assert found["adapt"]["task"].value == "fill-mask" and found["sort"]["training.epochs"].value == 2
    assert found["sort"]["base"] == Choice("adapt", "the model of stage 'adapt'")
    assert found["adapt"]["selection.target"] == Choice("sort", "the training texts of stage 'sort'")
    assert found["sort"]["data.label"].value == "intent"
    assert sorted(tmp_path.iterdir()) == before, "nothing is kept"


def test_what_follows_from_the_number_of_rows_is_that_of_those_that_are_chosen(place: Path, tmp_path: Path) -> None:
    chosen = {"selection": {"way": "dsir", "rows": 20}, "training": {"epochs": "auto"}}
    found = parts(recipe(place, tmp_path / "recipe.yaml", adapt=chosen))
    assert "20 training rows" in found["adapt"]["training.epochs"].reason


def test_a_teacher_among_the_stages_stands_by_its_name(place: Path, tmp_path: Path) -> None:
    sort = {"name": "teacher", "base": str(place / "base")}
    path = recipe(place, tmp_path / "recipe.yaml", sort=sort)
    values = yaml.safe_load(path.read_text())
    learns = {"distillation": {"teacher": "teacher", "weight": 0.7}, "student": {"layers": 1}}
    values["stages"][0] = {**values["stages"][1], "name": "student", **learns}
    values["stages"].reverse()
    path.write_text(yaml.safe_dump(values))
    found = parts(path)["student"]
    assert found["distillation.teacher"] == Choice("teacher", "the model of stage 'teacher'")
    assert (found["distillation.weight"].value, found["student.layers"].value) == (0.7, 1)


def test_what_a_later_stage_would_refuse_is_told_at_once(place: Path, tmp_path: Path) -> None:
    (tmp_path / "rare.csv").write_text((place / "messages.csv").read_text() + "the only one of its kind,rare\n")
    few = {"method": "contrastive", "data": {"source": str(tmp_path / "rare.csv"), "validation_share": 0.01}}
    assert refused(recipe(place, tmp_path / "few.yaml", sort=few)) == [("T040", "stage 'sort', method")]
    more = {"selection": {"way": "dsir", "rows": POOL * 2}}
    assert refused(recipe(place, tmp_path / "pool.yaml", adapt=more)) == [("D090", "stage 'adapt', selection.rows")]


@pytest.mark.parametrize("part", ["distillation", "self_training"])
def test_texts_without_labels_are_read_though_the_teacher_is_yet_to_come(
    place: Path, tmp_path: Path, part: str
) -> None:
    rows = {"source": str(place / "messages.csv")}
    for named, code in (("nowhere.txt", "D001"), (str(place / "messages.csv"), "T025")):
        wish = {"distillation": {"teacher": "sort", "unlabelled": named}, "self_training": {"source": named}}[part]
        last = {"name": "last", "base": str(place / "base"), "data": rows, part: wish}
        where = f"{part}.{'unlabelled' if part == 'distillation' else 'source'}"
        where += ", nowhere.txt" if code == "D001" else ""
        assert refused(staged(recipe(place, tmp_path / "r.yaml"), last)) == [(code, f"stage 'last', {where}")]


def test_a_teacher_that_does_something_else_is_refused(place: Path, tmp_path: Path) -> None:
    rows = {"source": str(place / "messages.csv")}
    last = {"name": "last", "base": str(place / "base"), "data": rows, "distillation": {"teacher": "adapt"}}
    assert refused(staged(recipe(place, tmp_path / "r.yaml"), last)) == [("F032", "stage 'last', distillation.teacher")]


@pytest.mark.parametrize(
    ("target", "code", "said"),
    [
        ("nowhere.txt", "D001", "does not exist"),
        ("adapt", "R057", "is 'adapt', this very stage."),
        ("sorrt", "D011", "there is no stage 'sorrt' (the others: sort)"),
    ],
)
def test_a_target_that_is_none_is_told_before_anything_is_trained(
    place: Path, tmp_path: Path, target: str, code: str, said: str
) -> None:
    path = recipe(place, tmp_path / "r.yaml", adapt={"selection": {"way": "dsir", "target": target}})
    where = "stage 'adapt', selection.target"
    assert refused(path) == [(code, where if code == "R057" else f"{where}, {target}")]
    with pytest.raises(UserError, match=re.escape(said)) as caught:
        whet.fit(path, out=tmp_path / "run")
    assert target != "sorrt" or caught.value.problems[0].remedy == "Did you mean 'sort'?"
    assert not (tmp_path / "run").exists()


def test_the_name_of_no_stage_is_told_as_such(place: Path, tmp_path: Path) -> None:
    rows = {"source": str(place / "messages.csv")}
    teacher = {"name": "last", "base": str(place / "base"), "data": rows, "distillation": {"teacher": "sorrt"}}
    path = staged(recipe(place, tmp_path / "r.yaml", sort={"base": "adappt"}), teacher)
    with pytest.raises(UserError) as caught:
        parts(path)
    told = {one.where.partition(",")[0]: (one.code, one.what, one.remedy) for one in caught.value.problems}
    assert {code for code, *_ in told.values()} == {"M004"}
    assert "there is no stage 'adappt' (those before it: adapt); and as a base it" in told["stage 'sort'"][1]
    assert told["stage 'sort'"][2] == "Did you mean 'adapt'?"
    assert "there is no stage 'sorrt' (those before it: adapt, sort)" in told["stage 'last'"][1]


def test_places_are_those_that_were_written(place: Path, tmp_path: Path) -> None:
    probes = {"forgetting": {"probes": ["nowhere.csv"]}}
    words = {"vocabulary": {"file": "nowhere.txt"}}
    path = recipe(place, tmp_path / "r.yaml", sort=probes, controls={"kinds": ["irrelevant"], "irrelevant": "no.txt"})
    assert refused(path) == [
        ("D001", "stage 'sort', forgetting.probes, nowhere.csv"),
        ("D001", "controls.irrelevant, no.txt"),
    ]
    named = {"data": {"source": str(place / "messages.csv"), "label": "intnet"}}
    path = staged(recipe(place, tmp_path / "r.yaml", sort=named, adapt=words), controls={"kinds": ["irrelevant"]})
    assert refused(path) == [("R028", "stage 'adapt', vocabulary.file"), ("D020", "stage 'sort', data.label")]


def test_options_above_that_a_stage_does_not_take_are_said(place: Path, tmp_path: Path) -> None:
    path = recipe(place, tmp_path / "r.yaml", generation={"max_tokens": 5}, forgetting={"max_rows": 60})
    values = yaml.safe_load(path.read_text())
    del values["generation"], values["stages"][0]["method"]
    path.write_text(yaml.safe_dump(values))
    left = ["method", "training.epochs", "training.learning_rate", "forgetting.max_rows"]
    assert checking.not_taken(load(path)) == {"adapt": left}
    found = CliRunner().invoke(app, ["check", str(path)], env={"COLUMNS": "200"})
    assert f"Set above for text-classification, and not for this stage: {', '.join(left)}" in found.output
    found = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert json.loads(found.stdout.splitlines()[-1])["not_taken"] == {"adapt": left}


def test_every_run_of_controls_has_a_name(place: Path, tmp_path: Path) -> None:
    wanted = load(recipe(place, tmp_path / "recipe.yaml", controls={"kinds": ["none"], "seeds": 2}))
    further = ["sort.none.0", "adapt.adapted.1", "sort.adapted.1", "sort.none.1"]
    assert checking.runs_of(wanted) == ["adapt", "sort", *further]


def test_tasks_that_cannot_share_a_trunk_are_refused(place: Path, tmp_path: Path) -> None:
    rows = {"data": {"source": str(place / "messages.csv")}}
    tasks = [{"name": "one", "lora": {"rank": 2}, **rows}, {"name": "other", "lora": {"rank": 4}, **rows}]
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({"base": str(place / "base"), "method": "lora", "tasks": tasks}))
    assert refused(path) == [("R093", "lora.rank"), ("R093", "lora.alpha")]
    path.write_text(yaml.safe_dump({"base": str(place / "base"), "method": "auto", "tasks": tasks}))
    assert [one["method"].value for one in parts(path).values()] == ["full", "full"], "which has no use for ranks"


def test_what_a_search_draws_from_is_shown(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    path = tmp_path / "recipe.yaml"
    values = {"base": str(place / "base"), "data": {"source": str(place / "messages.csv")}, "search": {"trials": 5}}
    path.write_text(yaml.safe_dump(values))
    found = checking.check(load(path), lambda *_: None)["search.space"]
    assert found.value["method"] == ["full", "lora", "bitfit", "contrastive"], "what auto takes is searched, too"
    assert "training.learning_rate (contrastive)" in found.value and found.value["contrastive.loss"]
    assert set(found.value["training.learning_rate (lora)"]) == {"low", "high", "log"}
    given = {"method": ["full"], "training.epochs": [1, 2]}
    path.write_text(yaml.safe_dump(values | {"search": {"space": given}}))
    assert checking.check(load(path), lambda *_: None)["search.space"] == Choice(given, "set in the recipe")


def test_of_the_usual_space_nothing_contradicts_the_recipe(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    path = tmp_path / "recipe.yaml"
    values = {"base": str(place / "base"), "data": {"source": str(place / "messages.csv")}, "search": {"trials": 5}}
    path.write_text(yaml.safe_dump(values | {"contrastive": {"temperature": 0.2}}))
    found = checking.check(load(path), lambda *_: None)["search.space"]
    assert "method" not in found.value and "contrastive.loss" not in found.value
    assert "full is not tried: R021 contrastive" in found.reason
    path.write_text(yaml.safe_dump(values | {"lora": {"dropout": 0.1}}))
    found = checking.check(load(path), lambda *_: None)["search.space"]
    assert set(found.value) >= {"lora.rank", "training.epochs"} and "full is not tried: R021" in found.reason


def test_what_cannot_be_searched_is_refused(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    search = {"space": {"method": ["full", "ia3"]}, "metric": "beauty"}
    path = recipe(place, tmp_path / "recipe.yaml", search=search, controls={"kinds": ["none"]})
    assert refused(path) == [("O005", "controls"), ("O006", "search.metric")]
    values = yaml.safe_load(path.read_text())
    del values["stages"], values["controls"]
    path.write_text(yaml.safe_dump(values | {"data": {"source": str(place / "messages.csv")}}))
    with pytest.raises(UserError, match="O006"):
        checking.check(load(path), lambda *_: None)
