from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.made import single, with_right
from whet.errors import UserError
from whet.evaluation.intervals import bootstrap
from whet.evaluation.two_level import two_level, two_level_difference


def trainings(rng, n, rates, seed=0, model="run"):
    """Models right on random rows, all on the same rows with the same truth."""
    hard = rng.random(n)
    return [with_right(hard < rate, model=f"{model}{place}", seed=seed) for place, rate in enumerate(rates)]


def test_the_mean_and_what_it_is_made_of():
    rng = np.random.default_rng(0)
    runs = trainings(rng, 400, [0.8, 0.7, 0.9])
    found = two_level(runs, "accuracy", seed=1)
    each = [float(one.correct.mean()) for one in runs]
    assert found.each == pytest.approx(each)
    assert found.value == pytest.approx(np.mean(each))
    assert found.spread == pytest.approx(np.std(each, ddof=1))
    assert found.low < found.value < found.high
    of_seeds = np.var(each, ddof=1) / 3
    of_rows = np.var(np.mean([one.correct for one in runs], axis=0)) / 400
    assert found.of_seeds == pytest.approx(of_seeds / (of_seeds + of_rows), rel=0.1)


def test_seeds_that_agree_leave_the_interval_of_the_rows():
    rng = np.random.default_rng(1)
    one = trainings(rng, 500, [0.8])[0]
    runs = [replace(one, model=f"run{place}") for place in range(3)]
    found, alone = two_level(runs, "macro_f1", seed=0), bootstrap(one, "macro_f1", seed=0)
    assert found.of_seeds == 0
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), abs=0.01)


def test_the_order_of_rows_does_not_matter_and_equal_calls_agree():
    rng = np.random.default_rng(2)
    runs = trainings(rng, 120, [0.8, 0.7])
    turned = [one.take(rng.permutation(120)) for one in runs]
    assert two_level(runs, "accuracy", seed=3) == two_level(turned, "accuracy", seed=3)


def test_a_difference_of_equal_sides_is_zero_and_one_training_stands_for_a_fixed_model():
    rng = np.random.default_rng(3)
    runs = trainings(rng, 300, [0.8, 0.75, 0.85])
    paired = two_level_difference(runs, runs, "accuracy", seed=0, paired=True)
    assert paired.value == 0 and paired.each == (0, 0, 0) and paired.spread == 0
    assert paired.low < 0 < paired.high and paired.high < 0.03
    apart = two_level_difference(runs, runs, "accuracy", seed=0)
    assert apart.value == 0 and apart.high > paired.high
    fixed = two_level_difference(runs, trainings(np.random.default_rng(3), 300, [0.4]), "accuracy", seed=0)
    assert fixed.value == pytest.approx(0.4, abs=0.06) and fixed.low > 0.2


def test_better_is_better_for_losses_too():
    gold = np.arange(60) % 2
    runs = [single(gold, gold, model=f"sure{place}", sure=sure) for place, sure in enumerate((0.9, 0.95))]
    others = [single(gold, gold, model=f"unsure{place}", sure=0.6) for place in range(2)]
    found = two_level_difference(runs, others, "log_loss", seed=0)
    assert found.high < 0 and found.value == pytest.approx(-np.log(0.9 * 0.95) / 2 + np.log(0.6))


@pytest.mark.parametrize("number", [0, 1])
def test_one_training_tells_nothing_of_seeds(number):
    runs = trainings(np.random.default_rng(0), 50, [0.8] * number)
    with pytest.raises(UserError, match="V114"):
        two_level(runs, "accuracy", seed=0)
    with pytest.raises(UserError, match="V114"):
        two_level_difference(runs, runs, "accuracy", seed=0)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    """Trainings of a known mean with a spread of their own, on rows drawn anew: 95 % intervals over 200 drawings."""
    rng = np.random.default_rng(4)
    n, mean, spread, inside = 150, 0.75, 0.04, 0
    for _ in range(200):
        ease = rng.random(n)  # easy rows are easy for all
        rates = np.clip(mean + spread * rng.standard_normal(3), 0, 1)
        rights = [(0.5 * ease + 0.5 * rng.random(n)) < np.quantile(_sums, rate) for rate in rates]
        runs = [with_right(right, model=f"run{place}") for place, right in enumerate(rights)]
        found = two_level(runs, "accuracy", seed=0, num_resamples=400)
        inside += found.low <= mean <= found.high
    assert 180 <= inside <= 200


_sums = 0.5 * np.random.default_rng(0).random(100_000) + 0.5 * np.random.default_rng(1).random(100_000)
