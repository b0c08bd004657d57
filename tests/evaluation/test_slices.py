"""Slices: nothing is confirmed where there is nothing, and what is there is found."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tests.evaluation import made_kinds
from tests.evaluation.made import with_right
from whet.evaluation import slices
from whet.evaluation.rows import same_rows
from whet.evaluation.slices import gain_words, gains, halves, in_words, search

Floats = Any
PARTS = 40


@pytest.fixture
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "ROUNDS", 399)


def parts(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """Parts of all sizes that have nothing to do with anything."""
    return {f"number {one}": rng.random(n) < rng.choice([0.1, 0.2, 0.4]) for one in range(PARTS)}


def changes(rng: np.random.Generator, n: int, share: float) -> Floats:
    """As many rows fixed as broken."""
    return rng.choice([-1.0, 0.0, 1.0], n, p=[share, 1 - 2 * share, share])


def uneven(rng: np.random.Generator, n: int, masks: dict[str, Any]) -> Floats:
    """One part in which models disagree on nearly every row and the rest in which they hardly do: means are equal."""
    inside = masks["number 0"]
    masks |= {f"number {one}": inside & (rng.random(n) < 0.7) for one in range(1, 10)}
    return np.where(inside, changes(rng, n, 0.45), changes(rng, n, 0.01))


@pytest.mark.parametrize("case", ["even", "uneven", "grouped"])
def test_nothing_is_confirmed_where_there_is_nothing(few_rounds: None, case: str):
    """At most 5 of 100 times on average; more than 11 would happen four times in a thousand such tests."""
    confirmed = stood_out = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 17])
        n = 300
        masks = parts(rng, n)
        groups = None
        if case == "grouped":
            groups = np.repeat(np.arange(n // 3), 3)
            gain = np.repeat(changes(rng, n // 3, 0.15), 3)
        else:
            gain = uneven(rng, n, masks) if case == "uneven" else changes(rng, n, 0.15)
        found = search(gain, masks, seed=seed, groups=groups)
        confirmed += bool(found.confirmed)
        stood_out += bool(found.found)
    assert confirmed <= 11
    assert stood_out > 50  # whoever looked at one half alone would have told of these


GROUPED = {
    "two groups inside": (40, 20, 0.1, 0.15, 0.15),
    "five groups inside": (100, 8, 0.1, 0.15, 0.15),
    "enough groups": (200, 5, 0.2, 0.15, 0.15),
    "groups that seldom break": (200, 5, 0.2, 0.1, 0.0),
}
"""Groups, rows of each, and the shares of groups that a part holds, that break and that are fixed."""


@pytest.mark.parametrize("case", GROUPED)
def test_nothing_is_confirmed_in_parts_of_whole_groups(few_rounds: None, case: str):
    """All rows of a group turn together, whatever parts it belongs to."""
    num_groups, size, share, broken, mended = GROUPED[case]
    confirmed = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 23])
        groups = np.repeat(np.arange(num_groups), size)
        gain = rng.choice([-1.0, 0.0, 1.0], num_groups, p=[broken, 1 - broken - mended, mended])[groups]
        masks = {f"number {one}": (rng.random(num_groups) < share)[groups] for one in range(PARTS)}
        confirmed += bool(search(gain, masks, seed=seed, groups=groups).confirmed)
    assert confirmed <= 11


def test_groups_of_uneven_size(few_rounds: None):
    """A group that makes up most of a part tells no more than one group does."""
    confirmed = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 24])
        sizes = np.ceil((1 - rng.random(150)) ** (-1 / 1.2)).astype(int).clip(1, 300)
        groups = np.repeat(np.arange(150), sizes)
        gain = -(rng.random(len(groups)) < rng.beta(0.3, 2.0, 150)[groups]).astype(float)
        masks = {name: rows[groups] for name, rows in parts(rng, 150).items()}
        confirmed += bool(search(gain, masks, seed=seed, groups=groups).confirmed)
    assert confirmed <= 11


def test_a_planted_part_of_groups_is_found(few_rounds: None):
    named = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 25])
        groups = np.repeat(np.arange(200), 4)
        inside = (rng.random(200) < 0.25)[groups]
        gain = changes(rng, 800, 0.05)
        gain[inside & (rng.random(800) < 0.5)] = -1.0
        masks = {name: rows[groups] for name, rows in parts(rng, 200).items()} | {"planted": inside}
        found = search(gain, masks, seed=seed, groups=groups)
        named += ("planted", False) in [(one.rows, one.better) for one in found.confirmed]
    assert named >= 17


def test_parts_of_few_groups_are_not_looked_at():
    """Sixty rows of a part are not sixty pieces of evidence where they are of four groups."""
    groups = np.repeat(np.arange(60), 15)
    gain = changes(np.random.default_rng(0), 60, 0.2)[groups]
    masks = {"of four groups": groups % 15 == 0, "of half of the groups": groups % 2 == 0}
    found = search(gain, masks, seed=0, groups=groups)
    assert found.num_looked_at == 1
    few = search(gain, {"of four groups": groups % 15 == 0}, seed=0, groups=groups)
    assert in_words(few, "new", "old", str) == [
        "No part of the rows is large enough in both halves of them to be looked at."
    ]
    none = search(gain[:150], {}, seed=0, groups=groups[:150])
    assert none.why_not.startswith("150 rows of 10 groups are too few to look for parts of them")


def test_rows_that_are_groups_by_themselves_are_as_rows_without_groups():
    rng = np.random.default_rng(3)
    gain, inside = changes(rng, 90, 0.3), rng.random((5, 90)) < 0.3
    alone, grouped = (slices._studentised(gain, inside, groups) for groups in (None, rng.permutation(90)))
    assert alone == pytest.approx(grouped)
    assert np.isnan(slices._studentised(gain, inside, np.where(inside[0], 0, np.arange(90)))[0])


def test_groups_change_places_whole():
    """A part of whole groups becomes another of whole groups, as many; any other one of as many rows on average."""
    rng = np.random.default_rng(0)
    groups = rng.permutation(np.repeat(np.arange(30), 7))
    drawn = slices._drawn(rng, groups < 12, groups, 50)
    held = np.stack([[set(row[groups == one]) for one in range(30)] for row in drawn])
    assert all(len(one) == 1 for one in held.ravel())
    assert {sum(True in one for one in row) for row in held} == {12}
    some = rng.random(210) < 0.3
    assert slices._drawn(rng, some, groups, 400).sum(axis=1).mean() == pytest.approx(some.sum(), rel=0.02)


@pytest.mark.parametrize("size", [0, 4])
def test_a_part_that_broke_completely_is_found(size: int):
    """Every row of it went wrong and no other changed: nothing varies on either side."""
    groups = np.arange(400) // size if size else None
    inside = np.random.default_rng(0).random(400)[np.arange(400) // max(1, size)] < 0.3
    other = np.random.default_rng(1).random(400) < 0.3
    found = search(np.where(inside, -1.0, 0.0), {"broken": inside, "other": other}, seed=0, groups=groups)
    assert [(one.rows, one.better) for one in found.confirmed] == [("broken", False)]
    json.dumps(found.to_json(), allow_nan=False)
    mended = search(np.where(inside, 1 / 3, 0.1), {"mended": inside}, seed=0, groups=groups)
    assert [(one.rows, one.better) for one in mended.confirmed] == [("mended", True)]


@pytest.mark.parametrize("size", [0, 4])
def test_one_gain_everywhere_is_no_difference(size: int):
    """What rounding leaves of it is none either."""
    groups = np.arange(400) // size if size else None
    masks = {name: one for name, one in parts(np.random.default_rng(0), 400).items() if 40 < one.sum() < 360}
    for gain in (1 / 3, -1e-9, 1e9 / 7):
        assert search(np.full(400, gain), masks, seed=0, groups=groups).found == ()


def test_a_planted_part_is_found(few_rounds: None):
    named = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 18])
        n = 400
        masks = parts(rng, n) | {"planted": rng.random(n) < 0.25}
        gain = changes(rng, n, 0.05)
        gain[masks["planted"] & (rng.random(n) < 0.4)] = -1.0
        found = search(gain, masks, seed=seed)
        named += [(one.rows, one.better) for one in found.confirmed] == [("planted", False)]
    assert named >= 17


def test_a_gain_everywhere_is_no_part(few_rounds: None):
    """A model that is better by as much on all rows has no part that stands out because of it."""
    confirmed = 0
    for seed in range(40):
        rng = np.random.default_rng([seed, 19])
        gain = rng.choice([0.0, 1.0], 300, p=[0.7, 0.3])
        confirmed += bool(search(gain, parts(rng, 300), seed=seed).confirmed)
    assert confirmed <= 6


def test_groups_stay_in_one_half():
    groups = np.repeat(np.arange(50), np.random.default_rng(0).integers(1, 9, 50))
    first = halves(len(groups), groups, 5)
    assert all(len(set(first[groups == one])) == 1 for one in range(50))
    assert abs(int(first.sum()) - len(groups) / 2) < 9
    assert np.array_equal(first, halves(len(groups), groups, 5))
    assert not np.array_equal(first, halves(len(groups), groups, 6))


def test_parts_may_be_looked_for_on_the_first_half_alone(few_rounds: None):
    seen: list[Any] = []
    gain = changes(np.random.default_rng(0), 200, 0.2)

    def made(first: Any) -> dict[str, Any]:
        seen.append(first)
        return {}

    found = search(gain, made, seed=4)
    assert found.num_looked_at == 0 and found.found == ()
    assert np.array_equal(seen[0], halves(200, None, 4))


def test_small_and_equal_parts():
    rng = np.random.default_rng(0)
    gain = changes(rng, 400, 0.2)
    inside = rng.random(400) < 0.3
    gain[inside] = -1.0
    masks = {"small": np.arange(400) < 9, "one": inside, "the same": inside.copy(), "the others": ~inside}
    found = search(gain, masks, seed=0)
    assert found.num_looked_at == 3
    assert [one.rows for one in found.found] == ["one"]
    assert found.found[0].inside == -1.0 and found.found[0].confirmed


def test_too_few_rows_and_no_difference():
    few = search(np.ones(20), {}, seed=0)
    assert "too few" in few.why_not and few.found == ()
    alike = search(np.zeros(200), {}, seed=0)
    assert "equally well" in alike.why_not
    assert in_words(few, "new", "old", str) == [few.why_not]


def test_words_for_people():
    rng = np.random.default_rng(1)
    inside = rng.random(400) < 0.3
    gain = np.where(inside & (rng.random(400) < 0.6), -1.0, 0.0)
    said = in_words(
        search(gain, {"with digits": inside}, seed=0), "new", "old", lambda one: gain_words(one, "classes", "accuracy")
    )
    assert "1 stood out and was tested on the other half" in said[0]
    assert f"On the {int(inside.sum())} rows with digits, new gains surely less over old than on the rest" in said[1]
    assert "points against +0.0 points" in said[1]
    nothing = in_words(search(changes(rng, 400, 0.1), {"with digits": inside}, seed=0), "new", "old", str)
    assert nothing == [nothing[0]] and "in none do the models differ" in nothing[0]


@pytest.mark.parametrize("kind", made_kinds.KINDS)
def test_every_kind_has_gains(kind: str):
    """The better model gains on average, and a model gains nothing over itself."""
    good, poor = (made_kinds.model(kind, quality, name=name) for quality, name in ((0.9, "full"), (0.5, "probe")))
    from whet.evaluation.kinds import primary_of

    metric = primary_of([good, poor])
    one, other = same_rows(good, poor)
    assert gains(one, other, metric).mean() > 0
    assert not gains(one, one, metric).any()
    assert gain_words(0.5, kind if kind not in made_kinds.TEXTS else "texts", metric)


def test_gain_of_classes_is_what_flips_say():
    new, old = (
        with_right(np.asarray([1, 1, 0, 0], bool), model="n"),
        with_right(np.asarray([1, 0, 1, 0], bool), model="o"),
    )
    assert gains(new, old, "accuracy").tolist() == [0, 1, -1, 0]
