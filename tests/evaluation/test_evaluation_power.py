from __future__ import annotations

import numpy as np
import pytest

from whet.evaluation.paired import mcnemar
from whet.evaluation.power import (
    EXACT_UP_TO,
    effect_of_error,
    minimum_detectable_effect,
    power_of_mcnemar,
    rows_needed,
    rows_of_error,
    rows_within_margin,
)
from whet.evaluation.shares import tango


def simulated_power(n: int, discordance: float, difference: float, times: int = 1500) -> float:
    shares = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    draws = np.random.default_rng(0).multinomial(n, shares, size=times)
    tables, counts = np.unique(draws[:, :2], axis=0, return_counts=True)
    rejected = np.array([mcnemar(int(won), int(lost)) < 0.05 for won, lost in tables])
    return float((rejected * counts).sum() / times)


@pytest.mark.parametrize(("n", "discordance"), [(100, 0.2), (1035, 0.02), (3080, 0.06)])
def test_the_smallest_effect_is_detected_four_times_in_five(n, discordance):
    effect = minimum_detectable_effect(n, discordance)
    assert effect is not None
    assert simulated_power(n, max(discordance, effect), effect) == pytest.approx(0.8, abs=0.035)
    assert power_of_mcnemar(n, discordance, effect * 0.9) < 0.8


def test_a_thousand_rows_see_about_three_points():
    effect = minimum_detectable_effect(1000, 0.1)
    assert effect == pytest.approx(0.03, abs=0.003)


def test_too_few_rows_see_nothing():
    assert minimum_detectable_effect(5, 0.4) is None
    assert minimum_detectable_effect(6, 0.4) is not None


def test_power_without_a_difference_is_below_the_level():
    for n, discordance in ((50, 0.1), (1000, 0.05)):
        assert power_of_mcnemar(n, discordance, 0.0) <= 0.05
    assert power_of_mcnemar(100, 0.0, 0.0) == 0.0


@pytest.mark.parametrize(("difference", "discordance"), [(0.05, 0.1), (0.02, 0.03), (-0.03, 0.03), (0.2, 0.5)])
def test_rows_needed_give_the_power(difference, discordance):
    rows = rows_needed(difference, discordance)
    assert rows is not None
    assert simulated_power(rows, discordance, abs(difference)) == pytest.approx(0.8, abs=0.04)
    assert power_of_mcnemar(rows, discordance, difference) >= 0.8
    assert power_of_mcnemar(int(rows * 0.9), discordance, difference) < 0.8


def test_the_exact_form_and_the_formula_meet():
    below, above = minimum_detectable_effect(EXACT_UP_TO, 0.1), minimum_detectable_effect(EXACT_UP_TO + 1, 0.1)
    assert below == pytest.approx(above, rel=0.01)
    assert rows_needed(0.00285, 0.1) == pytest.approx(rows_needed(0.0027, 0.1) * (0.0027 / 0.00285) ** 2, rel=0.02)


def test_no_difference_needs_no_number_of_rows():
    assert rows_needed(0.0, 0.1) is None
    assert rows_of_error(0.0, 0.01, 100) is None


@pytest.mark.parametrize(("behind", "discordance"), [(0.0, 0.05), (0.004, 0.03), (-0.005, 0.04)])
def test_rows_within_the_margin_clear_it_four_times_in_five(behind, discordance):
    rows = rows_within_margin(behind, discordance, 0.01)
    assert rows is not None
    shares = [(discordance - behind) / 2, (discordance + behind) / 2, 1 - discordance]
    draws = np.random.default_rng(1).multinomial(rows, shares, size=400)
    cleared = [tango(int(won), int(lost), rows)[0] > -0.01 for won, lost, _ in draws]
    assert np.mean(cleared) == pytest.approx(0.8, abs=0.07)


def test_within_the_margin_has_limits():
    assert rows_within_margin(0.01, 0.05, 0.01) is None
    silent = rows_within_margin(0.0, 0.0, 0.01)
    assert silent is not None
    assert tango(0, 0, silent)[0] > -0.0101 and tango(0, 0, silent - 5)[0] < -0.01


def test_any_metric_by_its_error():
    assert effect_of_error(0.01) == pytest.approx(0.02802, abs=1e-4)
    rows = rows_of_error(0.014, 0.01, 1000)
    assert rows == pytest.approx(4000, rel=0.01)
