from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.data.made import problems_of
from whet.data.splitting import carve, missing_splits, rarest, shares
from whet.errors import UserError

PARTS = {"test": 0.2, "validation": 0.1}


@st.composite
def labelled(draw, repeats=True):
    """Label ids and hashes of 10 to 120 rows; hashes repeat where wished."""
    count = draw(st.integers(10, 120))
    num_labels = draw(st.integers(2, 6))
    labels = np.array(draw(st.lists(st.integers(0, num_labels - 1), min_size=count, max_size=count)))
    most = draw(st.integers(count // 3, count)) if repeats else 10**9
    hashes = draw(st.lists(st.integers(0, most), min_size=count, max_size=count, unique=not repeats))
    return labels, np.array(hashes, dtype=np.uint64)


def divided(labels, hashes, parts=PARTS, seed=0):
    try:
        return carve(labels, hashes, parts, seed)
    except UserError as error:
        assert error.problems[0].code == "D040"
        assume(False)


@given(labelled(), st.integers(0, 5))
def test_a_partition_without_a_hash_on_two_sides(data, seed):
    labels, hashes = data
    found = divided(labels, hashes, seed=seed)
    assert list(found) == ["train", "test", "validation"]
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(len(labels)))
    sides = [set(hashes[rows].tolist()) for rows in found.values()]
    assert len(set().union(*sides)) == sum(map(len, sides))
    assert all((np.diff(rows) > 0).all() for rows in found.values())


@given(labelled())
def test_every_label_can_be_trained_on(data):
    labels, hashes = data
    found = divided(labels, hashes)
    assert set(labels[found["train"]]) == set(labels)


@given(labelled(repeats=False))
def test_single_rows_are_divided_within_one_row(data):
    labels, hashes = data
    found = divided(labels, hashes)
    for label, size in zip(*np.unique(labels, return_counts=True), strict=True):
        counts = {split: int((labels[rows] == label).sum()) for split, rows in found.items()}
        assert counts["train"] >= 1
        if size >= 4:
            assert all(abs(counts[split] - share * size) <= 1 for split, share in PARTS.items())
    big = sum(size for size in np.unique(labels, return_counts=True)[1] if size >= 4)
    assert abs(len(found["test"]) - 0.2 * big) <= 1 + (len(labels) - big)


@given(labelled())
def test_the_same_seed_gives_the_same_split(data):
    labels, hashes = data
    first, second = divided(labels, hashes), divided(labels, hashes)
    assert all(np.array_equal(first[split], second[split]) for split in first)


def test_another_seed_gives_another_split():
    labels, hashes = np.arange(200) % 4, np.arange(200, dtype=np.uint64)
    drawn = {tuple(carve(labels, hashes, PARTS, seed)["test"].tolist()) for seed in range(5)}
    assert len(drawn) == 5


def test_by_hand_in_numbers():
    """60 rows of one label and 40 of another: 12 + 8 to test, 6 + 4 to validation."""
    labels = np.array([0] * 60 + [1] * 40)
    found = carve(labels, np.arange(100, dtype=np.uint64), PARTS, 3)
    assert np.bincount(labels[found["test"]]).tolist() == [12, 8]
    assert np.bincount(labels[found["validation"]]).tolist() == [6, 4]


def test_many_small_classes_add_up_to_the_whole_share():
    """150 labels of 4 rows: 0.4 of a row each to validation must not all round to none."""
    labels = np.repeat(np.arange(150), 4)
    found = carve(labels, np.arange(600, dtype=np.uint64), PARTS, 0)
    assert (len(found["test"]), len(found["validation"])) == (120, 60)
    assert np.bincount(labels[found["validation"]], minlength=150).max() == 1


def test_labels_of_one_row_are_for_training():
    labels = np.array([*range(20), *([20] * 30)])
    found = carve(labels, np.arange(50, dtype=np.uint64), PARTS, 0)
    assert set(range(20)) <= set(labels[found["train"]].tolist())
    assert len(found["test"]) == 6


@pytest.mark.parametrize("seed", range(20))
def test_nothing_but_repeats_still_gives_every_split_its_rows(seed):
    labels, hashes = np.repeat(np.arange(12) % 2, 3), np.repeat(np.arange(12), 3).astype(np.uint64)
    found = carve(labels, hashes, PARTS, seed)
    assert 3 <= len(found["test"]) <= 9
    assert len(found["validation"]) == 3


@given(st.data())
def test_several_labels(data):
    count = data.draw(st.integers(12, 60))
    rows = data.draw(st.lists(st.sets(st.integers(0, 4)), min_size=count, max_size=count))
    labels = np.array([[label in row for label in range(5)] for row in rows])
    hashes = np.array(data.draw(st.lists(st.integers(0, 40), min_size=count, max_size=count)), dtype=np.uint64)
    found = divided(labels, hashes)
    assert sorted(np.concatenate(list(found.values())).tolist()) == list(range(count))
    assert (labels[found["train"]].any(axis=0) == labels.any(axis=0)).all()
    sides = [set(hashes[part].tolist()) for part in found.values()]
    assert len(set().union(*sides)) == sum(map(len, sides))


def test_the_stratum_is_the_rarest_label():
    labels = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 0, 0]], dtype=bool)
    assert rarest(labels).tolist() == [1, 0, 2, 3]


@pytest.mark.parametrize(
    ("labels", "parts"),
    [
        (np.arange(9) % 2, PARTS),
        (np.arange(12), PARTS),
        (np.arange(100) % 2, {"test": 0.6, "validation": 0.4}),
    ],
)
def test_too_few_rows(labels, parts):
    (problem,) = problems_of(carve, labels, np.arange(len(labels), dtype=np.uint64), parts, 0)
    assert problem.code == "D040"


def test_one_text_alone_cannot_be_divided():
    assert problems_of(carve, np.arange(30) % 2, np.zeros(30, dtype=np.uint64), PARTS, 0)[0].code == "D040"


def test_nothing_missing_leaves_everything_in_training():
    found = carve(np.arange(5), np.arange(5, dtype=np.uint64), {}, 0)
    assert {split: rows.tolist() for split, rows in found.items()} == {"train": [0, 1, 2, 3, 4]}


@pytest.mark.parametrize(("num_rows", "rows"), [(100, 20), (400, 80), (1000, 100), (5000, 500), (50_000, 2000)])
def test_validation_has_enough_rows_and_not_too_many(num_rows, rows):
    assert round(shares(num_rows, ["validation"])["validation"] * num_rows) == rows


def test_which_splits_are_missing():
    assert missing_splits(["train"]) == ("test", "validation")
    assert missing_splits(["train", "test"]) == ("validation",)
    assert missing_splits(["train", "validation"]) == ("test",)
    assert shares(1000, ["test"]) == {"test": 0.2}
