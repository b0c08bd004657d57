from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.evaluation.calibration import (
    apply_temperature,
    choose_thresholds,
    ece,
    equal_mass_bins,
    fit_temperature,
    reliability,
)
from whet.evaluation.kinds import values_of

from .made import several, shuffled, single, softmaxed


def test_bins_hold_about_equally_many_and_equal_values_share_one():
    values = np.random.default_rng(0).random(300)
    assert np.bincount(equal_mass_bins(values)).tolist() == [20] * 15
    tied = np.array([0.5] * 70 + [0.9] * 30)
    assert np.bincount(equal_mass_bins(tied)).tolist() == [70, 30]
    assert equal_mass_bins(np.array([0.3, 0.2])).tolist() == [0, 0]


def test_ece_and_reliability_by_hand():
    # 40 rows at confidence 0.6 of which 30 are right, 60 rows at 0.9 of which 48 are right
    low, high = single([0] * 40, [0] * 30 + [1] * 10, sure=0.6), single([0] * 60, [0] * 48 + [1] * 12, sure=0.9)
    both = replace(
        low,
        ids=np.arange(100),
        hashes=np.arange(100, dtype=np.uint64),
        gold=np.concatenate([low.gold, high.gold]),
        scores=np.concatenate([low.scores, high.scores]),
    )
    first, second = reliability(both)
    assert first == pytest.approx({"low": 0.6, "high": 0.6, "confidence": 0.6, "accuracy": 0.75, "count": 40})
    assert second["accuracy"] == pytest.approx(0.8) and second["count"] == 60
    estimate = ece(both, seed=0)
    assert estimate.value == pytest.approx(0.4 * 0.15 + 0.6 * 0.1)
    assert estimate.low < estimate.value < estimate.high
    assert ece(shuffled(both, np.random.default_rng(0).permutation(100)), seed=0) == estimate


def test_the_interval_of_a_calibrated_model_holds_zero():
    found = [
        ece(softmaxed(np.random.default_rng(number), 400, 4, 1.0), seed=0, num_resamples=300) for number in range(40)
    ]
    assert np.mean([one.low == 0.0 for one in found]) > 0.85
    assert min(one.value for one in found) > 0.005  # noise alone pushes every ECE up


def test_the_interval_of_a_model_that_is_too_sure_excludes_zero():
    estimate = ece(softmaxed(np.random.default_rng(0), 1000, 4, 2.5), seed=0)
    assert estimate.low > 0.05


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 3.0])
def test_a_known_temperature_is_found_again(temperature):
    one = softmaxed(np.random.default_rng(1), 6000, 5, temperature, split="validation")
    assert fit_temperature(one) == pytest.approx(temperature, rel=0.06)


def test_a_temperature_of_several_labels_is_found_again():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(3000, 4)) * 2
    gold = rng.random((3000, 4)) < 1 / (1 + np.exp(-logits))
    assert fit_temperature(several(gold, 1 / (1 + np.exp(-2.0 * logits)))) == pytest.approx(2.0, rel=0.06)


def test_without_any_mistake_there_is_nothing_to_fit():
    assert fit_temperature(single([0, 1, 1], [0, 1, 1], sure=0.7)) == 1.0


def test_all_wrong_is_as_hot_as_it_gets_but_finite():
    assert 10 < fit_temperature(single([0, 1, 1], [1, 0, 0], sure=0.99)) <= 100.5


def test_the_fitted_temperature_lowers_loss_and_ece():
    rng = np.random.default_rng(3)
    one = softmaxed(rng, 2000, 5, 2.0)
    cooled = apply_temperature(one, fit_temperature(one))
    assert values_of(cooled)["log_loss"] < values_of(one)["log_loss"]
    assert ece(cooled, seed=0, num_resamples=50).value < ece(one, seed=0, num_resamples=50).value / 2


@settings(max_examples=40, deadline=None)
@given(st.floats(0.5, 4.0), st.integers(0, 10**6))
def test_a_temperature_changes_no_decision(temperature, seed):
    rng = np.random.default_rng(seed)
    one = softmaxed(rng, 30, 4, 1.0)
    after = apply_temperature(one, temperature)
    assert np.array_equal(after.predicted, one.predicted)
    assert after.scores.sum(axis=1) == pytest.approx(1, abs=1e-5)
    many = several(rng.random((30, 3)) < 0.5, rng.random((30, 3)), cut=0.3)
    assert np.array_equal(apply_temperature(many, temperature).predicted, many.predicted)


def test_temperature_one_changes_nothing_and_zeros_stay_finite():
    one = softmaxed(np.random.default_rng(0), 50, 3, 1.0)
    assert apply_temperature(one, 1.0).scores == pytest.approx(one.scores, abs=1e-6)
    sure = single([0, 1], [0, 0], sure=1.0)
    assert np.isfinite(apply_temperature(sure, 2.0).scores).all()
    assert np.isfinite(apply_temperature(several(np.ones((1, 2), bool), np.array([[0.0, 1.0]])), 2.0).scores).all()


def test_the_threshold_with_the_highest_micro_f1_is_chosen():
    rng = np.random.default_rng(0)
    gold = rng.random((80, 3)) < 0.25
    scores = np.clip(gold * 0.25 + rng.random((80, 3)) * 0.5, 0, 1).astype(np.float32)
    cut = choose_thresholds(scores, gold)
    assert len(set(cut.tolist())) == 1

    def micro(threshold: float) -> float:
        called = scores >= threshold
        return 2 * (called & gold).sum() / (called.sum() + gold.sum())

    best = max(micro(threshold) for threshold in np.unique(scores))
    assert micro(cut[0]) == pytest.approx(best)


def test_thresholds_where_validation_says_nothing():
    scores = np.array([[0.2, 0.9]], dtype=np.float32)
    assert choose_thresholds(scores, np.zeros((1, 2), bool)).tolist() == [0.5, 0.5]
    separable = choose_thresholds(np.array([[0.1, 0.2], [0.8, 0.9]], np.float32), np.array([[0, 0], [1, 1]], bool))
    assert separable == pytest.approx([0.5, 0.5])
    assert choose_thresholds(np.array([[0.4, 0.6]], np.float32), np.ones((1, 2), bool))[0] <= 0.4
