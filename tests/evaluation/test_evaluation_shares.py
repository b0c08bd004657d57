from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from whet.evaluation.intervals import opened
from whet.evaluation.shares import effective_rows, share_interval, wilson, z_of


def test_rows_that_stand_alone_count_as_they_are():
    right = np.arange(50) % 3 == 0
    assert effective_rows(right, None) == 50
    assert effective_rows(right, np.arange(50)) == pytest.approx(49)
    assert share_interval(right, None) == wilson(int(right.sum()), 50)


def test_groups_that_are_alike_throughout_count_as_one_row_each():
    groups = np.repeat(np.arange(20), 10)
    right = groups % 4 == 0
    assert effective_rows(right, groups) == pytest.approx(19)
    narrow, wide = wilson(50, 200), share_interval(right, groups)
    assert wide[1] - wide[0] > 2.5 * (narrow[1] - narrow[0])


def test_the_design_effect_is_the_ratio_of_two_variances():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 12, 300)
    right = rng.random(300) < rng.random(12)[groups]
    share = right.mean()
    gaps = [(right[groups == group] - share).sum() for group in range(12)]
    together = 12 / 11 * np.sum(np.square(gaps)) / 300**2
    assert effective_rows(right, groups) == pytest.approx(share * (1 - share) / together)


def test_where_no_variance_can_be_seen_groups_are_counted():
    groups = np.repeat(np.arange(8), 25)
    assert effective_rows(np.ones(200, dtype=bool), groups) == 8
    low, high = share_interval(np.ones(200, dtype=bool), groups)
    assert high == 1.0 and low < wilson(8, 8)[0]
    assert effective_rows(np.arange(30) % 2 == 0, np.zeros(30)) == 1
    assert share_interval(np.zeros(0, dtype=bool), np.zeros(0)) == (0.0, 1.0)


def test_intervals_of_shares_in_groups_hold_the_truth():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(300):
        groups = np.repeat(np.arange(15), rng.integers(5, 30, 15))
        right = rng.random(len(groups)) < rng.beta(8, 2, 15)[groups]
        low, high = share_interval(right, groups)
        held.append(low <= 0.8 <= high)
    assert np.mean(held) > 0.91


def test_few_groups_open_an_interval_as_students_quantile_does():
    assert opened(0.5, (0.4, 0.7), None, 0.95) == (0.4, 0.7)
    low, high = opened(0.5, (0.4, 0.7), 5, 0.95)
    wider = t.ppf(0.975, 4) / z_of(0.95) * np.sqrt(5 / 4)
    assert (0.5 - low, high - 0.5) == pytest.approx((0.1 * wider, 0.2 * wider))
    assert opened(0.5, (0.4, 0.7), 10**6, 0.95) == pytest.approx((0.4, 0.7), abs=1e-5)
