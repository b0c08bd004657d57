"""The check of recipes of several trainings, and of those that ask for a search: what is shown, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import made_rows
from tests.made_models import WORDS, make_base
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
    """Code and place of every problem."""
    with pytest.raises(UserError) as caught:
        parts(path)
    return [(one.code, one.where) for one in caught.value.problems]


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
    assert found.value["method"] == ["full", "lora", "bitfit"]
    assert set(found.value["training.learning_rate (lora)"]) == {"low", "high", "log"}
    given = {"method": ["full"], "training.epochs": [1, 2]}
    path.write_text(yaml.safe_dump(values | {"search": {"space": given}}))
    assert checking.check(load(path), lambda *_: None)["search.space"] == Choice(given, "set in the recipe")


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
