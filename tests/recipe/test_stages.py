from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whet.errors import UserError
from whet.recipe import Recipe, dump, from_options, load
from whet.recipe.expanding import Stage, not_taken
from whet.recipe.lines import line_of
from whet.recipe.reading import stages_of

ADAPT: dict[str, Any] = {"name": "adapt", "task": "fill-mask", "data": {"source": "pool.txt"}}
SORT: dict[str, Any] = {"name": "sort", "task": "text-classification", "data": {"source": "rows.csv"}}


def recipe(*stages: dict[str, Any], **more: Any) -> Recipe:
    return from_options({"stages": list(stages), **{name.replace("__", "."): value for name, value in more.items()}})


def expanded(*stages: dict[str, Any], **more: Any) -> dict[str, Stage]:
    return {one.name: one for one in stages_of(recipe(*stages, **more))}


def problems(*stages: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        recipe(*stages, **more)
    return [(one.code, one.where) for one in caught.value.problems]


def test_a_stage_begins_from_the_model_of_the_one_before():
    found = expanded(ADAPT, SORT, {"name": "more", "data": {"source": "others.csv"}}, base="some/base")
    assert found["adapt"].recipe.base == "some/base" and not found["adapt"].needs
    assert found["sort"].needs == {"base": "adapt"} and found["more"].needs == {"base": "sort"}


def test_a_stage_may_name_a_base_or_an_earlier_stage():
    found = expanded(ADAPT, SORT, {**SORT, "name": "again", "base": "adapt"}, {**SORT, "name": "new", "base": "minilm"})
    assert found["again"].needs == {"base": "adapt"}
    assert not found["new"].needs and found["new"].recipe.base == "minilm"


def test_what_stands_above_holds_for_stages_of_the_same_task():
    first = {**SORT, "training": {"learning_rate": 1e-4}}
    found = expanded(ADAPT, first, seed=7, training__epochs=2.0, data__text="message")
    assert found["sort"].recipe.training.epochs == 2.0 and found["sort"].recipe.training.learning_rate == 1e-4
    assert found["adapt"].recipe.training.epochs == "auto"
    assert {one.recipe.seed for one in found.values()} == {7}
    assert found["sort"].recipe.data.text == "auto"  # rows of its own take nothing of data from above


def test_task_and_data_above_are_those_of_the_last_stage_where_not_given():
    whole = recipe(ADAPT, {**SORT, "task": "token-classification"})
    assert whole.task == "token-classification" and whole.data.source == "rows.csv"


def test_rows_from_above_serve_a_stage_without_its_own():
    found = expanded(ADAPT, {"name": "sort", "task": "text-classification"}, data__source="above.csv")
    assert found["sort"].recipe.data.source == "above.csv"


def test_an_adapter_is_merged_where_a_stage_begins_from_it():
    found = expanded({**SORT, "name": "one", "method": "lora"}, {**SORT, "name": "two", "method": "lora"})
    assert found["one"].recipe.lora.merge and not found["two"].recipe.lora.merge


def test_rows_are_chosen_for_the_next_stage_unless_a_target_is_named():
    found = expanded({**ADAPT, "selection": {"way": "dsir"}}, SORT)
    assert found["adapt"].needs == {"selection.target": "sort"}
    found = expanded({**ADAPT, "selection": {"way": "dsir", "target": "wanted.txt"}}, SORT)
    assert not found["adapt"].needs and found["adapt"].recipe.selection.target == "wanted.txt"


def test_a_recipe_with_stages_comes_back_from_its_text(tmp_path: Path):
    whole = recipe(ADAPT, {**SORT, "training": {"epochs": 2}}, controls__kinds=["none"], base="minilm")
    path = tmp_path / "recipe.yaml"
    path.write_text(dump(whole))
    assert load(path) == whole


@pytest.mark.parametrize(
    ("stages", "more", "code"),
    [
        ([{"task": "fill-mask", "data": {"source": "x"}}], {}, "R050"),
        ([{**ADAPT, "name": "a b"}], {}, "R050"),
        ([ADAPT, {**SORT, "name": "adapt"}], {}, "R050"),
        ([{**ADAPT, "controls": {}}, SORT], {}, "R051"),
        ([ADAPT, {**SORT, "stages": []}], {}, "R051"),
        ([ADAPT, {**SORT, "tasks": [SORT, {**SORT, "name": "two"}]}], {}, "R051"),
        ([ADAPT, {**SORT, "search": {"trials": 5}}], {}, "R051"),
        ([ADAPT, SORT], {"mixing__by": "uncertainty"}, "R094"),
        ([{**SORT, "name": "one", "method": "prompt"}, SORT], {}, "R052"),
        ([SORT], {"controls__kinds": ["none"]}, "R053"),
        ([ADAPT], {"controls__kinds": ["none"]}, "R053"),
        ([ADAPT, SORT], {"controls__irrelevant": "other.txt", "controls__kinds": ["none"]}, "R053"),
        ([ADAPT, SORT], {"controls__seeds": 5}, "R053"),
        ([ADAPT, {**SORT, "base": "later"}, {**SORT, "name": "later"}], {}, "R057"),
        ([SORT, {**SORT, "name": "two", "distillation": {"teacher": "two"}}], {}, "R057"),
        ([ADAPT, SORT], {"task": "regression", "training__epochs": 2.0, "data__source": "x"}, "R054"),
        ([{**ADAPT, "selection": {"way": "dsir"}}], {}, "R056"),
        ([{**ADAPT, "selection": {"rows": 10}}, SORT], {}, "R055"),
        ([{**ADAPT, "selection": {"way": "dsir", "rows": 10, "share": 0.5}}, SORT], {}, "R055"),
        ([ADAPT, {**SORT, "selection": {"way": "dsir", "target": "x"}}], {}, "R027"),
        ([{"name": "adapt", "task": "fill-mask"}, SORT], {}, "R012"),
    ],
)
def test_what_cannot_be_meant_is_refused(stages: list[dict[str, Any]], more: dict[str, Any], code: str):
    assert code in [found for found, _ in problems(*stages, **more)]


def test_mistakes_of_all_stages_are_told_at_once_with_their_lines(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "base: minilm\n"
        "stages:\n"
        "  - name: adapt\n"
        "    task: fill-mask\n"
        "    data: {source: pool.txt}\n"
        "    maskin: {share: 0.2}\n"
        "  - name: sort\n"
        "    data: {source: rows.csv}\n"
        "    training:\n"
        "      epochs: many\n"
    )
    with pytest.raises(UserError) as caught:
        load(path)
    found = {one.code: one for one in caught.value.problems}
    assert found["R010"].where == f"stage 'adapt', {path}:6 maskin" and "masking" in found["R010"].remedy
    assert found["R011"].where == f"stage 'sort', {path}:10 training.epochs"


def test_controls_without_stages_are_refused():
    with pytest.raises(UserError, match="R053"):
        from_options({"data.source": "x", "controls.kinds": ["none"]})


WRONG = """\
base: minilm
epochs: 3
stages:
  - name: adapt
    task: fill-mask
    data: {source: pool.txt}
    training: {epochs: -2}
  - 7
  - name: adapt
    data: {source: rows.csv, labl: intent}
    seed: x
    search: {trials: 3}
controls: {kinds: [none], seeds: 1}
"""


def told(path: Path, **changes: Any) -> list[tuple[str, str]]:
    with pytest.raises(UserError) as caught:
        load(path, {name.replace("__", "."): value for name, value in changes.items()})
    return sorted((one.code, one.where.replace(str(path), "r.yaml")) for one in caught.value.problems)


def test_mistakes_above_and_in_stages_are_told_together(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(WRONG)
    assert told(path) == [
        ("R010", "r.yaml:2 epochs"),
        ("R010", "stage 'adapt', r.yaml:10 data.labl"),
        ("R011", "r.yaml:13 controls.seeds"),
        ("R011", "r.yaml:8 stages"),
        ("R011", "stage 'adapt', r.yaml:11 seed"),
        ("R011", "stage 'adapt', r.yaml:7 training.epochs"),
        ("R050", "r.yaml:9 stages.2.name"),
        ("R051", "r.yaml:12 stages.2.search"),
    ]


def test_a_name_that_is_none_hides_no_other_mistake(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "stages:\n"
        "  - task: fill-mask\n"
        "    data: {source: pool.txt}\n"
        "    masking: {share: 2}\n"
        "  - {name: sort, task: text-classification, data: {source: rows.csv}, method: full, lora: {rank: 4}}\n"
        "  - {name: last, task: fill-mask}\n"
        "data: {source: x}\n"
        "task: text-classification\n"
    )
    assert told(path) == [
        ("R011", "stage 1, r.yaml:4 masking.share"),
        ("R012", "stage 'last', r.yaml:6 data"),
        ("R021", "stage 'sort', r.yaml:5 lora"),
        ("R050", "r.yaml:2 stages.0.name"),
    ]


def test_what_is_given_beside_the_file_is_not_blamed_on_a_stage(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "training: {epochs: 2}\n"
        "stages:\n"
        "  - {name: adapt, task: fill-mask, data: {source: pool.txt}, training: {epochs: 1}}\n"
        "  - {name: sort, task: text-classification, data: {source: rows.csv}}\n"
    )
    assert told(path, training__epochs=-1) == [("R011", "training.epochs")]
    assert told(path, method="probe") == [("R022", "stage 'sort', r.yaml:1 training")]


def test_the_stages_of_a_recipe_know_their_lines(tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "base: some/base\n"
        "data: {text: message}\n"
        "training: {epochs: 2}\n"
        "stages:\n"
        "  - {name: adapt, task: fill-mask, data: {source: pool.txt}}\n"
        "  - name: sort\n"
        "    task: text-classification\n"
        "    data: {source: rows.csv}\n"
        "    training: {patience: 3}\n"
    )
    adapt, sort = (one.recipe.lines for one in stages_of(load(path)))
    assert (line_of("base", adapt), line_of("training.epochs", adapt)) == (f"{path}:1", f"{path}:5")
    assert (line_of("training.epochs", sort), line_of("training.patience", sort)) == (f"{path}:3", f"{path}:9")
    assert (line_of("base", sort), line_of("data.text", sort)) == (f"{path}:6", f"{path}:8")


def test_a_teacher_behind_an_endpoint_is_no_stage():
    asked = {"teacher": "adapt", "endpoint": "http://localhost/v1", "texts": "replace", "weight": 0}
    found = expanded(ADAPT, {"name": "write", "task": "summarization", "data": {"source": "x"}, "distillation": asked})
    assert found["write"].needs == {"base": "adapt"}


def test_options_above_that_a_stage_does_not_take():
    given = {"training__epochs": 2, "training__patience": 3, "method": "full", "data__test_share": 0.3}
    adapt = {**ADAPT, "training": {"epochs": 1}}
    assert not_taken(recipe(adapt, SORT, {"name": "more"}, data__source="x", **given)) == {
        "adapt": ["method", "data.test_share", "training.patience"],
        "sort": ["data.test_share"],
        "more": [],
    }
