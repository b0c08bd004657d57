"""A few rows learnt by heart, as tests of language tasks do it."""

from __future__ import annotations

import torch

from whet.batches.encoding import Encoded
from whet.batches.flat import TrainingBatches
from whet.data.forms import Examples
from whet.models.task_model import TaskModel
from whet.tasks.task import Task


def overfit(task: Task, model: TaskModel, encoded: Encoded, examples: Examples, steps: int, rate: float = 5e-3) -> None:
    """Train on all rows at once, ``steps`` times, without dropout."""
    batches = TrainingBatches(encoded, task.targets(examples, encoded), 10_000, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(steps):
        torch.manual_seed(step)
        for batch in batches.starting_at(step, 0):
            found = task.objective()(model, batch)
            optimiser.zero_grad()
            (found.total / found.num_counted).backward()
            optimiser.step()
