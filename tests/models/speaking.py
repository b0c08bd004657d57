"""Language models over eight texts: which token is to be said where, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.models.changes import Changes
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import find
from whet.models.task_model import TaskModel

from .kinds import EIGHT
from .ready import Ready

HIDDEN = 4
"""A token that stands for those that a masked model is to say: a word of the made vocabulary, used for nothing else."""


def speaker(folder: Path, **changes: Any) -> Ready:
    """A model with a language head on the base in ``folder``, in evaluation mode."""
    place = find(str(folder))
    tokenizer = load_tokenizer(place)
    model = load_model(place, Head("language"), tokenizer, seed=5, changes=Changes(**changes)).eval()
    return Ready(model, tokenizer, place)


def task_of(ready: Ready, texts: tuple[str, ...] = EIGHT) -> tuple[FlatBatch, NDArray[np.int64]]:
    """A batch of ``texts``, and for each of its tokens the one to be said there; below zero for none.

    A decoder says the next token of its sequence, a masked model every third token, which is hidden from it.
    """
    batch = ready.batch(texts)
    ids = batch.input_ids[0]
    targets = torch.full_like(ids, -1)
    if ready.model.guesses == "next":
        targets[:-1] = ids[1:]
        targets[batch.where.starts + batch.where.lengths - 1] = -1
        return batch, targets.numpy()
    places = torch.arange(len(ids)) % 3 == 1
    targets[places] = ids[places]
    changed = torch.where(places, torch.full_like(ids, HIDDEN), ids)
    encoded = replace(batch.encoded, ids=changed.numpy().astype(batch.encoded.ids.dtype))
    return replace(batch, encoded=encoded, input_ids=changed[None]), targets.numpy()


def cost(model: TaskModel, batch: FlatBatch, targets: NDArray[np.int64]) -> Tensor:
    """Mean nats of the tokens to be said; rows are chosen before they go through the last layer."""
    wanted = torch.from_numpy(targets)
    some = wanted >= 0
    return F.cross_entropy(model.logits(model.features(batch)[some]), wanted[some])


def nats_by_row(model: TaskModel, batch: FlatBatch, targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(S,) by the whole table of logits."""
    with torch.inference_mode():
        said = model(batch).double().log_softmax(-1)
    wanted = torch.from_numpy(targets)
    rows = torch.repeat_interleave(torch.arange(batch.where.num_sequences), batch.where.lengths)
    some = wanted >= 0
    each = -said[some].gather(1, wanted[some, None])[:, 0]
    return torch.zeros(batch.where.num_sequences, dtype=torch.float64).index_add(0, rows[some], each).numpy()


def overfit_words(model: TaskModel, batch: FlatBatch, targets: NDArray[np.int64], good: float) -> float:
    """Plain AdamW on one batch; ends once the cost is below ``good``."""
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=4e-3, weight_decay=0.0)
    value = float("inf")
    for _ in range(150):
        found = cost(model, batch, targets)
        value = float(found.detach())
        if value < good:
            break
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    return value
