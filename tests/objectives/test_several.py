from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from whet.batches.mixture import TaskBatch
from whet.engine.protocols import StepLoss
from whet.models.sharing import Shared
from whet.objectives.several import Several


class Models(Shared):
    """Without models: what a loss asks of them."""

    def __init__(self, spread: float) -> None:
        torch.nn.Module.__init__(self)
        self.spread = torch.nn.Parameter(torch.tensor([0.0, spread]))

    def of(self, task: str) -> Any:
        return SimpleNamespace(task=task)

    def log_variance(self, task: str) -> torch.Tensor:
        return self.spread[["a", "b"].index(task)]


OBJECTIVES = {
    "a": lambda model, batch: StepLoss(torch.tensor(6.0), 3),
    "b": lambda model, batch: StepLoss(torch.tensor(8.0), 4),
}


def test_each_batch_has_the_loss_of_its_task() -> None:
    found = Several(OBJECTIVES)(Models(1.0), TaskBatch("b", SimpleNamespace()))  # type: ignore[arg-type]
    assert (found.total.item(), found.num_counted) == (8.0, 4)


def test_uncertain_tasks_count_less_and_pay_for_it() -> None:
    models = Models(1.0)
    found = Several(OBJECTIVES, by_spread=True)(models, TaskBatch("b", SimpleNamespace()))  # type: ignore[arg-type]
    assert found.total.item() == pytest.approx(8 * math.exp(-1) + 4 / 2)
    found.total.backward()
    assert models.spread.grad is not None
    assert models.spread.grad.tolist() == pytest.approx([0.0, -8 * math.exp(-1) + 2])


def test_the_best_spread_of_a_loss_is_its_own_size() -> None:
    """l exp(-s) + s / 2 is least where exp(s) = 2 l, as a variance of a squared difference is."""
    spread = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    loss = 2.5
    assert spread[(loss * (-spread).exp() + spread / 2).argmin()].exp().item() == pytest.approx(2 * loss, rel=1e-2)
