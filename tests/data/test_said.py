"""Decisions of every kind in words."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation import made_kinds
from tests.evaluation.made import several, single
from whet.data.said import keys_of, said, true


def test_classes():
    one = single([0, 1], [1, 1])
    assert (true(one, 0), said(one, 0), said(one, 1)) == ("a", "b", "b")
    many = several(np.asarray([[True, True, False], [False] * 3]), np.asarray([[0.9, 0.1, 0.8], [0.1] * 3]))
    assert (true(many, 0), said(many, 0)) == ("a, b", "a, c")
    assert (true(many, 1), said(many, 1)) == ("(none)", "(none)")


def test_spans_are_read_out_of_the_text():
    found = made_kinds.spans([[(0, 3, 0)], []], [[(4, 9, 2)], []])
    assert true(found, 0, "Eva loves Rome") == "'Eva' drug"
    assert said(found, 0, "Eva loves Rome") == "'loves' place"
    assert said(found, 0) == "'4-9' place"
    assert said(found, 1, "x") == "(none)"


def test_answers_values_and_texts():
    answers = made_kinds.answers([["red", "the red", "red"], []], ["blue", ""])
    assert (true(answers, 0), said(answers, 0)) == ("red | the red", "blue")
    assert (true(answers, 1), said(answers, 1)) == ("(none)", "(none)")
    numbers = made_kinds.numbers([1.0], [2.5])
    assert (true(numbers, 0), said(numbers, 0)) == ("1", "2.5")
    written = made_kinds.texts([["yes"]], ["no"], chosen=["maybe"])
    assert (true(written, 0), said(written, 0)) == ("yes", "no (chosen: maybe)")
    read = made_kinds.texts(None, None, purpose="language", nats=[3.0], tokens=[2])
    assert (true(read, 0), said(read, 0)) == ("", "1.500 nats a token")


def test_ranks_name_the_first_passage_and_the_relevant_ones():
    found = made_kinds.ranks([[(7, 1.0), (8, 0.0)]], [[(7, 0.1), (9, 0.9)]])
    passages = {7: "seven", 9: "nine"}
    assert (true(found, 0, "", passages), said(found, 0, "", passages)) == ("seven", "nine")
    assert said(found, 0) == "passage 0000000000000009"
    assert keys_of(found, 0) == {7, 9}


@pytest.mark.parametrize("kind", made_kinds.KINDS)
def test_every_kind_says_something(kind: str):
    found = made_kinds.model(kind, 0.8, n=5)
    assert all(said(found, row, "some words of a text") for row in range(5))
