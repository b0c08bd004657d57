"""Batches in which classes meet: every class as often, no text twice in a group, a pure function of seed and epoch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from whet.batches.by_class import ClassBatches, fitting, groups
from whet.batches.by_class import rounds as grouped
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import Targets


@pytest.fixture
def classes() -> np.ndarray:
    return np.repeat([0, 1, 2], [40, 7, 2])


def rounds(classes: np.ndarray, together: int, seed: int, epoch: int) -> np.ndarray:
    return np.concatenate(grouped(classes, together, seed, epoch))


def test_every_class_is_seen_as_often(classes: np.ndarray):
    seen = rounds(classes, 4, 0, 0)
    counts = np.bincount(classes[seen])
    assert len(classes) <= len(seen) < len(classes) + 12
    rows_of_a_group = [4, 3.5, 2]
    assert np.ptp(counts / rows_of_a_group) < 1, "as many groups of each"


def test_a_class_begins_again_only_when_all_of_it_was_seen(classes: np.ndarray):
    seen = rounds(classes, 4, 3, 1)
    small = seen[classes[seen] == 1]
    assert set(small[:7]) == set(np.flatnonzero(classes == 1))


def test_epochs_differ_and_repeat(classes: np.ndarray):
    assert (rounds(classes, 4, 1, 5) == rounds(classes, 4, 1, 5)).all()
    assert (rounds(classes, 4, 1, 5)[:10] != rounds(classes, 4, 1, 6)[:10]).any()
    assert (rounds(classes, 4, 1, 5)[:10] != rounds(classes, 4, 2, 5)[:10]).any()


@pytest.mark.parametrize(("number", "sizes"), [(8, [4, 4]), (9, [3, 3, 3]), (5, [3, 2]), (2, [2]), (1, [1])])
def test_groups_are_even(number: int, sizes: list[int]):
    found = groups(np.arange(number), 4)
    assert [len(group) for group in found] == sizes
    assert np.concatenate(found).tolist() == list(range(number))


@pytest.mark.parametrize(("number", "sizes"), [(7, [3, 2, 2]), (3, [3])])
def test_a_group_is_never_one_row_alone(number: int, sizes: list[int]):
    assert [len(group) for group in groups(np.arange(number), 2)] == sizes


def test_groups_side_by_side_are_of_different_classes():
    classes = np.repeat([0, 1], [40, 30])
    seen = [int(classes[group[0]]) for group in grouped(classes, 4, 0, 0)]
    assert all(one != other for one, other in itertools.pairwise(seen))


@pytest.mark.parametrize(("length", "tokens", "wanted"), [(128, 512, 2), (128, 1024, 4), (128, 800, 3), (129, 512, 0)])
def test_two_groups_fit_into_a_batch(length: int, tokens: int, wanted: int):
    assert fitting(4, length, tokens) == wanted


@pytest.mark.parametrize("number", [2, 5])
@pytest.mark.parametrize("spread", [0, 100])
def test_long_rows_stand_beside_rows_of_another_class(number: int, spread: int):
    lengths = 128 + np.random.default_rng(0).integers(-spread, spread + 1, 60)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    encoded = Encoded(np.zeros(offsets[-1], np.uint32), offsets, np.full(60, -1, np.int32), Cut(240, 0, 0, 0))
    targets = Targets(torch.arange(60) % number)
    found = ClassBatches(encoded, targets, 512, 7, whole=True, together=fitting(4, float(lengths.mean()), 520))
    for epoch in range(3):
        batches = [targets.values.numpy()[rows] for rows in found.rows_of(epoch)]
        assert all(len(np.unique(one)) >= 2 and np.unique(one, return_counts=True)[1].min() >= 2 for one in batches)
        assert len(batches) > 8, "they are not all joined"


def test_batches_resume_and_are_never_cut():
    lengths = np.full(48, 10)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    encoded = Encoded(np.zeros(480, np.uint32), offsets, np.full(48, -1, np.int32), Cut(10, 0, 0, 480))
    targets = Targets(torch.arange(48) % 6)
    found = ClassBatches(encoded, targets, 160, 7, whole=True, together=4)
    assert found.per_epoch == 3
    whole = [batch.rows.tolist() for batch in found.starting_at(2, 0)]
    assert [batch.rows.tolist() for batch in found.starting_at(2, 1)] == whole[1:]
    for batch in found.starting_at(0, 0):
        assert len(np.unique(batch.targets.numpy())) >= 3
        assert list(batch.split(20)) == [batch]
