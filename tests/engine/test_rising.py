"""A rate by trial: the curve, what is chosen of it, and that it is the same every time."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from whet.engine import rising
from whet.engine.optimisation import Group
from whet.engine.precision import Weights
from whet.engine.protocols import Objective, StepLoss
from whet.errors import ModelTooLarge

from .regression import Order, Rows, network, rows, squares

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
    assert lost.reason == "diverged" and lost.factor == pytest.approx(TRIED[20] / 10)
    late = chosen([*(2.0 + 0.001 * i for i in range(35)), 100.0])
    assert (late.factor, late.reason) == (1.0, "flat"), "a tenth of where it was lost is above the usual rate"


def run(
    seed: int, rate: float = 0.02, objective: Objective[Any] = squares, size: int = 1000
) -> list[tuple[float, float, float]]:
    model = network()
    weights = Weights(model, torch.float32)
    groups = [Group("all", list(weights.masters.items()), rate, 0.0)]
    model.train()
    return list(rising.trial(weights, groups, objective, Order(rows()), torch.manual_seed, seed, size, 1.0, steps=40))


def test_a_gradient_that_is_not_finite_is_a_loss_that_is_lost():
    calls = itertools.count()

    def objective(model: nn.Module, batch: Rows) -> StepLoss:
        loss = squares(model, batch)
        if next(calls) == 2 * 30 + 1:  # each batch is computed with the weights of the start, too
            zero = 0.0 * next(model.parameters()).sum()
            return StepLoss(loss.total + zero.sqrt(), loss.num_counted)  # the slope of the root is infinite
        return loss

    found = run(3, objective=objective)
    assert len(found) == 31 and found[-1][1] == math.inf and math.isfinite(found[-1][2])
    made = rising.choose(*(list(one) for one in zip(*found, strict=True)))
    assert made.diverged == found[-1][0] and made.factor <= made.diverged / 10


def test_where_memory_runs_out_smaller_micro_batches_go_on():
    sizes: list[int] = []

    def objective(model: nn.Module, batch: Rows) -> StepLoss:
        sizes.append(batch.num_tokens)
        if batch.num_tokens > 4:
            raise MemoryError
        return squares(model, batch)

    found = run(3, objective=objective)
    small = run(3, size=max(size for size in sizes if size <= 4))
    assert found == small, "the same trial, as if they had been as small from the beginning"
    assert sum(size > 4 for size in sizes) <= 3, "it is tried once, not in every step"

    def broken(model: nn.Module, batch: Rows) -> StepLoss:
        raise ValueError("another error")

    with pytest.raises(ValueError, match="another error"):
        run(3, objective=broken)

    def never(model: nn.Module, batch: Rows) -> StepLoss:
        raise MemoryError

    with pytest.raises(ModelTooLarge):
        run(3, objective=never)


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
