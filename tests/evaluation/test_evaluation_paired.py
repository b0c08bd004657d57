from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.errors import UserError
from whet.evaluation.alike import say_the_same
from whet.evaluation.kinds import kind_of, values_of
from whet.evaluation.paired import compare, holm, mcnemar, randomisation, with_holm

from .made import pair, several, shuffled, single, softmaxed, with_right
from .made_kinds import KINDS, model, numbers


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (5, 0), (6, 0), (3, 3), (10, 2), (2, 10), (31, 18)])
def test_mcnemar_by_hand(won, lost):
    both = won + lost
    tail = sum(Fraction(comb(both, i), 2**both) for i in range(min(won, lost) + 1))
    assert mcnemar(won, lost) == pytest.approx(float(min(Fraction(1), 2 * tail)), rel=1e-12)
    mid = 2 * tail - Fraction(comb(both, min(won, lost)), 2**both)
    assert mcnemar(won, lost, mid_p=True) == pytest.approx(float(mid), rel=1e-12)


def test_mcnemar_against_statsmodels():
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    for won, lost in ((7, 2), (40, 61), (0, 9)):
        assert mcnemar(won, lost) == pytest.approx(theirs([[5, won], [lost, 5]], exact=True).pvalue)


def test_five_rows_can_never_reject_and_no_p_is_zero():
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert mcnemar(5000, 0) > 0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=8))
def test_holm_against_statsmodels(p_values):
    from statsmodels.stats.multitest import multipletests

    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_randomisation_meets_the_exact_distribution():
    """All 2^10 arrangements of ten discordant rows, enumerated."""
    gold = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2]
    first = [0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 2, 2]
    second = [1, 0, 2, 0, 0, 0, 1, 2, 0, 1, 1, 2]
    one, other = single(gold, first, num_labels=3), single(gold, second, num_labels=3, model="probe")
    observed = abs(values_of(one)["macro_f1"] - values_of(other)["macro_f1"])
    differ = [row for row in range(12) if first[row] != second[row]]
    as_far = 0
    for coins in product([False, True], repeat=len(differ)):
        a, b = list(first), list(second)
        for row, coin in zip(differ, coins, strict=True):
            if coin:
                a[row], b[row] = b[row], a[row]
        from whet.evaluation.kinds import sums

        parts = [sums(single(gold, answers, num_labels=3)) for answers in (a, b)]
        values = [part.metrics(["macro_f1"], part.total)["macro_f1"][0] for part in parts]
        as_far += abs(values[0] - values[1]) >= observed - 1e-12
    exact = as_far / 2 ** len(differ)
    assert randomisation(one, other, "macro_f1", seed=0) == pytest.approx(exact, abs=0.02)


def test_randomisation_of_accuracy_is_mcnemar():
    first, second = pair(100, 70, 12, 4)
    assert randomisation(first, second, "accuracy", seed=1) == pytest.approx(mcnemar(12, 4), abs=0.01)


def test_randomisation_is_never_zero_and_one_without_a_difference():
    rows = np.arange(400)
    best, worst = with_right(rows >= 0, model="full"), with_right(rows < 0, model="majority")
    assert randomisation(best, worst, "macro_f1", seed=0, num_rounds=99) == 1 / 100
    assert randomisation(best, with_right(rows >= 0, model="probe"), "macro_f1", seed=0, num_rounds=99) == 1.0


def test_false_positives_stay_at_the_level():
    rng = np.random.default_rng(0)
    share, rejected = np.array([0.6, 0.3, 0.1]), []
    for number in range(200):
        gold = rng.choice(3, size=120, p=share)
        answers = [np.where(rng.random(120) < 0.75, gold, rng.choice(3, size=120, p=share)) for _ in range(2)]
        one, other = (single(gold, some, num_labels=3, model=str(place)) for place, some in enumerate(answers))
        rejected.append(randomisation(one, other, "macro_f1", seed=number, num_rounds=199) <= 0.05)
    assert np.mean(rejected) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_groups_are_swapped_whole():
    first, second = pair(200, 100, 60, 20)
    alone = randomisation(first, second, "accuracy", seed=0)
    few = randomisation(first, second, "accuracy", seed=0, groups=np.arange(200) // 50)
    assert alone < 0.001
    assert few >= 2 / 16 - 0.02  # 4 groups: 16 arrangements, two of them as far at least


def test_compare_accuracy():
    first, second = pair(1000, 800, 31, 18)
    one = compare(first, second, "accuracy", seed=0)
    assert (one.candidate, one.against, one.test) == ("full", "tfidf_linear", "McNemar exact")
    assert (one.won, one.lost, one.positive_flips, one.negative_flips) == (31, 18, 31, 18)
    assert one.difference == pytest.approx(0.013)
    assert one.low < 0.013 < one.high
    assert one.p == one.p_holm == mcnemar(31, 18)
    assert one.to_json()["difference"] == one.difference


def test_comparing_the_other_way_round_turns_the_sign_only():
    first, second = pair(150, 100, 20, 9)
    for metric in ("accuracy", "macro_f1", "brier"):
        there, back = (compare(*both, metric, seed=0) for both in ((first, second), (second, first)))
        assert there.difference == pytest.approx(-back.difference, abs=1e-15)
        assert (there.won, there.lost) == (back.lost, back.won)
        assert there.p == back.p
        assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-12)
        assert there.gain == pytest.approx(-back.gain)


