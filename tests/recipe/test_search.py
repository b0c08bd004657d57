"""The space of a search: what is drawn for which method, grids, and mistakes before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from whet.errors import UserError
from whet.recipe import dump, from_options, load, space
from whet.recipe.schema import Recipe


def recipe(**wanted: Any) -> Recipe:
    return from_options({"data.source": "x.csv", **wanted})


def of(found: dict[str, Any], **more: Any) -> Recipe:
    return recipe(**{"search.space": found, **more})


def test_the_way_through_a_file(tmp_path: Path):
    text = """
data: {source: x.csv}
search:
  space:
    training.learning_rate: {low: 1e-5, high: 1e-3, log: true}
    method: [full, lora]
    lora.rank: [4, 16]
    regularisation.dropout: [auto, 1e-1]
    training.patience: {low: 2, high: 6, step: 2}
"""
    (tmp_path / "a.yaml").write_text(text)
    found = load(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text(dump(found))
    assert load(tmp_path / "b.yaml") == found
    dimensions = {one.option: one for one in space.dimensions(found)}
    assert next(iter(dimensions)) == "method"  # others depend on it
    assert (dimensions["training.learning_rate"].low, dimensions["training.learning_rate"].log) == (1e-5, True)
    assert dimensions["regularisation.dropout"].choices == ("auto", 0.1)
    assert dimensions["training.patience"].values() == [2, 4, 6]
    assert not dimensions["training.learning_rate"].values()


def test_what_a_method_does_not_use_is_not_drawn():
    found = of({"method": ["probe", "full", "lora"], "lora.rank": [4, 16], "training.epochs": [1.0, 2.0]})
    dimensions = space.dimensions(found)
    drawn = {
        method: [one.option for one in dimensions if space.belongs(one, method)] for method in ("probe", "full", "lora")
    }
    assert drawn == {
        "probe": ["method"],
        "full": ["method", "training.epochs"],
        "lora": ["method", "lora.rank", "training.epochs"],
    }
    grid = space.grid(dimensions, space.methods_of(found))
    assert len(grid) == 1 + 2 + 4 and {"method": "probe"} in grid
    assert {"method": "lora", "lora.rank": 16, "training.epochs": 2.0} in grid


def test_the_usual_space():
    found = space.usual(("full", "lora"), {"full": 1e-4, "lora": 5e-4}, {"full": 4.0, "lora": 4.0})
    assert [one.name for one in found] == [
        "method",
        "training.learning_rate (full)",
        "training.learning_rate (lora)",
        "training.epochs",
        "layers.decay",
        "lora.rank",
    ]
    assert found[2].low == pytest.approx(1e-4) and found[2].high == pytest.approx(2.5e-3)
    assert space.belongs(found[2], "lora") and not space.belongs(found[2], "full")
    assert space.usual(("lora",), {"lora": 1e-3}, {"lora": 3.0})[0].option == "training.learning_rate"


def test_methods_that_take_other_passes_have_passes_of_their_own():
    rates, epochs = {"full": 1e-4, "contrastive": 5e-5}, {"full": 8.0, "contrastive": 10.0}
    found = {one.name: one for one in space.usual(tuple(rates), rates, epochs)}
    assert found["training.epochs (full)"].choices == (4.0, 8.0, 12.0)
    assert found["training.epochs (contrastive)"].choices == (5.0, 10.0, 15.0)
    assert found["contrastive.loss"].choices == ("supervised", "cosine")
    (one,) = (one for one in space.usual(["full"], rates, {"full": 1.0}) if one.option == "training.epochs")
    assert one.choices == (1.0, 2.0), "none of them twice"


def test_a_setting_over_a_recipe():
    found = space.applied(recipe(), {"lora.rank": 4, "method": "lora"})
    assert found["lora"]["rank"] == 4 and found["method"] == "lora"
    assert space.shares_tokens({"method": "lora", "training.epochs": 2.0})
    assert not space.shares_tokens({"method": "prompt"}) and not space.shares_tokens({"data.max_length": 64})


@pytest.mark.parametrize(
    ("wanted", "code", "words"),
    [
        ({"training.learning_rat": [0.1]}, "R085", "learning_rate"),
        ({"seed": [1, 2]}, "R085", "search.seeds"),
        ({"data.text": ["a", "b"]}, "R085", "on which rows"),
        ({"training": [1]}, "R085", "is not an option"),
        ({"lora.rank": [4]}, "R089", "method lora or qlora"),
        ({"training.epochs": []}, "R086", "no choices"),
        ({"training.epochs": [1.0, 1.0]}, "R086", "one twice"),
        ({"training.optimiser": ["adam"]}, "R086", "cannot be 'adam'"),
        ({"training.epochs": {"low": 3, "high": 1}}, "R086", "is no range"),
        ({"training.epochs": {"low": 1, "hihg": 3}}, "R086", "is no range"),
        ({"training.weight_decay": {"low": 0, "high": 1, "log": True}}, "R086", "above 0"),
        ({"regularisation.dropout": {"low": 0, "high": 2}}, "R086", "cannot be 2"),
        ({"training.patience": {"low": 1.5, "high": 3}}, "R086", "cannot be 1.5"),
        ({}, "R086", "is empty"),
    ],
)
def test_mistakes_of_a_space(wanted: dict[str, Any], code: str, words: str):
    with pytest.raises(UserError, match=code) as caught:
        of(wanted, method="full")
    assert words in str(caught.value)


def test_all_mistakes_at_once():
    with pytest.raises(UserError) as caught:
        of({"seed": [1], "nothing": [2], "training.epochs": ["many"]})
    assert [one.code for one in caught.value.problems] == ["R085", "R085", "R086"]


def test_a_grid_needs_ends():
    with pytest.raises(UserError, match="R087"):
        of({"training.learning_rate": {"low": 0.1, "high": 1}}, **{"search.sampler": "grid"})
    with pytest.raises(UserError, match="R087"):
        recipe(**{"search.sampler": "grid"})
    of({"training.epochs": {"low": 1, "high": 3, "step": 1}}, **{"search.sampler": "grid"})


def test_tokens_stay_where_their_likelihood_is_measured():
    with pytest.raises(UserError, match="R085"):
        of({"base": ["a", "b"]}, task="language-modeling")
    of({"base": ["a", "b"]})
    with pytest.raises(UserError, match="R089"):
        of({"training.epochs": [1.0, 2.0]}, method="probe")
