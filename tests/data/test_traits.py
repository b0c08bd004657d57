"""What can be seen of a text without any model."""

from __future__ import annotations

import numpy as np
import pytest

from whet.data.traits import traits, words

TEXTS = [
    "where is my parcel?",
    "I do NOT want order 12",
    "STOP WRITING TO ME",
    "see https://example.org please",
    "my parcel never came and nobody answers me\nregards",
    "wow!",
]


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("with a question mark", [0]),
        ("with digits", [1]),
        ("with a negation", [1, 4]),
        ("mostly in capitals", [2]),
        ("with a link, an address or a mention", [3]),
        ("with several lines", [4]),
        ("with an exclamation mark", [5]),
    ],
)
def test_each_trait(name: str, rows: list[int]):
    assert np.flatnonzero(traits(TEXTS)[name]).tolist() == rows


def test_lengths_and_second_texts():
    found = traits(["a", "a b", "a b c", "a b c d e f g h"], ["x y", "x", "x y z", "x"])
    assert found["with the first text of at most 2 words"].tolist() == [True, True, False, False]
    assert found["with the second text of 2 words or more"].tolist() == [True, False, True, False]
    alone = traits(["a", "a b", "a b c", "a b c d e f g h"])
    assert alone["of 3 words or more"].tolist() == [False, False, True, True]


def test_languages_and_groups():
    german = "das ist nicht so wie ich es haben wollte und es geht auch nicht"
    english = "this is not what I would have wanted and you should know that it is not"
    found = traits([german, english, german, english], groups=["x", "y", "x", "z"])
    assert found["in German"].tolist() == [True, False, True, False]
    assert found["of group 'x'"].tolist() == [True, False, True, False]
    assert not any("'y'" in name for name in found)


def test_no_part_is_empty_or_all():
    for texts in (["a b"] * 5, TEXTS, ["?"]):
        assert all(0 < rows.sum() < len(texts) for rows in traits(texts).values())


def test_words_are_chosen_where_told_and_marked_everywhere():
    texts = ["red fox", "red dog", "blue fox", "blue cow", "red cow", "green cow"]
    first = np.asarray([True, True, True, True, False, False])
    found = words(texts, first, 2)
    assert set(found) == {"with the word 'red'", "with the word 'fox'", "with the word 'blue'"}
    assert found["with the word 'red'"].tolist() == [True, True, False, False, True, False]
    assert len(words(texts, first, 1, most=2)) == 2
