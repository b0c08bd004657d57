from __future__ import annotations

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.batches.test_replay import encoded
from whet.batches.flat import Targets, TrainingBatches
from whet.batches.mixture import Mixture, TaskBatch, turns

SIZES = st.dictionaries(st.text("abc", min_size=1, max_size=2), st.integers(1, 300), min_size=1, max_size=5)


@given(SIZES)
def test_at_temperature_one_every_task_goes_through_its_rows_once(sizes: dict[str, int]) -> None:
    assert turns(sizes, 1.0) == sizes


@given(SIZES, st.floats(1.0, 20.0))
def test_no_task_is_left_out_and_an_epoch_keeps_its_length(sizes: dict[str, int], temperature: float) -> None:
    found = turns(sizes, temperature)
    assert min(found.values()) >= 1
    assert sum(sizes.values()) <= sum(found.values()) <= sum(sizes.values()) + len(sizes)


def test_higher_temperatures_bring_tasks_nearer() -> None:
    sizes = {"large": 900, "small": 100}
    shares = [turns(sizes, temperature)["small"] for temperature in (1, 2, 4, 100)]
    assert shares == sorted(shares) and shares[0] == 100 and shares[-1] > 490


def mixture(seed: int = 0) -> Mixture:
    tasks = {}
    for name, units in {"one": 40, "other": 13}.items():
        rows = encoded(name, units)
        tasks[name] = TrainingBatches(rows, Targets(torch.zeros(len(rows))), 64, seed)
    return Mixture(tasks, {"one": 3, "other": 5}, seed)


def seen(batches: list[TaskBatch]) -> list[tuple[str, list[int]]]:
    return [(one.task, one.batch.rows.tolist()) for one in batches]


@pytest.mark.parametrize("epoch", [0, 1, 4])
@pytest.mark.parametrize("index", [0, 1, 7])
def test_going_on_is_a_jump(epoch: int, index: int) -> None:
    known = mixture()
    whole = [batch for number in range(epoch + 1) for batch in known.starting_at(number, 0)]
    assert len(whole) == 8 * (epoch + 1)
    assert seen(list(mixture().starting_at(epoch, index))) == seen(whole[8 * epoch + index :])


def test_each_task_goes_through_all_its_rows_before_it_begins_again() -> None:
    known = mixture()
    own = known.tasks["other"]
    batches = [one for number in range(4) for one in known.starting_at(number, 0) if one.task == "other"]
    first = list(islice(batches, own.per_epoch))
    assert sorted(row for one in first for row in one.batch.rows.tolist()) == list(range(13))
    assert known.per_epoch == 8 and known.order(0) != known.order(1)


def test_a_batch_is_cut_within_its_task() -> None:
    batch = next(mixture().starting_at(0, 0))
    parts = batch.split(20)
    assert len(parts) > 1 and {one.task for one in parts} == {batch.task}
    assert sum(one.num_tokens for one in parts) == batch.num_tokens
