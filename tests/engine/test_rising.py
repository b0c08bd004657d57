"""A rate by trial: the curve, what is chosen of it, and that it is the same every time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from whet.engine import rising
from whet.engine.optimisation import Group
from whet.engine.precision import Weights

from .regression import Order, network, rows, squares

TRIED = rising.factors(41).tolist()  # ten a decade


def chosen(losses: list[float]) -> rising.Tried:
    """Of batches that cost 2 at the start."""
    return rising.choose(TRIED, losses, [2.0] * len(losses))


def curve(fall: float, lost: float | None) -> list[float]:
    """Losses that fall steepest at the factor ``fall`` and are lost from ``lost`` on."""
    losses = [2.0 - 1.0 / (1.0 + (fall / factor) ** 4) for factor in TRIED]
    if lost is None:
        return losses
    end = next(i for i, factor in enumerate(TRIED) if factor >= lost)
    return [*losses[:end], 100.0]


def test_rates_rise_by_the_same_share():
    found = rising.factors()
    assert (found[0], found[-1], len(found)) == (pytest.approx(0.01), pytest.approx(100.0), 80)
    assert np.allclose(found[1:] / found[:-1], found[1] / found[0])


def test_smoothing_by_hand():
    found = rising.smoothed([4.0, 1.0])
    assert found[0] == pytest.approx(4.0)
    assert found[1] == pytest.approx((0.9 * 0.1 * 4.0 + 0.1 * 1.0) / (1 - 0.81))


@pytest.mark.parametrize("fall", [0.1, 1.0, 10.0])
def test_the_steepest_descent_is_taken(fall: float):
    found = chosen(curve(fall, None))
    assert (found.reason, found.diverged) == ("steepest", None)
    assert fall / 2 < found.factor < fall * 3  # smoothing lags behind


def test_never_near_where_it_is_lost():
    found = chosen(curve(10.0, 50.0))
    assert found.reason == "diverged"
    assert found.diverged is not None and 50.0 <= found.diverged < 65.0
    assert found.factor == pytest.approx(found.diverged / 10)


def test_a_loss_that_is_not_finite_is_lost_too():
    losses = [*curve(1.0, None)[:30], math.nan]
    found = chosen(losses)
    assert found.diverged == pytest.approx(TRIED[30])
    assert len(found.smooth) == 30 and math.isfinite(found.factor)


def test_where_nothing_is_learnt_the_usual_rate_stays():
    found = chosen([2.0 + 0.001 * i for i in range(41)])
    assert (found.factor, found.reason) == (1.0, "flat")
    lost = chosen([*(2.0 + 0.001 * i for i in range(20)), 100.0])
    assert lost.reason == "flat" and lost.factor == pytest.approx(TRIED[20] / 10)


def run(seed: int, rate: float = 0.02) -> list[tuple[float, float, float]]:
    model = network()
    weights = Weights(model, torch.float32)
    groups = [Group("all", list(weights.masters.items()), rate, 0.0)]
    model.train()
    return list(rising.trial(weights, groups, squares, Order(rows()), torch.manual_seed, seed, 1000, 1.0, steps=40))


def test_a_trial_learns_diverges_and_is_the_same_every_time():
    found = run(3)
    assert found == run(3) and found != run(4)
    factors, losses, starts = (list(one) for one in zip(*found, strict=True))
    assert losses[0] == starts[0], "the first batch is computed with the weights of the start"
    assert rising.choose(factors, losses, starts).smooth[-1] < 0
    wild = run(3, rate=50.0)
    assert len(wild) < 40
    lost = rising.choose(*(list(one) for one in zip(*wild, strict=True)))
    assert lost.diverged is not None and lost.factor < 1.0


def test_batches_that_differ_do_not_hide_what_is_learnt():
    """The same curve, of batches one of which is far harder than the next."""
    hard = [1.0 + (number * 7 % 11) for number in range(41)]
    losses = [loss - 2.0 + start for loss, start in zip(curve(1.0, None), hard, strict=True)]
    assert rising.choose(TRIED, losses, hard).factor == pytest.approx(chosen(curve(1.0, None)).factor)
