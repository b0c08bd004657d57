"""Every kind of head over eight texts: what is to be learned, and how far a model is from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.models.families import FAMILIES
from whet.models.heads import Head
from whet.models.loading import choose_pooling, load_model, load_tokenizer
from whet.models.places import find
from whet.models.task_model import TaskModel

from .ready import Ready

KINDS = ("classes", "value", "tokens", "span", "vectors")
EIGHT = (
    "where is my card",
    "i want a refund for this item it was broken when it came",
    "help me",
    "no one answers the phone and why was i charged",
    "how do i change my password",
    "thank you please cancel my order",
    "the account was charged twice",
    "cancel this item",
)
CLASSES = ("refund", "card", "other")
TAGS = ("O", "B-x", "I-x")


def head_of(kind: Any, folder: Path) -> Head:
    """The head of ``kind`` as ``auto`` chooses its pooling for the base in ``folder``."""
    pooling, _ = choose_pooling(find(str(folder)), "auto", kind)
    labels = {"classes": CLASSES, "tokens": TAGS}.get(kind, ())
    return Head(kind, labels, pooling=pooling)


def ready_kind(folder: Path, kind: str, **changes: Any) -> Ready:
    """A model with a fresh head of ``kind`` on the base in ``folder``."""
    place = find(str(folder))
    tokenizer = load_tokenizer(place)
    head = Head(**{**_parts(head_of(kind, folder)), **changes})
    model = load_model(place, head, tokenizer, seed=5).eval()
    return Ready(model, tokenizer, place)


def _parts(head: Head) -> dict[str, Any]:
    return {name: getattr(head, name) for name in ("kind", "labels", "multi_label", "pooling", "normalise")}


def listed(family: str) -> bool:
    return family in FAMILIES


def loss(model: TaskModel, batch: FlatBatch) -> Tensor:
    """How far ``model`` is from what the eight texts are to give."""
    said = model(batch)
    numbers = torch.arange(len(EIGHT))
    match model.kind.kind:
        case "classes":
            return F.cross_entropy(said, numbers % len(CLASSES))
        case "value":
            return F.mse_loss(said[:, 0], numbers / 4 - 1)
        case "tokens":
            return F.cross_entropy(said, batch.input_ids[0] % len(TAGS))
        case "span":
            lengths = batch.where.lengths.tolist()
            rows = said.split(lengths)
            starts = torch.stack([F.cross_entropy(r[:, 0], torch.tensor(i % 2)) for i, r in enumerate(rows)])
            ends = torch.stack([F.cross_entropy(r[:, 1], torch.tensor(len(r) - 1)) for r in rows])
            return starts.mean() + ends.mean()
        case _:  # each of the first four belongs to one of the last four
            return F.cross_entropy(10 * said[:4] @ said[4:].T, torch.arange(4))


GOOD = {"classes": 0.1, "value": 0.02, "tokens": 0.1, "span": 0.2, "vectors": 0.1}
"""A loss that no model has that has not learned these rows."""


def overfit(model: TaskModel, batch: FlatBatch, most_steps: int = 80) -> float:
    """Plain AdamW on one batch; ends once the loss is good."""
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3, weight_decay=0.0)
    model.eval()  # without dropout: what is tested is whether gradients reach everything
    value = float("inf")
    for _ in range(most_steps):
        found = loss(model, batch)
        value = float(found.detach())
        if value < GOOD[model.kind.kind] / 2:
            break
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    return value
