"""Losses that bring vectors of texts of one class together and those of different classes apart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.engine.devices import beside
from whet.engine.protocols import StepLoss


@dataclass(frozen=True, slots=True)
class ClassContrast:
    """All pairs of a batch's texts, by their vectors alone; the head has no part in it.

    - ``loss``: a key of :data:`LOSSES`. ``temperature``: cosines are divided by it where the loss has one.
    """

    loss: str
    temperature: float

    def __call__(self, model: Any, batch: FlatBatch) -> StepLoss:
        """Summed over the texts of ``batch``, in nats or squares of a cosine; no number decides what is computed."""
        targets = batch.targets
        assert targets is not None
        vectors = F.normalize(model.features(batch).float(), dim=-1)
        return StepLoss(LOSSES[self.loss](vectors, beside(targets, vectors), self.temperature), len(targets))


def cosine_pairs(vectors: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Squared error of the cosine of each pair: 1 for texts of one class, 0 for others (SetFit, arXiv 2209.11055).

    Pairs of both kinds count alike in all, as SetFit draws as many of each.

    :param vectors: (B, H) of length 1. :param classes: (B,) int64. :param temperature: has no part in it.
    :returns: B times the mean over both kinds of their mean over pairs.
    """
    same, other = _same(classes), classes[:, None] != classes[None, :]
    cosines = vectors @ vectors.T
    kinds = [
        ((cosines - goal).square() * where).sum() / where.sum().clamp(min=1) for goal, where in ((1, same), (0, other))
    ]
    number = same.any().to(cosines.dtype) + other.any()
    total: Tensor = len(vectors) * (kinds[0] + kinds[1]) / number.clamp(min=1)
    return total


def supervised(vectors: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """Each text is to tell those of its class from all others of the batch (arXiv 2004.11362, its outer form).

    :param vectors: (B, H) of length 1. :param classes: (B,) int64.
    :returns: B times the mean over texts that have another of their class in the batch, in nats.
    """
    itself = torch.eye(len(vectors), dtype=torch.bool, device=vectors.device)
    same = _same(classes)
    # the lowest finite number, not minus infinity: zero times it is zero
    logits = (vectors @ vectors.T / temperature).masked_fill(itself, torch.finfo(vectors.dtype).min)
    of_each = -logits.log_softmax(1).masked_fill(~same, 0.0).sum(1) / same.sum(1).clamp(min=1)
    total: Tensor = len(vectors) * of_each.sum() / same.any(1).sum().clamp(min=1)
    return total


def _same(classes: Tensor) -> Tensor:
    """(B, B) bool: two texts of one class."""
    itself = torch.eye(len(classes), dtype=torch.bool, device=classes.device)
    return (classes[:, None] == classes[None, :]) & ~itself


LOSSES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "cosine": cosine_pairs,
    "supervised": supervised,
}
"""By their names in the recipe."""
