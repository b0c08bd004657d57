from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from whet.evaluation import sums as sums_module
from whet.evaluation.intervals import bca, bootstrap, exception, left_open, paired_difference, percentile
from whet.evaluation.kinds import sums
from whet.evaluation.shares import floor, tango, wilson
from whet.evaluation.sums import leave_one_out, resampled

from .made import pair, shuffled, single, softmaxed, with_right
from .made_kinds import answers, numbers


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 30), (30, 30), (3, 7), (512, 1035), (9990, 10000)])
def test_wilson_against_statsmodels(successes, n):
    from statsmodels.stats.proportion import proportion_confint

    for level in (0.9, 0.95):
        expected = proportion_confint(successes, n, alpha=1 - level, method="wilson")
        assert wilson(successes, n, level) == pytest.approx(expected, abs=1e-12)


def test_wilson_knows_nothing_without_rows():
    assert wilson(0, 0) == (0.0, 1.0)


def test_tango_with_no_discordant_row_is_as_wide_as_wilson():
    z2 = norm.ppf(0.975) ** 2
    for n in (5, 100, 1035):
        low, high = tango(0, 0, n)
        assert high == pytest.approx(z2 / (n + z2), abs=1e-9)
        assert low == pytest.approx(-high, abs=1e-9)


def test_tango_excludes_zero_exactly_where_mcnemars_statistic_is_beyond_the_quantile():
    for won in range(30):
        for lost in (0, 3, 9):
            low, high = tango(won, lost, 200)
            beyond = won + lost > 0 and abs(won - lost) / np.sqrt(won + lost) > norm.ppf(0.975)
            assert (not low < 0 < high) == beyond
            assert low <= (won - lost) / 200 <= high
            mirrored = tango(lost, won, 200)
            assert (-mirrored[1], -mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_tango_covers_the_truth():
    rng = np.random.default_rng(0)
    covered = []
    for n, p_won, p_lost in ((40, 0.1, 0.05), (200, 0.02, 0.01), (1000, 0.06, 0.05)):
        draws = rng.multinomial(n, [p_won, p_lost, 1 - p_won - p_lost], size=400)
        ends = [tango(int(won), int(lost), n) for won, lost, _ in draws]
        covered.append(np.mean([low <= p_won - p_lost <= high for low, high in ends]))
    assert min(covered) > 0.92


def test_the_fast_bootstrap_draws_what_a_plain_loop_draws():
    one = softmaxed(np.random.default_rng(3), 60, 4, 1.0)
    part = sums(one)
    (totals,) = next(resampled([part], 5, np.random.default_rng(7)))
    rows = np.random.default_rng(7).integers(0, 60, size=(5, 60))
    for number in range(5):
        again = shuffled(one, rows[number])
        assert np.allclose(totals[number], sums(again).total[0])


def test_pieces_of_work_do_not_change_the_draws(monkeypatch):
    part = sums(softmaxed(np.random.default_rng(3), 50, 3, 1.0))
    whole = np.concatenate([totals for (totals,) in resampled([part], 40, np.random.default_rng(1))])
    monkeypatch.setattr(sums_module, "CELLS_AT_ONCE", 400)
    pieces = np.concatenate([totals for (totals,) in resampled([part], 40, np.random.default_rng(1))])
    assert np.array_equal(whole, pieces)


def test_the_jackknife_leaves_one_row_out_each_time():
    one = softmaxed(np.random.default_rng(5), 25, 3, 1.0)
    found = leave_one_out(sums(one), ["macro_f1"])["macro_f1"]
    for row in (0, 7, 24):
        part = sums(shuffled(one, np.delete(np.arange(25), row)))
        assert found[row] == pytest.approx(part.metrics(["macro_f1"], part.total)["macro_f1"][0])


def test_bca_equals_scipys_on_the_same_draws():
    from scipy.stats import bootstrap as scipy_bootstrap

    rng = np.random.default_rng(0)
    data = rng.exponential(size=60)
    theirs = scipy_bootstrap((data,), np.mean, n_resamples=3000, method="BCa", random_state=1)
    left_out = (data.sum() - data) / 59
    mine = bca(theirs.bootstrap_distribution, float(data.mean()), left_out)
    assert mine == pytest.approx(tuple(theirs.confidence_interval), abs=2e-3)


def test_percentile():
    assert percentile(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))


def test_bootstrap_of_accuracy_agrees_with_the_normal_form():
    right = np.random.default_rng(1).random(800) < 0.85
    estimate = bootstrap(with_right(right, model="full"), "accuracy", seed=0)
    error = np.sqrt(right.mean() * (1 - right.mean()) / 800)
    assert estimate.standard_error == pytest.approx(error, rel=0.08)
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_groups_widen_the_interval():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(40), 20)
    right = np.repeat(rng.random(40) < 0.7, 20)  # a document is right as a whole: 40 items, not 800
    one = with_right(right, model="full")
    alone = bootstrap(one, "accuracy", seed=0)
    grouped = bootstrap(one, "accuracy", seed=0, groups=groups)
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(np.sqrt(20), rel=0.15)


