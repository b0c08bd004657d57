from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from whet.data.predictions import AnswerPredictions
from whet.evaluation import answers as measured
from whet.report.answer_examples import _said_mark, _true_marks
from whet.report.answer_outcomes import MOST_KINDS, Answered, answered, kinds_of_question, question_word


def made(pairs: list[tuple[str, tuple[str, ...]]]) -> AnswerPredictions:
    n = len(pairs)
    half = np.full(n, 0.5, np.float32)
    return AnswerPredictions(
        "m",
        "test",
        np.arange(n),
        np.arange(n).astype(np.uint64),
        tuple(gold for _, gold in pairs),
        tuple(said for said, _ in pairs),
        np.zeros(n, np.int32),
        half,
        half,
        ((),) * n,
    )


PAIRS = [
    ("The Alps!", ("the alps",)),
    ("", ()),
    ("near the Alps", ("the Alps", "Alps")),
    ("in Cork", ("the Alps",)),
    ("Cork", ()),
    ("", ("the Alps",)),
]


def test_outcomes_by_hand() -> None:
    found = answered(made(PAIRS))
    assert [one.outcome for one in found] == ["exact", "left_open", "partial", "elsewhere", "invented", "missed"]
    assert [one.f1 for one in found] == [1, 1, pytest.approx(2 / 3), 0, 0, 0]
    assert [one.is_exact for one in found] == [True, True, False, False, False, False]


def test_outcomes_agree_with_the_scores() -> None:
    predictions = made(PAIRS * 2)
    counts = measured.details(predictions)["counts"]
    found = Counter(one.outcome for one in answered(predictions))
    assert found["exact"] + found["left_open"] == counts["exact"]
    assert found["partial"] == counts["partly"]
    assert found["elsewhere"] + found["invented"] + found["missed"] == counts["wrong"]
    assert found["missed"] == counts["left_unanswered"]
    assert found["invented"] == counts["answered_without_answer"]


@pytest.mark.parametrize(
    ("question", "word"),
    [
        ("What is it?", "what"),
        ("In what year was it?", "what"),
        ("Whose?", "whose"),
        ("¿Cuándo llegó?", "cuándo"),
        ("Did they, or how?", "how"),
        ("???", "other"),
        ("", "other"),
    ],
)
def test_question_words(question: str, word: str) -> None:
    assert question_word(question) == word


def test_rare_kinds_of_questions_are_one() -> None:
    questions = {row: f"w{row % 12} x" for row in range(120)} | {120 + row: f"rare{row}" for row in range(3)}
    kinds = kinds_of_question(questions)
    assert len(set(kinds.values())) == MOST_KINDS + 1
    assert kinds[122] == "other" and list(kinds) == list(questions)


def test_what_was_said_is_found_where_it_stands() -> None:
    context = "one two one"
    assert _said_mark(context, "one", 8, "exact").start == 8  # type: ignore[union-attr]
    assert _said_mark(context, "one", 3, "exact").start == 0  # type: ignore[union-attr]
    assert _said_mark(context, "three", 0, "exact") is None
    assert _said_mark(context, "", -1, "missed") is None


def test_places_of_accepted_answers_are_joined_where_they_overlap() -> None:
    answers = [{"start": 0, "text": "one two"}, {"start": 4, "text": "two"}, {"start": 8, "text": "one"}]
    answers.append({"start": 9, "text": "beyond the end"})
    marks = _true_marks("one two one", {"answers": answers}, Answered(0, "missed", 0.0))
    assert [(mark.start, mark.end) for mark in marks] == [(0, 7), (8, 11)]
