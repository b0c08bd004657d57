"""Rows of pairs and a tiny model for them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tests.made_models import make_base
from whet.batches.encoding import Encoded
from whet.batches.flat import TrainingBatches, collect
from whet.data.forms import Examples, Shape
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import find
from whet.models.task_model import TaskModel
from whet.tasks.task import Setting, Task

TYPES = {"text_pair": pa.string(), "score": pa.float64(), "negative": pa.list_(pa.string())}
LIMIT = 24


def rows(split: str = "train", **columns: list[Any]) -> Examples:
    shape = Shape(tuple((name, TYPES[name]) for name in columns if name != "text"))
    return Examples.of(columns, shape, split)


def setting(examples: Examples, **options: Any) -> Setting:
    columns = tuple(name for name, _ in examples.shape.more)
    return Setting(
        pairs=examples.has_pairs,
        columns=columns,
        options={f"similarity.{name}": value for name, value in options.items()},
    )


class Base:
    """A tiny pretrained model with its tokenizer."""

    def __init__(self, folder: Path, family: str = "bert") -> None:
        self.place = find(str(make_base(folder, family)))
        self.tokenizer = load_tokenizer(self.place)

    def model(self, task: Task, seed: int = 3) -> TaskModel:
        pooling = "mean" if task.head_kind == "vectors" else None
        model = load_model(self.place, task.head(pooling), self.tokenizer, seed)
        model.use_flat_batches()
        model.eval()
        return model

    def encode(self, task: Any, examples: Examples, **more: Any) -> Encoded:
        found: Encoded = task.encode(self.tokenizer, task.blocks(examples, **more), LIMIT, None)
        return found


def outputs(model: TaskModel, encoded: Encoded) -> Tensor:
    return collect(model, encoded, 500, False)


def trained(model: TaskModel, task: Task, encoded: Encoded, examples: Examples, steps: int, rate: float) -> None:
    """Move all weights for some steps."""
    batches = TrainingBatches(encoded, task.targets(examples, encoded), 10_000, seed=0, whole=task.coupled)
    objective = task.objective()
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    for step in range(steps):
        for batch in batches.starting_at(step, 0):
            found = objective(model, batch)
            optimiser.zero_grad()
            (found.total / found.num_counted).backward()
            optimiser.step()


def embedded(texts: Iterable[str]) -> np.ndarray:
    """Unit vectors by the letters of texts: alike for alike texts."""
    table = np.asarray([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts], np.float32)
    return table / np.linalg.norm(table, axis=1, keepdims=True)
