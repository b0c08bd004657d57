from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.made import split_of
from whet.data.duplicates import Keys, across, label_keys, leaked, within
from whet.data.normal import lowered, normalised

TRAIN = [
    ("Where is my order 12?", "a"),
    ("where is my order 99", "a"),
    ("Where is my order 12?", "b"),
    ("thank you", "a"),
    ("Thank you", "a"),
    ("alone", "b"),
]
TEST = [("where is my order 12?", "b"), ("Where is my order 12?", "c"), ("ALONE!", "a"), ("new", "a")]
LABELS = ("a", "b", "c")


def keys(folder, split, values, pairs=None):
    examples = split_of(folder, split, values, pairs)
    return Keys.of(examples, label_keys(examples.label_ids(LABELS)))


def test_repeats_within_a_split_by_hand(tmp_path):
    found = within(keys(tmp_path, "train", TRAIN))
    assert (found.exact, found.near) == (1, 2)
    assert (found.contradicting, found.exactly_contradicting) == (3, 2)
    assert found.exact_examples == [(0, 2)]
    assert found.near_examples == [(0, 1), (3, 4)]
    assert found.contradicting_examples == [(0, 2)]


def test_repeats_across_splits_by_hand(tmp_path):
    train, test = keys(tmp_path, "train", TRAIN), keys(tmp_path, "test", TEST)
    found = across(test, train)
    assert found.to_json() == {"raw": 1, "lowered": 2, "normalised": 3, "other_label": 2}
    assert found.ids.tolist() == [0, 1, 2]
    # those with another label come first
    assert found.examples == [(1, 0), (2, 5), (0, 0)]
    assert leaked(test, train).tolist() == [0, 1, 2]
    assert leaked(test).tolist() == []


def test_both_texts_of_a_pair_must_repeat(tmp_path):
    train = keys(tmp_path, "train", [("a", "a"), ("a", "b")], ["x", "y"])
    test = keys(tmp_path, "test", [("A", "a"), ("a", "a"), ("x", "a")], ["x", "z", "a"])
    assert across(test, train).to_json() == {"raw": 0, "lowered": 1, "normalised": 1, "other_label": 0}


def test_sets_of_labels_are_compared_whole(tmp_path):
    train = keys(tmp_path, "train", [("t", ["a", "b"]), ("t", ["b", "a"]), ("u", []), ("v", ["a"])])
    test = keys(tmp_path, "test", [("t", ["b", "a"]), ("u", ["a"]), ("v", ["a", "b"])])
    assert within(train).contradicting == 0
    assert across(test, train).other_label == 2


def test_label_keys():
    assert label_keys(np.array([2, 0, 2])).tolist() == [2, 0, 2]
    several = label_keys(np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 1]], dtype=bool))
    assert len(set(several.tolist())) == 4
    assert several[2] == several[4]


rows = st.lists(
    st.tuples(st.sampled_from(["a", "A", "a!", "b 1", "b 2", "B 1", "c", "?", "! "]), st.sampled_from(LABELS)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40)
@given(rows, rows)
def test_counts_are_those_of_comparing_every_row_with_every_other(tmp_path_factory, train, test):
    folder = tmp_path_factory.mktemp("a")
    inside, between = within(keys(folder, "train", train)), None
    repeats = [n for n, (text, _) in enumerate(train) if normalised(text) in {normalised(t) for t, _ in train[:n]}]
    exact = [n for n, (text, _) in enumerate(train) if text in {t for t, _ in train[:n]}]
    assert (inside.exact, inside.near) == (len(exact), len(repeats) - len(exact))
    torn = [any(normalised(a) == normalised(b) and x != y for b, y in train) for a, x in train]
    assert inside.contradicting == sum(torn)
    assert inside.exactly_contradicting == sum(any(a == b and x != y for b, y in train) for a, x in train)

    between = across(keys(folder, "test", test), keys(folder, "train", train))

    def count(form):
        return sum(form(text) in {form(other) for other, _ in train} for text, _ in test)

    assert (between.raw, between.lowered, between.normalised) == (count(str), count(lowered), count(normalised))
    there = [{y for b, y in train if normalised(b) == normalised(a)} for a, _ in test]
    assert between.other_label == sum(bool(found) and x not in found for found, (_, x) in zip(there, test, strict=True))
