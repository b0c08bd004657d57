from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from whet.batches import order

lengths_of_rows = st.lists(st.integers(1, 60), min_size=1, max_size=200).map(lambda x: np.asarray(x, np.int64))
batch_sizes = st.integers(16, 400)


def check_partition(batches: list[NDArray[np.int64]], num_rows: int) -> None:
    assert all(len(batch) for batch in batches)
    assert sorted(np.concatenate(batches).tolist()) == list(range(num_rows))


def tokens(batches: list[NDArray[np.int64]], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray([lengths[batch].sum() for batch in batches])


@given(lengths_of_rows, batch_sizes, st.integers(0, 2**31 - 1), st.integers(0, 20))
def test_an_epoch_has_every_row_once_and_depends_on_seed_and_epoch_alone(
    lengths: NDArray[np.int64], batch_tokens: int, seed: int, epoch: int
):
    batches = order.shuffled(lengths, batch_tokens, seed, epoch)
    check_partition(batches, len(lengths))
    np.random.default_rng().random(10)
    again = order.shuffled(lengths.copy(), batch_tokens, seed, epoch)
    assert [b.tolist() for b in batches] == [b.tolist() for b in again]


@given(lengths_of_rows, batch_sizes)
def test_batches_hold_about_the_tokens_asked_for(lengths: NDArray[np.int64], batch_tokens: int):
    rows = np.arange(len(lengths))
    batches = order.cut(rows, lengths, batch_tokens)
    check_partition(batches, len(lengths))
    assert np.concatenate(batches).tolist() == rows.tolist(), "in their order"
    total, longest = int(lengths.sum()), int(lengths.max())
    number = min(len(lengths), max(1, round(total / batch_tokens)))  # a row is never cut
    share = total / number
    found = tokens(batches, lengths)
    assert found.max() <= share + longest
    if 1 < number < len(lengths):
        assert 2 / 3 * batch_tokens <= share <= 4 / 3 * batch_tokens
    if longest < share:
        assert found.min() > share - longest - 1, "no small remainder"


def test_many_rows_give_batches_near_the_size_and_of_like_length():
    lengths = np.random.default_rng(0).integers(5, 120, 5000)
    batches = order.shuffled(lengths, 1024, seed=1, epoch=0)
    sizes = tokens(batches, lengths)
    assert abs(sizes.mean() / 1024 - 1) < 0.01
    assert (abs(sizes - 1024) <= 125).all()
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 10, "of 115 that are possible: padding inside attention is next to nothing"


def test_epochs_and_seeds_differ_in_order_and_company():
    lengths = np.random.default_rng(0).integers(5, 40, 300)
    first, second, other = (order.shuffled(lengths, 200, seed, epoch) for seed, epoch in ((1, 0), (1, 1), (2, 0)))
    for batches in (second, other):
        assert [b.tolist() for b in first] != [b.tolist() for b in batches]
        assert {frozenset(b.tolist()) for b in first} != {frozenset(b.tolist()) for b in batches}


def test_batches_do_not_come_in_the_order_of_their_lengths():
    lengths = np.arange(1, 301)
    means = [lengths[batch].mean() for batch in order.shuffled(lengths, 500, 0, 0)]
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.5


@given(lengths_of_rows, batch_sizes)
def test_prediction_begins_with_the_longest(lengths: NDArray[np.int64], batch_tokens: int):
    batches = order.by_length(lengths, batch_tokens)
    check_partition(batches, len(lengths))
    in_order = lengths[np.concatenate(batches)]
    assert (np.diff(in_order) <= 0).all()


def test_no_rows_give_no_batches():
    empty = np.zeros(0, np.int64)
    assert order.by_length(empty, 100) == []
    assert order.shuffled(empty, 100, 0, 0) == []


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=5, unique=True),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 10**6),
)
def test_rows_are_seen_as_often_as_their_class_should(sizes: list[int], power: float, seed: int):
    """Of each row, and of each class, the expected number of times, rounded up or down."""
    classes = np.repeat(np.arange(len(sizes)), sizes)
    shares = np.asarray(sizes, np.float64)[classes] ** (power - 1.0)
    found = order.sampled(shares, seed, 3)
    assert len(found) == len(classes) and (np.diff(found) >= 0).all()
    wanted = shares * (len(shares) / shares.sum())
    times = np.bincount(found, minlength=len(classes))
    assert (np.abs(times - wanted) < 1.0 + 1e-9).all()
    by_class = np.bincount(classes[found], minlength=len(sizes))
    assert (np.abs(by_class - np.bincount(classes, weights=wanted)) < 1.0 + 1e-9).all()
    assert np.array_equal(found, order.sampled(shares, seed, 3))
    if power == 1.0:
        assert found.tolist() == list(range(len(classes)))


def test_other_rows_are_drawn_in_every_epoch():
    shares = np.where(np.arange(60) < 50, 1 / 50, 1 / 10)
    drawn = [order.sampled(shares, 0, epoch).tolist() for epoch in range(4)]
    assert len({tuple(rows) for rows in drawn}) == 4
    batches = order.shuffled(np.full(60, 4, np.int64), 40, 0, 1, shares)
    assert sorted(np.concatenate(batches).tolist()) == drawn[1]
