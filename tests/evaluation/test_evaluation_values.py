from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from whet.errors import UserError
from whet.evaluation import values as kind
from whet.evaluation.intervals import bootstrap, paired_difference
from whet.evaluation.kinds import sums, values_of
from whet.evaluation.paired import compare, randomisation
from whet.evaluation.rows import checked, same_rows

from .made_kinds import numbers


def test_values_computed_by_hand():
    found = values_of(numbers([1, 2, 3, 6], [2, 2, 4, 4]))
    assert found["mae"] == pytest.approx((1 + 0 + 1 + 2) / 4)
    assert found["mse"] == pytest.approx((1 + 0 + 1 + 4) / 4)
    assert found["r2"] == pytest.approx(1 - 6 / 14)
    # ranks 1 2 3 4 and 1.5 1.5 3.5 3.5
    assert found["spearman"] == pytest.approx(4 / np.sqrt(5 * 4))
    assert found["pearson"] == pytest.approx(6 / np.sqrt(14 * 4))


def test_metrics_by_purpose():
    assert list(values_of(numbers([1, 2, 3], [2, 1, 3], purpose="similarity"))) == ["spearman", "pearson"]
    assert kind.primary(numbers([1], [1], purpose="similarity")) == "spearman"
    assert kind.primary(numbers([1], [1])) == "r2"


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.booleans(), st.floats(1e-3, 1e3), st.integers(0, 10**6))
def test_sums_give_the_same_numbers_as_scipy_and_scikit_learn(n, tied, scale, seed):
    rng = np.random.default_rng(seed)
    gold = rng.normal(size=n) * scale + 100
    said = gold + rng.normal(size=n) * scale
    if tied:
        gold, said = np.round(gold / scale), np.round(said / scale)
    one = numbers(gold, said)
    part, expected = sums(one), values_of(one)
    for name, values in part.metrics(kind.REGRESSION, part.total).items():
        assert values[0] == pytest.approx(expected[name], rel=1e-7, abs=1e-7), name
    if np.ptp(gold) and np.ptp(said):
        assert expected["spearman"] == pytest.approx(spearmanr(gold, said).statistic)
        assert expected["pearson"] == pytest.approx(pearsonr(gold, said).statistic)


@pytest.mark.parametrize(
    ("gold", "said"), [([1, 2, 3], [5, 5, 5]), ([4, 4, 4], [1, 2, 3]), ([4, 4], [4, 4]), ([2], [2])]
)
def test_what_does_not_vary_has_correlation_zero(gold, said):
    one = numbers(gold, said)
    part, found = sums(one), values_of(one)
    assert found["spearman"] == found["pearson"] == 0.0
    for name, values in part.metrics(kind.REGRESSION, part.total).items():
        assert values[0] == pytest.approx(found[name]), name
    assert found["r2"] == (1.0 if gold == said else found["r2"] <= 0 and found["r2"])


def test_pseudo_values_are_those_of_the_jackknife():
    rng = np.random.default_rng(0)
    n = 300
    gold = np.round(rng.normal(size=n), 1)  # some ties
    said = np.round(gold + rng.normal(size=n), 1)
    mine = kind.pseudo_values(said, gold)
    whole = spearmanr(said, gold).statistic
    assert mine.mean() == pytest.approx(whole, abs=1e-12)
    left_out = [spearmanr(np.delete(said, row), np.delete(gold, row)).statistic for row in range(n)]
    jackknife = n * whole - (n - 1) * np.asarray(left_out)
    assert mine == pytest.approx(jackknife, abs=0.06)
    assert mine.std() == pytest.approx(jackknife.std(), rel=0.01)


def test_order_alone_counts_for_spearman():
    rng = np.random.default_rng(1)
    gold = rng.normal(size=50)
    said = gold + rng.normal(size=50)
    plain, bent = numbers(gold, said, purpose="similarity"), numbers(gold, np.exp(said) * 7, purpose="similarity")
    assert np.allclose(kind.pseudo_values(plain.said, gold), kind.pseudo_values(bent.said, gold))
    same = compare(plain, numbers(gold, np.exp(said), purpose="similarity", model="probe"), "spearman", seed=0)
    assert same.difference == pytest.approx(0, abs=1e-12) and same.p == 1.0 and (same.won, same.lost) == (0, 0)


def steps(rng: np.random.Generator, n: int, noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth in steps of 0 to 5, as similarity is annotated, and two models that are equally good."""
    hidden = rng.normal(size=n)
    gold = np.round(np.clip(hidden * 1.3 + 2.5, 0, 5) * 5) / 5
    return gold, hidden + noise * rng.normal(size=n), np.exp(hidden + noise * rng.normal(size=n))


def test_intervals_of_spearman_hold_the_truth():
    """At a correlation of 0.95; ranks held fixed reach 0.89 there (see the file of the kind)."""
    rng = np.random.default_rng(0)
    noise = 0.3287
    gold, said, _ = steps(rng, 400_000, noise)
    truth = spearmanr(gold, said).statistic
    held, held_difference = [], []
    for number in range(100):
        gold, first, second = steps(rng, 200, noise)
        one = numbers(gold, first, purpose="similarity")
        other = numbers(gold, second, purpose="similarity", model="probe")
        alone = bootstrap(one, "spearman", seed=number, num_resamples=300)
        apart = paired_difference(one, other, "spearman", seed=number, num_resamples=300)
        held.append(alone.low <= truth <= alone.high)
        held_difference.append(apart.low <= 0 <= apart.high)
    assert np.mean(held) >= 0.9 and np.mean(held_difference) >= 0.88


def test_false_claims_about_spearman_are_rare():
    rng = np.random.default_rng(3)
    p_values = []
    for number in range(100):
        gold, first, second = steps(rng, 100, 1.0)
        pair = (numbers(gold, said, purpose="similarity", model=name) for said, name in ((first, "a"), (second, "b")))
        p_values.append(randomisation(*pair, "spearman", seed=number, num_rounds=199))
    assert np.mean(np.asarray(p_values) < 0.05) < 0.12


def test_the_nearer_number_wins():
    one, other = numbers([1, 2, 3], [1, 2, 5]), numbers([1, 2, 3], [2, 2, 4], model="probe")
    found = compare(one, other, "mae", seed=0, num_rounds=99)
    assert (found.won, found.lost, found.positive_flips, found.negative_flips) == (1, 1, 0, 0)
    assert found.difference == pytest.approx(0.0) and found.gain == -found.difference


def test_details():
    found = kind.details(numbers([0, 2], [1, 1]))
    assert found["gold"] == {"mean": 1.0, "deviation": 1.0, "least": 0.0, "most": 2.0}
    assert found["said"]["deviation"] == 0.0 and found["purpose"] == "regression"


def test_what_cannot_be_evaluated():
    for gold, said in (([1, np.nan], [1, 2]), ([1, 2], [np.inf, 2])):
        with pytest.raises(UserError, match="V105"):
            checked(numbers(gold, said))
    one = numbers([1, 2], [1, 2])
    with pytest.raises(UserError, match="V102"):
        same_rows(one, numbers([1, 2], [1, 2], purpose="similarity"))
    with pytest.raises(UserError, match="V107"):
        same_rows(one, numbers([1, 3], [1, 2], model="probe"))