def test_losses_gain_when_they_fall():
    rng = np.random.default_rng(0)
    good = softmaxed(rng, 300, 3, 1.0)
    from whet.evaluation.calibration import apply_temperature

    sure = apply_temperature(good, 0.3)
    one = compare(good, sure, "log_loss", seed=0, num_rounds=999)
    assert one.difference < 0 < one.gain
    assert one.p == 1 / 1000
    assert one.test == "approximate randomisation, 999 rounds"


def test_several_labels():
    rng = np.random.default_rng(0)
    gold = rng.random((300, 4)) < 0.3
    good = several(gold, np.where(rng.random((300, 4)) < 0.95, gold, ~gold) * 0.8 + 0.1)
    poor = several(gold, np.where(rng.random((300, 4)) < 0.7, gold, ~gold) * 0.8 + 0.1, model="probe")
    one = compare(good, poor, "micro_f1", seed=0, num_rounds=999)
    assert one.p == 1 / 1000 and one.low > 0
    assert one.won >= one.positive_flips and one.won > one.lost
    assert compare(good, poor, "accuracy", seed=0).test == "McNemar exact"


def test_the_order_of_rows_changes_no_p():
    rng = np.random.default_rng(0)
    first, second = pair(90, 50, 14, 8)
    order = rng.permutation(90)
    assert compare(shuffled(first, order), second, "macro_f1", seed=5) == compare(first, second, "macro_f1", seed=5)


def test_what_cannot_be_compared():
    first, second = pair(10, 5, 1, 1)
    with pytest.raises(UserError, match="Did you mean 'accuracy'"):
        compare(first, second, "acuracy", seed=0)
    with pytest.raises(UserError, match="V108"):
        compare(first, second, "accuracy", seed=0, groups=np.arange(9))


def test_with_holm_corrects_all_together():
    first, second = pair(300, 200, 30, 12)
    third = with_right(np.arange(300) < 225, model="lora")
    corrected = with_holm([compare(first, second, "accuracy", seed=0), compare(third, second, "accuracy", seed=0)])
    assert [one.p_holm for one in corrected] == pytest.approx(holm([one.p for one in corrected]))


def test_interval_and_test_tell_one_story():
    """Where the test does not reject zero, the interval holds it: five rows won of 200 are p = 0.0625."""
    first, second = pair(200, 150, 5, 0)
    found = compare(first, second, "accuracy", seed=0)
    assert found.p == pytest.approx(0.0625) and found.low == 0.0 < found.high
    assert not found.surely_better
    first, second = pair(200, 150, 12, 1)
    for metric in ("accuracy", "macro_f1"):
        found = compare(first, second, metric, seed=0, num_rounds=999)
        assert found.p < 0.05 and found.low > 0 and found.surely_better
        back = compare(second, first, metric, seed=0, num_rounds=999)
        assert back.high < 0 and not back.surely_better


def test_two_models_that_say_the_same():
    for kind in KINDS:
        one, other = model(kind, 0.7, n=40), model(kind, 0.2, n=40, name="probe")
        metric = kind_of(one).primary(one)
        assert compare(one, replace(one, model="probe"), metric, seed=0, num_rounds=9).alike
        assert not compare(one, other, metric, seed=0, num_rounds=9).alike
    said = np.linspace(0, 1, 20)
    one, noisy = numbers(said, said), numbers(said, said + 1e-7, model="probe")
    assert say_the_same(one, noisy) and not say_the_same(one, numbers(said, said + 1e-3, model="probe"))
    gold = [0, 1, 0, 1]
    assert say_the_same(single(gold, gold), single(gold, gold, sure=0.9, model="probe"))
    assert not say_the_same(single(gold, gold), single(gold, [0, 1, 0, 0], model="probe"))
