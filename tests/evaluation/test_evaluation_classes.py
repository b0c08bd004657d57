from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.evaluation.class_points import confusion, per_class
from whet.evaluation.classes import METRICS, primary
from whet.evaluation.kinds import sums, values_of

from .made import several, single, softmaxed


def test_values_computed_by_hand():
    # a: 2 of 3 found, called 3 times; b: 1 of 2 found, called 2 times; F1 a = 4/6, b = 2/4
    one = single([0, 0, 0, 1, 1], [0, 0, 1, 1, 0], sure=0.8)
    found = values_of(one)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["micro_f1"] == pytest.approx(3 / 5)
    assert found["macro_f1"] == pytest.approx((4 / 6 + 2 / 4) / 2)
    assert found["log_loss"] == pytest.approx(-(3 * np.log(0.8) + 2 * np.log(0.2)) / 5, rel=1e-6)
    assert found["brier"] == pytest.approx((3 * 2 * 0.2**2 + 2 * 2 * 0.8**2) / 5, rel=1e-6)
    # 2 x 2 MCC: tp 2, tn 1, fp 1, fn 1
    assert found["mcc"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))


def test_against_scikit_learn_with_probabilities():
    from sklearn.metrics import brier_score_loss, f1_score, log_loss

    one = softmaxed(np.random.default_rng(0), 400, 5, 1.4)
    found = values_of(one)
    labels = np.arange(5)
    p = one.scores.astype(np.float64)
    p /= p.sum(axis=1, keepdims=True)
    assert found["log_loss"] == pytest.approx(log_loss(one.gold, p, labels=labels), rel=1e-5)
    assert found["brier"] == pytest.approx(brier_score_loss(one.gold, p, labels=labels, scale_by_half=False), rel=1e-5)
    assert found["macro_f1"] == pytest.approx(f1_score(one.gold, one.predicted, average="macro"))


def test_a_class_that_the_test_rows_lack_does_not_count_in_macro_f1():
    one = single([0, 0, 1, 1], [0, 0, 1, 2], num_labels=4)
    assert values_of(one)["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    rows = {row["label"]: row for row in per_class(one)}
    assert rows["c"]["support"] == 0
    assert (rows["d"]["low"], rows["d"]["high"]) == (0.0, 1.0)


def test_several_labels_by_hand():
    gold = np.array([[1, 0], [1, 1], [0, 0]], dtype=bool)
    scores = np.array([[0.9, 0.6], [0.9, 0.8], [0.1, 0.2]])
    found = values_of(several(gold, scores))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["micro_f1"] == pytest.approx(2 * 3 / (3 + 4))
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3) / 2)
    cells = np.array([0.9, 0.4, 0.9, 0.8, 0.9, 0.8])
    assert found["log_loss"] == pytest.approx(-np.log(cells).mean(), rel=1e-6)
    assert found["brier"] == pytest.approx(((1 - cells) ** 2).mean(), rel=1e-6)
    assert confusion(several(gold, scores)) is None


def test_a_probability_of_zero_for_the_truth_costs_much_but_not_infinity():
    one = single([0, 1], [1, 1], sure=1.0)
    assert values_of(one)["log_loss"] == pytest.approx(-np.log(np.finfo(np.float32).eps) / 2, rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 6), st.booleans(), st.integers(0, 10**6))
def test_sums_give_the_same_numbers_as_scikit_learn(n, num_labels, multi, seed):
    rng = np.random.default_rng(seed)
    if multi:
        one = several(rng.random((n, num_labels)) < 0.3, rng.random((n, num_labels)))
    else:
        one = softmaxed(rng, n, num_labels + 1, 1.0)
    from sklearn.metrics import matthews_corrcoef

    part = sums(one)
    expected = values_of(one)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on a single class
        expected["mcc"] = matthews_corrcoef(one.gold.ravel(), one.predicted.ravel())
    for name, values in part.metrics(METRICS, part.total).items():
        assert values[0] == pytest.approx(expected[name], abs=1e-9), name


def test_per_class_and_confusion():
    one = single([0, 0, 0, 1, 1], [0, 0, 1, 1, 0])
    assert confusion(one) == [[2, 1], [1, 1]]
    first, second = per_class(one)
    assert first["support"] == 3 and first["recall"] == pytest.approx(2 / 3)
    assert first["low"] < 2 / 3 < first["high"]
    assert second["precision"] == second["f1"] == pytest.approx(1 / 2)


def test_the_leading_metric():
    assert primary(single([0, 1] * 5, [0] * 10)) == "accuracy"
    assert primary(single([0] * 9 + [1], [0] * 10)) == "macro_f1"
    assert primary(single([0] * 8 + [1] * 2, [0] * 10)) == "accuracy"
    assert primary(several(np.ones((2, 2), dtype=bool), np.ones((2, 2)))) == "micro_f1"
