from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from tests.data.made_entities import examples_of
from whet.data.entities import WORDS
from whet.data.entity_arrays import (
    Words,
    covered,
    entities,
    known_forms,
    seen_in,
    spans_of_tags,
    tag_names,
    word_tags,
)
from whet.data.entity_forms import NONE, Forms, InWords
from whet.data.forms import Examples, Shape
from whet.data.ragged import Spans

LABELS = ("LOC", "PER")
ROWS = [
    ("Ann Lee in Oslo.", [(0, 7, "PER"), (11, 15, "LOC")]),
    ("", []),
    ("no one", []),
    ("Rome Oslo", [(0, 4, "LOC"), (5, 9, "LOC")]),
]


def test_tags_are_two_for_each_type() -> None:
    assert tag_names(("a", "b-c")) == ("O", "B-a", "I-a", "B-b-c", "I-b-c")


def test_words_and_entities_as_arrays() -> None:
    examples = examples_of(ROWS)
    words, spans = Words.of(examples), entities(examples, LABELS)
    assert words.offsets.tolist() == [0, 5, 5, 7, 9]
    assert words.starts.tolist() == [0, 4, 8, 11, 15, 0, 3, 0, 5]
    assert words.ends.tolist() == [3, 7, 10, 15, 16, 2, 6, 4, 9]
    assert words.rows.tolist() == [0] * 5 + [2] * 2 + [3] * 2
    assert spans is not None
    assert [spans.row(number) for number in range(4)] == [[(0, 7, 1), (11, 15, 0)], [], [], [(0, 4, 0), (5, 9, 0)]]
    assert word_tags(words, spans).tolist() == [3, 4, 0, 1, 0, 0, 0, 1, 1]


def test_types_that_are_not_listed_count_as_none() -> None:
    examples = examples_of(ROWS)
    spans = entities(examples, ("PER",))
    assert spans is not None
    assert spans.types.tolist() == [0, -1, -1, -1]
    assert word_tags(Words.of(examples), spans).tolist() == [1, 2, 0, 0, 0, 0, 0, 0, 0]


def test_rows_may_be_taken_and_may_know_nothing() -> None:
    examples = examples_of(ROWS).take([3, 0])
    spans = entities(examples, LABELS)
    assert spans is not None
    assert [spans.row(number) for number in range(2)] == [[(0, 4, 0), (5, 9, 0)], [(0, 7, 1), (11, 15, 0)]]
    assert Words.of(examples).offsets.tolist() == [0, 2, 7]
    bare = Examples.of({"text": ["a"], "words": [[0, 1]]}, Shape((("words", WORDS),)))
    assert entities(bare, LABELS) is None
    assert len(Words.of(examples_of([]))) == 0


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(1, 2)], [(0, 1)]),  # within a word: the whole of it
        ([(1, 5)], [(0, 2)]),
        ([(0, 2), (2, 3)], [(0, 1), (1, 1)]),  # of two in one word the first
        ([(0, 2), (2, 7)], [(0, 1), (1, 2)]),
        ([(0, 7), (8, 11)], [(0, 2), (2, 3)]),
        ([(3, 4)], [(1, 1)]),  # blanks alone
    ],
)
def test_words_that_a_span_covers(spans: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    words = Words.of(examples_of([("abc def ghi", [])]))
    first, last = covered(words, Spans.of([[(a, b, 0) for a, b in spans]]))
    assert list(zip(first.tolist(), last.tolist(), strict=True)) == expected


@st.composite
def tagged_rows(draw: st.DrawFn) -> list[list[int]]:
    """Rows of tags of two types without a break."""
    rows = []
    for length in draw(st.lists(st.integers(0, 6), min_size=1, max_size=5)):
        row: list[int] = []
        for _ in range(length):
            before = row[-1] if row else 0
            goes_on = [before + before % 2] if before else []
            row.append(draw(st.sampled_from([0, 1, 3, *goes_on])))
        rows.append(row)
    return rows


@given(tagged_rows())
def test_tags_into_spans_and_back(rows: list[list[int]]) -> None:
    lengths = [len(row) for row in rows]
    words = Words(
        np.concatenate([[0], np.cumsum(lengths)]),
        np.asarray([3 * n for length in lengths for n in range(length)], np.int32),
        np.asarray([3 * n + 2 for length in lengths for n in range(length)], np.int32),
    )
    tags = np.asarray([tag for row in rows for tag in row], np.int64)
    spans, first, last = spans_of_tags(words, tags)
    names = tag_names(("a", "b"))
    for number, row in enumerate(rows):
        expected = [(3 * a, 3 * b + 2, "ab".index(kind)) for kind, a, b in get_entities([names[tag] for tag in row])]
        assert spans.row(number) == expected
    assert (last > first).all()
    np.testing.assert_array_equal(word_tags(words, spans), tags)


def test_an_entity_is_seen_by_its_words_and_type() -> None:
    train = examples_of([("ANN  Lee in Oslo", [(0, 8, "PER"), (12, 16, "LOC")])])
    test = examples_of([("ann lee", [(0, 7, "PER")]), ("oslo oslo", [(0, 4, "PER"), (5, 9, "LOC")]), ("x", [])])
    forms = known_forms(train)
    assert forms == {("ann lee", "PER"), ("oslo", "LOC")}
    assert seen_in(test, forms).tolist() == [True, False, True]


def test_words_and_entities_row_by_row() -> None:
    assert list(InWords(examples_of(ROWS), LABELS)) == [
        (["Ann", "Lee", "in", "Oslo", "."], [(0, 2, 1), (3, 4, 0)]),
        ([], []),
        (["no", "one"], []),
        (["Rome", "Oslo"], [(0, 1, 0), (1, 2, 0)]),
    ]


def test_forms_count_what_their_words_are_elsewhere() -> None:
    rows = [
        (["New", "York", "Times", "in", "New", "York"], [(0, 3, 1), (4, 6, 0)]),
        (["New", "York", "New"], []),
        (["the", "New", "York"], [(1, 3, 0)]),
    ]
    forms = Forms.of(rows)
    assert forms.counts[("New", "York")] == {0: 2, NONE: 1}
    assert forms.counts[("New", "York", "Times")] == {1: 1}
    assert list(forms.longest(["New", "York", "Times", "New", "York", "New"])) == [(0, 3), (3, 5)]
    assert list(forms.only({("New", "York")}).longest(["New", "York", "Times"])) == [(0, 2)]


@given(st.lists(st.lists(st.sampled_from("ab"), max_size=6), max_size=4), st.lists(st.sampled_from("abc"), max_size=8))
def test_matches_are_all_places_where_a_form_stands(known: list[list[str]], words: list[str]) -> None:
    forms = Forms.of([(row, [(0, len(row), 0)]) for row in known if row])
    stands = {(a, b) for a in range(len(words)) for b in range(a + 1, len(words) + 1) if words[a:b] in known}
    assert set(forms.matches(words)) == stands
    chosen = list(forms.longest(words))
    assert all(a >= behind for (_, behind), (a, _) in pairwise(chosen))
