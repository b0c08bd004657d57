"""A tiny classifier with a head that tells texts apart, and rows of unequal lengths for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.batches import flat
from whet.batches.encoding import encode
from whet.batches.flat import FlatBatch
from whet.models import saving
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import Place, find
from whet.models.pooling import FIRST_SHARE
from whet.models.saving import About
from whet.models.task_model import TaskModel

LABELS = ("refund", "card", "other")
TEXTS = (
    "where is my card",
    "i want a refund for this item it was broken when it came",
    "help",
    "no one answers the phone and why was i charged twice please help me cancel this order",
    "how do i change my password",
)
SECONDS = ("thank you", "why", "the order has not arrived yet", "where", "cancel my account please")
LIMIT = 30


@dataclass(frozen=True)
class Ready:
    """A model with what it needs to be fed."""

    model: TaskModel
    tokenizer: Any
    place: Place

    def batch(self, texts: tuple[str, ...] = TEXTS, pairs: tuple[str, ...] | None = None) -> FlatBatch:
        encoded = encode(self.tokenizer, [(texts, pairs)], LIMIT, into=None)
        return flat.make(encoded, np.arange(len(texts)), None)

    def logits(self, batch: FlatBatch | None = None) -> Tensor:
        with torch.inference_mode():
            return self.model(self.batch() if batch is None else batch).clone()

    def about(self, adapter: bool = False, **changes: Any) -> About:
        pooling = self.model.pooling
        known: dict[str, Any] = {
            "kind": saving.kind_of(self.model, adapter),
            "task": "text-classification",
            "labels": list(self.model.kind.labels),
            "multi_label": self.model.kind.multi_label,
            "thresholds": None,
            "temperature": 1.0,
            "pooling": pooling,
            "max_length": LIMIT,
            "base": str(self.place.folder),
            "base_sha256": saving.weights_sha256(self.place),
            "first_share": FIRST_SHARE if self.model.adds_first else 0.0,
            "head_kind": self.model.kind.kind,
            "normalise": self.model.kind.normalise,
        }
        return About(**known | changes)


def ready(folder: Path, pooling: Any, labels: tuple[str, ...] = LABELS) -> Ready:
    place = find(str(folder))
    tokenizer = load_tokenizer(place)
    model = load_model(place, Head("classes", labels, pooling=pooling), tokenizer, seed=5)
    stir(model.head)
    model.eval()
    return Ready(model, tokenizer, place)


@torch.no_grad()
def stir(*modules: torch.nn.Module) -> None:
    """Draw the weights of ``modules`` anew, as training would move them."""
    random = torch.Generator().manual_seed(11)
    for module in modules:
        for parameter in module.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))


def apart(logits: Tensor) -> bool:
    """Whether the rows differ visibly, so that an equality between models says something."""
    return float(logits.std(0).min()) > 0.02
