"""The frame of losses that compare what a model says of a batch, its logits, with the targets of that batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.engine import devices
from whet.engine.protocols import StepLoss
from whet.objectives.classes import EVEN, Weighing


@dataclass(frozen=True, slots=True)
class LogitLoss(ABC):
    """One pass and its loss; with a ``divergence`` it is a :class:`whet.objectives.two_passes.Distributed`.

    - ``label_smoothing``: share of the target that is spread evenly. ``weighing``: how much each class counts.
    """

    label_smoothing: float = 0.0
    weighing: Weighing = EVEN

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """Summed over what counts in ``batch``, in nats."""
        known = self.known(model, batch)
        return self.loss(model, known, self.said(model, known))

    def known(self, model: nn.Module, batch: FlatBatch) -> tuple[FlatBatch, Tensor]:
        """The batch, and its targets."""
        targets = batch.targets
        assert targets is not None
        return batch, targets.to(devices.of(model))

    def said(self, model: nn.Module, known: tuple[FlatBatch, Tensor]) -> Tensor:
        """(B or T, C) logits."""
        found: Tensor = model(known[0])
        return found

    @abstractmethod
    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Of the logits, against the targets."""
