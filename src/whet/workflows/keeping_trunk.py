"""Vectors of frozen layers, kept while a model trains: see :mod:`whet.models.kept_trunk`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from whet.batches.encoding import Encoded
from whet.engine.loop import Plan
from whet.models.kept_trunk import KeptTrunk, frozen_layers
from whet.models.task_model import TaskModel
from whet.tasks.task import BATCH_TOKENS
from whet.workflows import distilling
from whet.workflows.running import Running

MOST_BYTES = 8 << 30
"""Of a file of vectors; larger ones cost more in reading than they save."""
FOLDER = "trunk"


@contextmanager
def kept(run: Running, name: str, model: TaskModel, plan: Plan, folder: Path, looked: Encoded | None) -> Iterator[str]:
    """What frozen layers give of training and validation rows is worked out once; words on it, "" where nothing is.

    :param looked: training rows that every look reads, if any.
    """
    layers = frozen_layers(model) if _pays(run, name, model, plan) else []
    size = _size(run, model)
    if not layers or size > MOST_BYTES:
        yield ""
        return
    trunk = KeptTrunk(model, layers)
    try:
        for split, encoded in (("train", run.encoded["train"]), ("validation", run.encoded["validation"])):
            tell = run.telling(f"frozen layers on {split}", len(encoded))
            trunk.keep(model, encoded, folder / FOLDER / split, BATCH_TOKENS, tell)
        if looked is not None:
            trunk.keep(model, looked, folder / FOLDER / "looked", BATCH_TOKENS, None)
        yield f"the lowest {len(layers)} layers stand still: what they give is worked out once ({size / 2**20:.0f} MiB)"
    finally:
        trunk.let_go(model)


def _pays(run: Running, name: str, model: TaskModel, plan: Plan) -> bool:
    """Whether rows are read several times, flat, and as they are."""
    wanted = run.recipe.regularisation
    noisy = wanted.token_deletion or wanted.token_swap or model.guesses in ("masked", "permuted")
    several = plan.num_steps * run.value("training.batch_tokens") > 1.5 * run.encoded["train"].num_tokens
    return model.flat and several and not noisy and not distilling.wanted(run, name)


def _size(run: Running, model: TaskModel) -> int:
    """Bytes of all vectors."""
    tokens = sum(run.encoded[split].num_tokens for split in ("train", "validation"))
    return tokens * int(model.network.config.hidden_size) * torch.empty(0, dtype=run.dtype).element_size()
