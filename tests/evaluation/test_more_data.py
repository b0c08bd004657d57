from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.made import with_right
from whet.evaluation.more_data import POWERS, at, fit, learning_curve

SIZES = (50, 100, 200, 400, 800, 1600)


def said(errors, n=2000, seed=0, noise=0.0):
    """Models of 3 draws at each size with about these errors, on rows of which some are hard for all."""
    rng = np.random.default_rng(seed)
    hard = rng.random(n)
    return [
        [
            with_right(0.7 * hard + 0.3 * rng.random(n) > _cut(error + noise * rng.standard_normal()), model=f"{d}-{s}")
            for s, error in zip(SIZES, errors, strict=True)
        ]
        for d in range(3)
    ]


_mixed = np.sort(0.7 * np.random.default_rng(0).random(200_000) + 0.3 * np.random.default_rng(1).random(200_000))


def _cut(error):
    return _mixed[round(float(np.clip(error, 0, 1)) * (len(_mixed) - 1))]


def power(a, b, c):
    return [a * (size / SIZES[-1]) ** -b + c for size in SIZES]


@pytest.mark.parametrize(("a", "b", "c"), [(0.1, 0.5, 0.05), (0.2, 0.3, 0.0), (-0.02, 1.0, 0.3), (0.05, 1.5, 0.0)])
def test_a_curve_is_found_again(a, b, c):
    found = fit(np.asarray(SIZES), np.asarray([power(a, b, c)]))
    assert [float(one[0]) for one in found] == pytest.approx([a, b, c], abs=1e-6)
    assert at(found, np.asarray([1.0, 2.0]))[0] == pytest.approx([a + c, a * 2**-b + c])


def test_the_fit_is_the_best_of_its_kind():
    """Against a plain search with SciPy, b held to the values that are tried."""
    from scipy.optimize import nnls

    rng = np.random.default_rng(0)
    n, w = np.asarray(SIZES, dtype=float), np.asarray(SIZES) / sum(SIZES)
    for _ in range(20):
        errors = np.asarray(power(0.1, 0.4, 0.02)) + 0.005 * rng.standard_normal(len(SIZES))
        a, b, c = (float(one[0]) for one in fit(n, errors[None]))
        ours = float(w @ (errors - a * (n / n[-1]) ** -b - c) ** 2)
        root = np.sqrt(w)
        theirs = min(nnls(np.stack([root * (n / n[-1]) ** -p, root], 1), root * errors)[1] ** 2 for p in POWERS)
        assert ours <= theirs + 1e-12


def test_more_labels_help_and_by_how_much():
    found = learning_curve(said(power(0.12, 0.5, 0.03)), SIZES, "accuracy", seed=0, num_resamples=300)
    assert found.meets and found.predicted == pytest.approx(0.15, abs=0.02)
    twice, ten = found.gains
    assert twice.says and twice.low < 0.12 * (1 - 2**-0.5) < twice.high
    assert ten.says and ten.low < 0.12 * (1 - 10**-0.5) < ten.high and ten.value > twice.value
    assert found.words()[0].startswith("Twice the labels (3,200 rows) would gain about")
    assert len(found.line) == 60 and found.line[-1][0] == pytest.approx(16_000)
    again = learning_curve(said(power(0.12, 0.5, 0.03)), SIZES, "accuracy", seed=0, num_resamples=300)
    assert again == found and found.to_json()["sizes"] == SIZES


def test_a_flat_curve_says_nothing():
    found = learning_curve(said([0.2] * 6, noise=0.005), SIZES, "accuracy", seed=0, num_resamples=300)
    assert not any(gain.says for gain in found.gains)
    assert all("cannot say" in words.lower() for words in found.words())


def test_a_curve_that_turns_must_not_be_drawn_further():
    errors = power(0.1, 0.5, 0.05)
    errors[-1] = errors[-2] + 0.05
    found = learning_curve(said(errors), SIZES, "accuracy", seed=0, num_resamples=300)
    assert not found.meets and not any(gain.says for gain in found.gains)
    assert len(found.words()) == 1 and found.words()[0].startswith("Cannot say: fitted to the smaller sizes")


def test_other_metrics_are_errors_too():
    found = learning_curve(said(power(0.12, 0.5, 0.03)), SIZES, "macro_f1", seed=0, num_resamples=200)
    assert found.mean[0] > found.mean[-1] > 0
    loss = learning_curve(said(power(0.12, 0.5, 0.03)), SIZES, "log_loss", seed=0, num_resamples=200)
    assert loss.mean[0] > loss.mean[-1] > 0 and loss.gains[0].value > 0


def test_too_little_to_fit():
    models = said(power(0.1, 0.5, 0.0), n=50)
    with pytest.raises(ValueError, match="at least 5 sizes"):
        learning_curve([draw[:4] for draw in models], SIZES[:4], "accuracy", seed=0)
    with pytest.raises(ValueError, match="3 draws"):
        learning_curve(models[:2], SIZES, "accuracy", seed=0)


def test_intervals_hold_the_gain_about_as_often_as_they_say():
    inside = 0
    truth = 0.12 * (1 - 2**-0.5)
    for seed in range(20):
        found = learning_curve(
            said(power(0.12, 0.5, 0.03), 600, seed, noise=0.004), SIZES, "accuracy", seed=seed, num_resamples=100
        )
        inside += found.gains[0].low <= truth <= found.gains[0].high
    assert inside >= 17
