from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.report.marking import INSIDE, Mark, marked_text, pieces, shown_ranges, whole_words

marks = st.lists(
    st.builds(
        Mark,
        st.integers(-5, 60),
        st.integers(-5, 60),
        st.sampled_from(["said", "true"]),
        st.sampled_from(["right", "missed"]),
        st.sampled_from(["", "tag"]),
    ),
    max_size=6,
)


@given(st.text(max_size=50), marks)
def test_pieces_are_the_text(text: str, some: list[Mark]) -> None:
    assert "".join(piece.text for piece in pieces(text, some)) == text


@given(st.text(min_size=1, max_size=50), marks)
def test_every_character_has_the_look_of_the_marks_over_it(text: str, some: list[Mark]) -> None:
    at = 0
    for piece in pieces(text, some):
        for place in range(at, at + len(piece.text)):
            for channel in ("said", "true"):
                there = any(mark.channel == channel and mark.start <= place < mark.end for mark in some)
                assert (channel in piece.look.split()) == there
        at += len(piece.text)


@given(st.text(min_size=1, max_size=50), marks)
def test_every_tag_stands_once_behind_its_mark(text: str, some: list[Mark]) -> None:
    shown = [mark for mark in some if mark.tag and max(0, mark.start) < min(len(text), mark.end)]
    assert sum(len(piece.tags) for piece in pieces(text, some)) == len(shown)


@given(st.text("ab \n", max_size=900), st.lists(st.tuples(st.integers(0, 900), st.integers(1, 400)), max_size=3))
def test_a_shortened_text_holds_the_ends_of_its_marks_in_order(text: str, places: list[tuple[int, int]]) -> None:
    focus = [Mark(start, start + length, "said", "right") for start, length in places]
    ranges = whole_words(text, shown_ranges(len(text), focus), focus)
    assert all(0 <= start <= end <= len(text) for start, end in ranges)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
    for mark in focus:
        first, last = min(mark.start, len(text)), min(mark.end, len(text))
        if first < last:
            shown = {place for start, end in ranges for place in range(start, end)}
            assert {first, last - 1} <= shown
            if last - first <= INSIDE:
                assert set(range(first, last)) <= shown


def test_a_wrong_border_is_drawn_where_it_differs() -> None:
    found = pieces("the name of it", [Mark(0, 8, "said", "boundary"), Mark(4, 14, "true", "boundary", "tag")])
    assert [(piece.text, piece.look) for piece in found] == [
        ("the ", "said said-boundary said-opens"),
        ("name", "said said-boundary said-closes true true-boundary true-opens"),
        (" of it", "true true-boundary true-closes"),
    ]
    assert [piece.tags for piece in found] == [[], [], [("boundary", "tag")]]


def test_what_is_left_out_is_said() -> None:
    text = f"{'far ' * 200}NAME{' away' * 200}"
    at = text.index("NAME")
    mark = Mark(at, at + 4, "true", "missed")
    shown = "".join(piece.text for piece in marked_text(text, [mark], [mark]))
    assert shown.startswith("… ") and shown.endswith(" …") and " NAME " in shown
    assert len(shown) < 400
    assert shown.strip("… ").split(" NAME ")[0].split(" ") == ["far"] * len(
        shown.split(" NAME ")[0].strip("… ").split()
    )


def test_two_places_far_apart_are_joined_by_an_ellipsis() -> None:
    text = f"FIRST{' x' * 600} SECOND"
    some = [Mark(0, 5, "true", "missed"), Mark(len(text) - 6, len(text), "said", "spurious")]
    shown = "".join(piece.text for piece in marked_text(text, some, some))
    assert shown.startswith("FIRST") and shown.endswith("SECOND") and " … " in shown and len(shown) < 400


@pytest.mark.parametrize("length", [0, 10, 500])
def test_a_short_text_is_shown_whole(length: int) -> None:
    text = "y" * length
    assert "".join(piece.text for piece in marked_text(text, [], [])) == text
