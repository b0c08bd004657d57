"""Cross-entropy against probabilities of classes, as somebody else gave them."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.engine.protocols import StepLoss
from whet.objectives.logit_loss import LogitLoss
from whet.objectives.two_passes import class_divergence


@dataclass(frozen=True, slots=True)
class SoftLabelLoss(LogitLoss):
    """Rows whose truth is (B, C) probabilities; a row with a label has all of it there."""

    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Summed over the rows, in nats."""
        targets = known[1]
        nats = F.cross_entropy(said, targets, reduction="sum", label_smoothing=self.label_smoothing)
        return StepLoss(nats, len(targets))

    def divergence(self, model: nn.Module, known: tuple[FlatBatch, Tensor], one: Tensor, other: Tensor) -> Tensor:
        """Of two answers, summed over rows."""
        return class_divergence(one, other).sum()
