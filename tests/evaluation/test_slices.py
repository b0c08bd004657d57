"""Slices: nothing is confirmed where there is nothing, and what is there is found."""

from __future__ import annotations

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
    nothing = in_words(search(changes(rng, 400, 0.1), {}, seed=0), "new", "old", str)
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