def test_random_blocks_of_a_long_list_give_the_same_spread(monkeypatch):
    right = np.random.default_rng(4).random(4000) < 0.8
    one = with_right(right, model="full", num_labels=3)
    plain = bootstrap(one, "macro_f1", seed=0, num_resamples=1000)
    monkeypatch.setattr(sums_module, "MOST_BLOCKS", 400)
    blocked = bootstrap(one, "macro_f1", seed=0, num_resamples=1000)
    assert blocked.value == pytest.approx(plain.value)
    assert blocked.standard_error == pytest.approx(plain.standard_error, rel=0.2)


def test_a_bounded_metric_never_claims_to_know_exactly():
    perfect = single([0, 1, 0, 1, 1], [0, 1, 0, 1, 1])
    estimate = bootstrap(perfect, "macro_f1", seed=0)
    assert estimate.value == estimate.high == 1.0
    assert estimate.low == pytest.approx(wilson(5, 5)[0], abs=1e-9)
    same = paired_difference(perfect, single([0, 1, 0, 1, 1], [0, 1, 0, 1, 1], model="probe"), "macro_f1", seed=0)
    assert same.value == 0 and same.high > 0.3 and same.low < -0.3


def test_paired_difference_of_macro_f1_covers_the_truth():
    rng = np.random.default_rng(0)
    share = np.array([0.5, 0.3, 0.2])

    def draw(n):
        gold = rng.choice(3, size=n, p=share)
        first = np.where(rng.random(n) < 0.8, gold, rng.choice(3, size=n, p=share))
        second = np.where(rng.random(n) < 0.9, first, rng.choice(3, size=n, p=share))
        return single(gold, first, num_labels=3), single(gold, second, num_labels=3, model="probe")

    truth = paired_difference(*draw(200_000), "macro_f1", seed=0, num_resamples=10).value
    ends = [paired_difference(*draw(200), "macro_f1", seed=number, num_resamples=300) for number in range(100)]
    assert np.mean([one.low <= truth <= one.high for one in ends]) > 0.88


def test_the_order_of_rows_changes_nothing():
    first, second = pair(120, 80, 15, 6)
    order = np.random.default_rng(0).permutation(120)
    for metric in ("accuracy", "macro_f1", "log_loss"):
        plain = paired_difference(first, second, metric, seed=3)
        assert paired_difference(shuffled(first, order), shuffled(second, order[::-1]), metric, seed=3) == plain
    assert bootstrap(shuffled(first, order), "mcc", seed=3) == bootstrap(first, "mcc", seed=3)


def test_an_exception_weighs_what_rows_weigh():
    assert exception(np.asarray([0.0, 1.0, -1.0, 1.0])) == 1.0  # rows right or wrong
    assert exception(np.zeros(5)) == 1.0  # nothing is known of the size of the first
    assert exception(np.asarray([0.1, -0.1, 0.2])) == pytest.approx(0.06 / 0.4)
    rng = np.random.default_rng(0)
    for _ in range(200):  # a sum beyond z of its own size is beyond what is left open
        effects = rng.normal(0.1, 1.0, 80) * (rng.random(80) < 0.3)
        if abs(effects.sum()) > 1.96 * np.sqrt((effects**2).sum()):
            assert abs(effects.mean()) > left_open(effects, 80, 0.95)


def test_two_near_vectors_are_near_by_spearman():
    """Little noise on every row: no share of rows is an exception, so its slack does not belong there."""
    rng = np.random.default_rng(0)
    gold = rng.normal(size=150)
    said = gold + 0.6 * rng.normal(size=150)
    one = numbers(gold, said, purpose="similarity")
    other = numbers(gold, said + 0.02 * rng.normal(size=150), purpose="similarity", model="base_cosine")
    found = paired_difference(one, other, "spearman", seed=0)
    assert found.high - found.low < 0.01 < floor(150)
    assert found.high - found.low > 3 * found.standard_error
    alone = bootstrap(one, "spearman", seed=0)
    plain = alone.value - 1.96 * alone.standard_error
    assert alone.low == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize(("near", "n"), [(0.1, 60), (0.02, 200)])
def test_differences_of_spearman_hold_the_truth_without_the_slack(near, n):
    rng = np.random.default_rng(1)

    def draw(rows):
        gold = rng.normal(size=rows)
        said = gold + 0.6 * rng.normal(size=rows)
        other = said + near * rng.normal(size=rows)
        return (numbers(gold, said, purpose="similarity"), numbers(gold, other, purpose="similarity", model="probe"))

    truth = paired_difference(*draw(100_000), "spearman", seed=0, num_resamples=10).value
    ends = [paired_difference(*draw(n), "spearman", seed=number, num_resamples=300) for number in range(100)]
    assert np.mean([one.low <= truth <= one.high for one in ends]) >= 0.9


def test_intervals_know_the_rows_that_a_metric_speaks_of():
    """Ten answerable questions of a thousand, all right: ten rows, not a thousand, leave the share open."""
    gold = [("yes",)] * 10 + [()] * 990
    one = answers(gold, ["yes"] * 10 + [""] * 990)
    assert bootstrap(one, "answerable_exact", seed=0).low == pytest.approx(wilson(10, 10)[0], abs=1e-9)
