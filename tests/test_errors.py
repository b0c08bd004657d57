from __future__ import annotations

import pytest

from whet.errors import SHOWN_AT_ONCE, Problem, Problems, UserError, did_you_mean, one_of


def test_a_problem_reads_as_one_sentence_with_code_and_place():
    assert str(Problem("D001", "a.csv:3", "has no label.", "Add one.")) == "D001 a.csv:3: has no label. Add one."
    assert str(Problem("D001", "a.csv:3", "has no label.")) == "D001 a.csv:3: has no label."


def test_an_error_carries_every_problem():
    first, second = Problem("A", "x", "one."), Problem("B", "y", "two.")
    assert UserError(first).problems == (first,)
    error = UserError(iter([first, second]))
    assert error.problems == (first, second)
    assert error.num_problems == 2
    assert str(error) == "A x: one.\nB y: two."


def test_many_problems_are_counted_and_the_first_ones_shown():
    problems = Problems()
    problems.raise_if_any()
    for line in range(1, 1235):
        problems.add("D002", f"a.csv:{line}", "is empty.")
    with pytest.raises(UserError) as caught:
        problems.raise_if_any()
    lines = str(caught.value).splitlines()
    assert len(lines) == SHOWN_AT_ONCE + 1
    assert lines[0] == "D002 a.csv:1: is empty."
    assert lines[-1] == "... and 1,214 more problems of this kind"
    assert caught.value.num_problems == 1234


def test_the_nearest_word_is_offered_and_nonsense_is_not():
    assert did_you_mean("intnet", ["message", "intent"]) == "Did you mean 'intent'?"
    assert did_you_mean("xyz", ["message", "intent"]) == ""
    assert did_you_mean("xyz", []) == ""


def test_choices_read_as_a_list():
    assert one_of(["a"]) == "'a'"
    assert one_of(["a", "b", "c"]) == "'a', 'b' or 'c'"
