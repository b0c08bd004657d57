from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, Entities

from whet.data.entity_tags import Tally, parsed, spans_of
from whet.errors import Problems


def judged(*rows: str, word_lines: bool = False) -> tuple[str | None, Problems]:
    tally, problems = Tally("a.conll", word_lines), Problems()
    line = 1
    for row in rows:
        tags = row.split()
        tally.add(tags, line)
        line += len(tags) + 1 if word_lines else 1
    return tally.close(problems), problems


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("O", ("O", "")),
        ("B-person", ("B", "person")),
        ("I-a-b c", ("I", "a-b c")),
        ("L-x", ("E", "x")),
        ("U-x", ("S", "x")),
        ("M-x", ("I", "x")),
        ("B", ("B", "entity")),
        ("X-x", None),
        ("B-", None),
        ("B- ", None),
        ("b-x", None),
        ("person", None),
        ("O-x", None),
        ("BB-x", None),
    ],
)
def test_a_tag_is_a_letter_and_a_type(tag: str, expected: tuple[str, str] | None) -> None:
    assert parsed(tag) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-a I-a O", [(1, 3, "a")]),
        ("B-a B-a I-b", [(0, 1, "a"), (1, 2, "a"), (2, 3, "b")]),
        ("I-a I-a O I-a", [(0, 2, "a"), (3, 4, "a")]),
        ("B-a I-a E-a S-a S-b", [(0, 3, "a"), (3, 4, "a"), (4, 5, "b")]),
        ("B-a L-a U-b", [(0, 2, "a"), (2, 3, "b")]),
        ("", []),
        ("O", []),
    ],
)
def test_tags_into_entities(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert spans_of(tags.split()) == expected


KINDS = st.lists(
    st.tuples(st.integers(1, 4), st.sampled_from(["a", "b", "c-d"]), st.integers(0, 2)), min_size=1, max_size=6
)
"""Entities: words, type, and words without one behind them."""


def as_scheme(row: list[tuple[int, str, int]], scheme: str) -> list[str]:
    tags: list[str] = []
    for length, kind, gap in row:
        if scheme == "IOB1":
            beside = bool(tags) and tags[-1][2:] == kind
            part = ["B" if beside else "I", *["I"] * (length - 1)]
        elif scheme == "IOB2":
            part = ["B", *["I"] * (length - 1)]
        else:
            single, last = ("S", "E") if scheme == "IOBES" else ("U", "L")
            part = [single] if length == 1 else ["B", *["I"] * (length - 2), last]
        tags += [f"{letter}-{kind}" for letter in part] + ["O"] * gap
    return tags


@given(KINDS, st.sampled_from(["IOB1", "IOB2", "IOBES", "BILOU"]))
def test_every_scheme_gives_the_entities_that_seqeval_finds(row: list[tuple[int, str, int]], scheme: str) -> None:
    tags = as_scheme(row, scheme)
    kinds = {"IOB1": IOB1, "IOB2": IOB2, "IOBES": IOBES, "BILOU": BILOU}
    expected = [(e.start, e.end, e.tag) for e in Entities([tags], kinds[scheme]).entities[0]]
    assert spans_of(tags) == expected


@given(st.lists(st.sampled_from(["O", "B-a", "I-a", "B-b", "I-b"]), max_size=8))
def test_tags_in_any_order_are_read_as_seqeval_reads_them_without_a_scheme(tags: list[str]) -> None:
    assert spans_of(tags) == [(start, end + 1, kind) for kind, start, end in get_entities(tags)]


@given(st.lists(KINDS, min_size=1, max_size=5), st.sampled_from(["IOB1", "IOB2", "IOBES", "BILOU"]))
def test_a_file_in_one_scheme_breaks_none(rows: list[list[tuple[int, str, int]]], scheme: str) -> None:
    _, problems = judged(*(" ".join(as_scheme(row, scheme)) for row in rows))
    assert problems.count == 0


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        (["B-a I-a O", "O"], "IOB2"),
        (["I-a I-a O", "O I-b B-b"], "IOB1"),
        (["I-a I-b O"], "IOB1"),
        (["B-a E-a O"], "BIOES"),
        (["S-a"], "BIOES"),
        (["B-a I-a L-a U-b"], "BILOU"),
        (["B-a M-a E-a S-a"], "BMES"),
        (["O O"], "IOB2"),
    ],
)
def test_the_scheme_is_named(rows: list[str], name: str) -> None:
    note, problems = judged(*rows)
    assert note is not None and f" {name}" in note
    assert problems.count == 0


def test_a_file_without_tags_has_no_scheme() -> None:
    assert judged() == (None, Problems())


def test_the_rarer_way_to_begin_is_the_mistake() -> None:
    _, problems = judged("B-a O B-b", "O O I-a I-a", "B-a I-b")
    assert [(problem.code, problem.where) for problem in problems.kept] == [
        ("D051", "a.conll:2"),
        ("D051", "a.conll:3"),
    ]
    assert "word 3: 'I-a' follows 'O'" in problems.kept[0].what
    assert "begin with B- (3 times)" in problems.kept[0].remedy
    _, problems = judged("I-a O I-b", "B-a O")
    assert [problem.where for problem in problems.kept] == ["a.conll:2"]
    assert "'B-a' follows nothing (the row begins)" in problems.kept[0].what
    assert "begin with I- (2 times)" in problems.kept[0].remedy


def test_with_a_word_a_line_the_line_is_that_of_the_word() -> None:
    _, problems = judged("B-a O B-b", "O O I-a", word_lines=True)
    assert [problem.where for problem in problems.kept] == ["a.conll:7"]


@pytest.mark.parametrize(
    "row", ["B-a O S-a", "B-a E-b", "I-a E-a", "E-a", "S-a I-a E-a", "B-a B-a E-a", "B-a", "B-a I-a", "O B-a S-b"]
)
def test_ends_must_fit(row: str) -> None:
    _, problems = judged("S-x", row)
    assert {problem.code for problem in problems.kept} == {"D051"}


def test_all_are_counted_and_the_first_are_shown() -> None:
    _, problems = judged(*["B-a"] * 60, *["O I-a"] * 50)
    assert problems.count == 50
    assert len(problems.kept) == 20
    assert problems.kept[0].where == "a.conll:61"
