"""When auto becomes contrastive, with which loss and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from whet.recipe import Recipe
from whet.recipe.few_choices import EPOCHS, contrasted, epochs, loss


def recipe(**more: Any) -> Recipe:
    return Recipe(**{"data": {"source": "rows.csv"}, **more})


@pytest.mark.parametrize(
    ("rows", "taken"),
    [((8, 8), True), ((64,) * 77, True), ((4, 30), True), ((3, 30), False), ((200, 200), False), ((), False)],
)
def test_by_rows_of_a_class(rows: tuple[int, ...], taken: bool):
    assert bool(contrasted(recipe(), rows, True)) == taken
    assert not contrasted(recipe(), rows, False), "the base is too large to move it all"


@pytest.mark.parametrize(
    "more",
    [
        {"task": "regression"},
        {"lora": {"rank": 4}},
        {"layers": {"decay": 0.9}},
        {"regularisation": {"r_drop": 1.0}},
        {"forgetting": {"interpolate": True}},
        {"training": {"label_smoothing": 0.0}},
        {"self_training": {"source": "texts.txt", "labels": "soft"}},
    ],
)
def test_what_only_others_can_follow_keeps_it_away(more: dict[str, Any]):
    assert not contrasted(recipe(**more), (8, 8), True)


def test_more_rows_are_seen_less_often():
    assert [epochs(number)[0] for number in (16, 616, 5000)] == [EPOCHS[1], 5.0, EPOCHS[0]]
    assert (loss(2)[0], loss(77)[0]) == ("cosine", "supervised")
