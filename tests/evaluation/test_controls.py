from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.made import with_right
from whet.data.predictions import ClassPredictions
from whet.evaluation.controls import held_against

KNOWN = {"seed": 0, "alpha": 0.05, "num_resamples": 400}


def branch(draw: np.random.Generator, rates: list[float], n: int = 400) -> dict[int, ClassPredictions]:
    hard = np.random.default_rng(3).random(n)
    return {
        number: with_right((hard + 0.05 * draw.normal(size=n)) < rate, model="full")
        for number, rate in enumerate(rates)
    }


def test_a_clear_gain_is_told_from_none():
    draw = np.random.default_rng(0)
    adapted = branch(draw, [0.85, 0.86, 0.84])
    controls = {"none": branch(draw, [0.7, 0.71, 0.69]), "equal-compute": branch(draw, [0.85, 0.84, 0.86])}
    none, equal = held_against(adapted, controls, "accuracy", wanted=3, **KNOWN)
    assert (none.kind, none.said, none.seeds, none.failed) == ("none", "better", 3, 0)
    each = [adapted[n].correct.mean() - controls["none"][n].correct.mean() for n in range(3)]
    assert none.each == pytest.approx(each) and none.value == pytest.approx(np.mean(each))
    assert none.low is not None and none.low > 0
    assert equal.said == "cannot tell" and equal.low is not None and equal.high is not None
    assert equal.low < 0 < equal.high


def test_what_is_worse_is_said():
    draw = np.random.default_rng(1)
    found = held_against(branch(draw, [0.6, 0.61]), {"none": branch(draw, [0.8, 0.81])}, "accuracy", wanted=2, **KNOWN)
    assert found[0].said == "worse"


def test_seeds_that_failed_are_counted_and_their_pairs_left_out():
    draw = np.random.default_rng(2)
    adapted, none = branch(draw, [0.8, 0.81, 0.8, 0.79]), branch(draw, [0.7, 0.7, 0.7, 0.7])
    del adapted[1], none[3]
    found = held_against(adapted, {"none": none}, "accuracy", wanted=4, **KNOWN)[0]
    assert (found.seeds, found.failed) == (2, 2) and len(found.each) == 2


def test_one_seed_tells_nothing():
    draw = np.random.default_rng(3)
    found = held_against(branch(draw, [0.9]), {"none": branch(draw, [0.5])}, "accuracy", wanted=3, **KNOWN)[0]
    assert (found.said, found.value, found.failed) == ("cannot tell", None, 2)
