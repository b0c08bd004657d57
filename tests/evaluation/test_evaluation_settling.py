"""What validation decides before anything is scored."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data.answer_text import f1
from whet.data.predictions import AnswerPredictions, ClassPredictions
from whet.evaluation.settling import NEVER, answered, no_answer_threshold, settle, settled


def answers(rows: list[tuple[str, float, tuple[str, ...]]]) -> AnswerPredictions:
    """Rows of (best answer, probability of none, accepted answers)."""
    n = len(rows)
    return AnswerPredictions(
        "full",
        "validation",
        np.arange(n),
        np.arange(n, dtype=np.uint64),
        tuple(gold for _, _, gold in rows),
        tuple(said for said, _, _ in rows),
        np.zeros(n, np.int32),
        np.full(n, 0.5, np.float32),
        np.asarray([p for _, p, _ in rows], np.float32),
        tuple(((said, 3, 0.4),) if said else () for said, _, _ in rows),
    )


def mean_f1(predictions: AnswerPredictions) -> float:
    assert predictions.gold is not None
    return float(np.mean([f1(said, gold) for said, gold in zip(predictions.said, predictions.gold, strict=True)]))


def test_a_threshold_parts_questions_with_and_without_answer():
    rows = [("a cat", 0.1, ("cat",)), ("dog", 0.3, ("dog",)), ("bird", 0.7, ()), ("fish", 0.9, ())]
    threshold = no_answer_threshold(answers(rows))
    assert threshold == pytest.approx(0.5)
    found = settled(answers(rows), {"no_answer_from": threshold})
    assert isinstance(found, AnswerPredictions)
    assert found.said == ("a cat", "dog", "", "")
    assert found.starts.tolist() == [3, 3, -1, -1]
    assert found.confidence == pytest.approx([0.4, 0.4, 0.7, 0.9])
    assert mean_f1(found) == 1.0


def test_where_every_question_has_an_answer_one_is_always_given():
    rows = [("cat", 0.99, ("cat",)), ("dog", 0.2, ("bird",))]
    assert settle(answers(rows)) == {"no_answer_from": NEVER}
    assert answered(answers(rows), NEVER).said == ("cat", "dog")


def test_nothing_found_is_no_answer():
    assert answered(answers([("", 0.1, ())]), NEVER).said == ("",)


chances = st.integers(0, 20).map(lambda n: n / 20)
rows_of_answers = st.lists(
    st.tuples(st.sampled_from(["cat", "dog", ""]), chances, st.sampled_from([(), ("cat",), ("dog", "bird")])),
    min_size=1,
)


@given(rows_of_answers)
def test_no_threshold_does_better(rows: list[tuple[str, float, tuple[str, ...]]]):
    given_rows = answers(rows)
    best = mean_f1(answered(given_rows, no_answer_threshold(given_rows)))
    for other in (0.0, *(n / 40 for n in range(1, 40, 2)), 1.0, NEVER):
        assert best >= mean_f1(answered(given_rows, other)) - 1e-9 or all(gold for _, _, gold in rows)


def test_classes_get_a_temperature_and_thresholds():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 200)
    sure = np.where(gold == 1, 0.95, 0.05)
    sure[:40] = 1 - sure[:40]
    scores = np.stack([1 - sure, sure], 1).astype(np.float32)
    one = ClassPredictions("a", "validation", np.arange(200), np.arange(200, dtype=np.uint64), ("x", "y"), gold, scores)
    fitted = settle(one)
    assert set(fitted) == {"temperature"} and fitted["temperature"] > 1
    found = settled(one, fitted)
    assert isinstance(found, ClassPredictions)
    assert np.array_equal(found.predicted, one.predicted)
    assert found.scores.max() == pytest.approx(0.8, abs=0.02)
