"""Losses of several tasks, one batch of one task at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from whet.batches.mixture import TaskBatch
from whet.engine.protocols import Objective, StepLoss
from whet.models.sharing import Shared


@dataclass(frozen=True, slots=True)
class Several:
    """The loss of the task whose rows are in the batch.

    - ``by_spread``: loss l of a task with log variance s becomes l exp(-s) + s / 2, so that tasks that are hard to be
      sure of count less, and how much is learnt (arXiv 1705.07115, section 3.2).
    """

    objectives: Mapping[str, Objective[Any]]
    by_spread: bool = False

    def __call__(self, model: nn.Module, batch: TaskBatch) -> StepLoss:
        """As the task's own objective counts."""
        assert isinstance(model, Shared)
        found = self.objectives[batch.task](model.of(batch.task), batch.batch)
        if not self.by_spread:
            return found
        spread = model.log_variance(batch.task)
        return StepLoss(found.total * (-spread).exp() + found.num_counted * spread / 2, found.num_counted)
