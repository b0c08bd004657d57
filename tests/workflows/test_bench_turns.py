"""The time of ``whet bench``, on a clock that only steps move on; and how larger steps are computed."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from tests.recipe.made_facts import FACTS
from whet.errors import ModelTooLarge
from whet.recipe import from_options
from whet.recipe.resolve import Facts, resolve
from whet.workflows import bench_turns, bench_ways
from whet.workflows.bench_turns import FEWEST, FEWEST_ROUNDS, MEMORY, MOST, ROUNDS, TIME, WARM, Turns
from whet.workflows.bench_ways import AS_DECIDED, Way

PADDED, LARGER, OTHER = Way("padded", times=1.5), Way("larger", times=4.0), Way("other", times=2.0)
WAYS = [AS_DECIDED, PADDED, LARGER, OTHER]
TIMES = {way.name: way.times for way in WAYS}


class Stage:
    """Models whose steps take what is said here, and what was done with them; ``now``: the time."""

    def __init__(self, step: float, times: Mapping[str, float] | None = None) -> None:
        self.seconds = {name: step * factor for name, factor in {**TIMES, **(times or {})}.items()}
        self.now = 0.0
        self.made: list[str] = []
        self.taken: dict[str, list[tuple[int, int]]] = {}
        self.profiled: list[tuple[int, int]] = []
        self.fails: dict[str, tuple[int, Exception]] = {}
        """The error of a way, and how often it takes steps before."""

    def make(self, way: Way) -> Any:
        self.made.append(way.name)
        self.taken[way.name] = []
        return SimpleNamespace(take=lambda *steps: self._take(way.name, *steps), shares=self._shares)

    def _take(self, name: str, steps: int, untimed: int) -> tuple[int, float]:
        after, error = self.fails.get(name, (0, None))
        if error is not None and len(self.taken[name]) >= after:
            raise error
        self.taken[name].append((steps, untimed))
        self.now += (steps + untimed) * self.seconds[name]
        return 1000 * steps, steps * self.seconds[name]

    def _shares(self, steps: int, untimed: int) -> dict[str, float]:
        self.profiled.append((steps, untimed))
        self.now += (steps + untimed) * self.seconds[AS_DECIDED.name]
        return {"products": 1.0}

    def compared(self, seconds: float, monkeypatch: pytest.MonkeyPatch) -> Turns[Any]:
        monkeypatch.setattr(bench_turns, "time", SimpleNamespace(perf_counter=lambda: self.now))
        turns: Turns[Any] = Turns(self.make, seconds, lambda *_: None)
        turns.choose(WAYS)
        assert turns.take() == {"products": 1.0}
        return turns


def test_quick_models_warm_up_and_are_compared_in_every_way(monkeypatch: pytest.MonkeyPatch):
    stage = Stage(0.01)
    turns = stage.compared(20, monkeypatch)
    assert turns.left_out == []
    assert list(turns.rates) == list(TIMES)
    assert {name: rates[0] for name, rates in turns.rates.items()} == pytest.approx(
        {name: 1000 / seconds for name, seconds in stage.seconds.items()}
    )
    for taken in stage.taken.values():
        assert taken[: WARM + 2] == [(1, 0)] * (WARM + 1) + [(1, 1)]
        assert len(taken) == WARM + 2 + ROUNDS
        assert all(steps > 10 * FEWEST and untimed == 1 for steps, untimed in taken[WARM + 2 :])
    assert stage.profiled == [(FEWEST, 1)]
    assert stage.now == pytest.approx(20, rel=0.1)


def test_a_turn_has_its_steps_where_the_seconds_are_nearly_enough(monkeypatch: pytest.MonkeyPatch):
    """As with minilm in 20 seconds on two cores: the longest way has no even share, and is not hurried for it."""
    stage = Stage(0.17)
    turns = stage.compared(20, monkeypatch)
    assert not turns.left_out
    for taken in stage.taken.values():
        assert all(steps >= FEWEST and untimed == 1 for steps, untimed in taken[-ROUNDS:])
    assert stage.now < MOST * 20


def test_ways_without_room_are_never_made_and_the_seconds_said_have_room_for_them(monkeypatch: pytest.MonkeyPatch):
    """As a Llama of 135 M weights on two cores: 11 seconds a step."""
    stage = Stage(11)
    turns = stage.compared(60, monkeypatch)
    assert stage.made == [AS_DECIDED.name]
    assert [(way["name"], way["lacks"]) for way in turns.left_out] == [(way.name, TIME) for way in WAYS[1:]]
    assert stage.taken[AS_DECIDED.name] == [(1, 0)] * (1 + ROUNDS)  # a long step needs none before it
    assert stage.profiled == [(1, 0)]
    assert stage.now <= 60
    for number, way in enumerate(turns.left_out):
        again = Stage(11)
        others = again.compared(way["seconds"], monkeypatch)
        assert list(others.rates)[: number + 2] == [one.name for one in WAYS[: number + 2]]
        assert again.now <= MOST * way["seconds"]
    assert list(others.rates) == list(TIMES) and not others.left_out


def test_a_cheaper_way_is_compared_behind_one_without_room(monkeypatch: pytest.MonkeyPatch):
    stage = Stage(5)
    turns = stage.compared(100, monkeypatch)
    assert stage.made == [AS_DECIDED.name, PADDED.name, OTHER.name]
    assert [way["name"] for way in turns.left_out] == [LARGER.name]
    assert all(len(rates) >= FEWEST_ROUNDS for rates in turns.rates.values())
    assert stage.now <= MOST * 100


def test_a_way_slower_than_foreseen_is_left_out_after_one_step(monkeypatch: pytest.MonkeyPatch):
    stage = Stage(2.5, {OTHER.name: 12})
    turns = stage.compared(90, monkeypatch)
    assert stage.taken[OTHER.name] == [(1, 0)]
    assert list(turns.rates) == [AS_DECIDED.name, PADDED.name, LARGER.name]
    [left] = turns.left_out
    assert left["name"] == OTHER.name
    assert stage.now <= MOST * 90
    again = Stage(2.5, {OTHER.name: 12})
    assert not again.compared(left["seconds"], monkeypatch).left_out


@pytest.mark.parametrize("step", [0.001, 0.05, 0.3, 0.7, 1.1, 1.9, 2.1, 4, 7, 11, 20])
@pytest.mark.parametrize("seconds", [40, 60, 90, 240, 600])
def test_it_stays_about_within_the_seconds(step: float, seconds: float, monkeypatch: pytest.MonkeyPatch):
    stage = Stage(step)
    turns = stage.compared(seconds, monkeypatch)
    assert {*turns.rates, *(way["name"] for way in turns.left_out)} == set(TIMES)
    assert stage.now <= 1.5 * seconds
    assert stage.now > 0.5 * seconds


def test_where_no_turn_has_room_the_first_step_is_the_answer(monkeypatch: pytest.MonkeyPatch):
    stage = Stage(45)
    turns = stage.compared(60, monkeypatch)
    assert turns.rounds == 0
    assert turns.rates == {AS_DECIDED.name: [1000 / 45]}
    assert len(turns.left_out) == len(WAYS) - 1
    assert stage.now == 90  # one step, and one that is profiled


ERRORS = [MemoryError(), ModelTooLarge(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("after", [0, WARM + 3], ids=["at once", "in a turn"])
def test_a_way_without_memory_is_left_out(error: Exception, after: int, monkeypatch: pytest.MonkeyPatch):
    stage = Stage(0.01)
    stage.fails[LARGER.name] = (after, error)
    turns = stage.compared(10, monkeypatch)
    assert turns.left_out == [{"name": LARGER.name, "lacks": MEMORY, "seconds": None}]
    assert list(turns.rates) == [AS_DECIDED.name, PADDED.name, OTHER.name]
    assert {len(rates) for rates in turns.rates.values()} == {ROUNDS}


@pytest.mark.parametrize("after", [0, WARM + 3], ids=["at once", "in a turn"])
@pytest.mark.parametrize(("name", "error"), [(AS_DECIDED.name, MemoryError()), (LARGER.name, RuntimeError("a bug"))])
def test_nothing_else_is_passed_over(name: str, error: Exception, after: int, monkeypatch: pytest.MonkeyPatch):
    stage = Stage(0.01)
    stage.fails[name] = (after, error)
    with pytest.raises(type(error)):
        stage.compared(10, monkeypatch)


@pytest.mark.parametrize(
    ("layers", "width", "batch", "asked", "expected"),
    [
        (30, 576, 4000, "auto", 1041),  # as the steps that were decided
        (6, 384, 500, "auto", 3000),  # a whole batch, as it was
        (6, 384, 2000, "auto", 4096),
        (6, 384, 500, 300, 300),  # its author's
    ],
)
def test_larger_steps_compute_no_more_at_once_than_a_recipe_would(
    layers: int, width: int, batch: int, asked: Any, expected: int
):
    recipe = from_options(
        {"data.source": "a.csv", "training.batch_tokens": batch, "training.micro_batch_tokens": asked}
    )
    facts = Facts(**FACTS | {"num_tokens": 1_000_000, "longest": 200, "num_layers": layers, "hidden_size": width})
    decided = resolve(recipe, facts)
    encoded = {"train": SimpleNamespace(num_tokens=facts.num_tokens)}
    run: Any = SimpleNamespace(recipe=recipe, encoded=encoded, value=lambda name: decided[name].value)
    [larger] = [way for way in bench_ways.ways(run, facts) if way.name == f"steps of {4 * batch:,} tokens"]
    assert larger.options == {"training.batch_tokens": 4 * batch, "training.micro_batch_tokens": expected}
