from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.data.predictions import ClassPredictions
from whet.report.calibration import bins, mean_gap, tempered
from whet.report.charts import split_scale, ticks
from whet.report.confusions import confused_pairs


def made(scores: np.ndarray, gold: np.ndarray, thresholds: np.ndarray | None = None) -> ClassPredictions:
    labels = tuple("abcdef"[: scores.shape[1]])
    ids = np.arange(len(scores))
    return ClassPredictions(
        "m", "test", ids, ids.astype(np.uint64), labels, gold, scores.astype(np.float32), thresholds
    )


@given(st.floats(0.2, 5), st.integers(0, 1000))
def test_tempered_probabilities_are_the_softmax_of_divided_logits(temperature: float, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, (5, 4))
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    divided = np.exp(logits / temperature)
    expected = divided / divided.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(tempered(softmax, temperature), expected, rtol=1e-6, atol=1e-9)


def test_several_labels_are_tempered_one_by_one() -> None:
    logits = np.array([[-2.0, 0.0, 3.0]])
    expected = 1 / (1 + np.exp(-logits / 2))
    np.testing.assert_allclose(tempered(1 / (1 + np.exp(-logits)), 2.0, True), expected, rtol=1e-6)


def test_bins_hold_equally_many_rows_and_their_means() -> None:
    scores = np.array([[0.6, 0.4], [0.7, 0.3], [0.8, 0.2], [0.9, 0.1]])
    found = bins(made(scores, np.array([0, 1, 0, 0])), scores, num_bins=2)
    assert [one["count"] for one in found] == [2, 2]
    assert [one["accuracy"] for one in found] == [0.5, 1.0]
    assert [one["confidence"] for one in found] == pytest.approx([0.65, 0.85])
    assert mean_gap(found) == pytest.approx((0.15 + 0.15) / 2)
    assert mean_gap([]) is None


def test_bins_of_several_labels_pool_all_decisions() -> None:
    scores = np.array([[0.9, 0.2], [0.4, 0.6]])
    gold = np.array([[True, False], [False, False]])
    found = bins(made(scores, gold, np.array([0.5, 0.5])), scores, num_bins=1)
    assert found[0]["count"] == 4
    assert found[0]["accuracy"] == 0.25
    assert found[0]["confidence"] == pytest.approx(0.525)


def test_confused_pairs_come_most_frequent_first() -> None:
    matrix = [[5, 3, 0], [1, 8, 3], [0, 0, 0]]
    pairs = confused_pairs(["a", "b", "c"], matrix)
    assert [pair[:3] for pair in pairs] == [("a", "b", 3), ("b", "c", 3), ("b", "a", 1)]
    assert pairs[0][3] == pytest.approx(3 / 8)
    assert confused_pairs(["a", "b", "c"], matrix, at_most=1) == pairs[:1]


def test_a_model_far_below_stands_at_the_edge() -> None:
    rows = [{"value": value} for value in (93.0, 92.0, 85.0, 1.3)]
    near, far = split_scale(rows)
    assert [row["value"] for row in near] == [93.0, 92.0, 85.0]
    assert [row["value"] for row in far] == [1.3]
    assert split_scale(rows[2:]) == (rows[2:], [])


@given(st.floats(-50, 100), st.floats(0.01, 100))
def test_ticks_are_round_and_inside(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 12
    assert all(low - 1e-6 <= value <= low + width + 1e-6 for value in found)
