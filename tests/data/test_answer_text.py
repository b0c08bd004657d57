from __future__ import annotations

import pytest

from whet.data.answer_text import exact, f1, normalised


def test_what_is_lost_before_answers_are_compared():
    assert normalised("The  U.S. Army!") == "us army"
    assert normalised("An apple a day, the end") == "apple day end"
    assert normalised("Theatre\u00a0and\tanother") == "theatre and another"
    assert normalised("the?") == ""


@pytest.mark.parametrize(
    ("said", "gold", "is_exact", "shared"),
    [
        ("the Eiffel Tower", ["Eiffel tower."], True, 1.0),
        ("tower", ["Eiffel tower"], False, 2 / 3),
        ("tower tower", ["Eiffel tower"], False, 0.5),
        ("Paris", ["Lyon", "in Paris"], False, 2 / 3),
        ("", [], True, 1.0),
        ("anything", [], False, 0.0),
        ("", ["something"], False, 0.0),
        ("the", [], True, 1.0),
        ("the", ["The", "cat"], False, 0.0),
        ("", ["a", "?"], True, 1.0),
    ],
)
def test_exact_and_f1(said, gold, is_exact, shared):
    assert exact(said, gold) is is_exact
    assert f1(said, gold) == pytest.approx(shared)
