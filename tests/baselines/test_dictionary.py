from __future__ import annotations

import pytest

from tests.baselines.made_entities import marked, material, said
from whet.baselines import dictionary
from whet.data.predictions import SpanPredictions

TRAIN = [
    "[New York]LOC is big",
    "[New York Times]ORG in [New York]LOC",
    "[May]PER came in May",
    "in May it rains",
    "[Jordan]PER met [Jordan]PER in [Jordan]LOC",
    "so [Reading]LOC lies",
    "Reading is fun",
]


def fitted(validation: list[str], test: list[str]) -> SpanPredictions:
    found = dictionary.fit(material(TRAIN, validation, test), 0).predictions("test")
    assert isinstance(found, SpanPredictions)
    return found


def test_marks_are_read() -> None:
    assert marked("[Ann Lee]PER in [Oslo]LOC") == ("Ann Lee in Oslo", [(0, 7, "PER"), (11, 15, "LOC")])


def test_the_longest_form_with_its_commonest_reading() -> None:
    tests = ["the New York Times of New York", "May Jordan", "Reading", "", "new york"]
    found = fitted(["in [New York]LOC"], tests)
    assert said(found, 0) == [(4, 18, "ORG"), (22, 30, "LOC")]
    assert said(found, 1) == [(4, 10, "PER")], "May is none more often than one"
    assert said(found, 2) == [], "of equals none"
    assert said(found, 3) == said(found, 4) == []
    # one place of one is an ORG, both free New York are LOC, two of three Jordans are PER
    assert found.confidence.tolist() == pytest.approx([2 / 3, 3 / 4, 3 / 5])
    assert found.model == "dictionary"
    assert found.split == "test"


def test_case_counts_where_validation_says_so() -> None:
    found = fitted(["in [new york]LOC"], ["NEW YORK may"])
    assert said(found, 0) == [(0, 8, "LOC")]
    found = fitted(["new york [New York]LOC"], ["NEW YORK may"])
    assert said(found, 0) == []


def test_the_truth_stands_beside_and_what_was_seen() -> None:
    found = fitted(["in [New York]LOC"], ["[Oslo]LOC [New York]LOC [May]LOC"])
    assert found.gold is not None and found.seen is not None
    assert found.gold.row(0) == [(0, 4, 0), (5, 13, 0), (14, 17, 0)]
    assert found.seen.tolist() == [False, True, False]
    assert not found.correct[0]


def test_form_at_the_end_of_a_row() -> None:
    assert said(fitted(["x"], ["New York Times New"]), 0) == [(0, 14, "ORG")]
