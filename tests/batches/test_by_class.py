"""Batches in which classes meet: every class as often, no text twice in a group, a pure function of seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from whet.batches.by_class import ClassBatches, groups, rounds
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import Targets


@pytest.fixture
def classes() -> np.ndarray:
    return np.repeat([0, 1, 2], [40, 7, 2])


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
