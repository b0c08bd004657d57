"""Mixout (arXiv 1909.11299): in every step some weights are those that training began with.

A weight w that began as w0 is computed with as w0 + k (w - w0), where k is 0 with the chance p and 1 / (1 - p)
otherwise, so that it is w on average. The gradient of w is therefore k times that of what was computed with: no
graph is needed. Draws are a stream of the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet import seeds
from whet.engine.precision import Weights
from whet.kernels.dropout import ByteStream

PARTS = 1 << 16
"""A weight is drawn with two bytes."""


class Mixout:
    """Mixes the matrices ``names`` with their start; ``chance`` in parts of :data:`PARTS`, never none or all."""

    def __init__(self, weights: Weights, names: Sequence[str], chance: float, seed: int) -> None:
        self.cut, self.seed = min(PARTS - 1, max(1, round(chance * PARTS))), seed
        self.start = {name: weights.masters[name].detach().clone() for name in names}
        self._kept: dict[str, NDArray[np.bool_]] = {}

    @contextmanager
    def during(self, weights: Weights, step: int) -> Iterator[None]:
        """The batch is computed with mixed weights; the same for all micro-batches of the step."""
        stream = ByteStream(seeds.derive(self.seed, "mixout", step))
        moving = [name for name in self.start if weights.trained[name].requires_grad]
        self._kept = {name: self._drawn(self.start[name].numel(), stream) for name in moving}
        with torch.no_grad():
            mixed = {
                name: torch.addcmul(self.start[name], self._factors(name), weights.masters[name] - self.start[name])
                for name in moving
            }
        with weights.lent(mixed):
            del mixed
            yield

    @torch.no_grad()
    def bend(self, weights: Weights, step: int) -> None:
        """Only what was mixed in moves, by as much as it counted."""
        for name in self._kept:
            gradient = weights.masters[name].grad
            if gradient is not None:
                gradient.mul_(self._factors(name))
        self._kept = {}

    def _drawn(self, number: int, stream: ByteStream) -> NDArray[np.bool_]:
        """(number,) which weights are kept as they are; a byte each, for as long as the step takes."""
        found: NDArray[np.bool_] = stream.take(2 * number).numpy().view(np.uint16) >= self.cut
        return found

    def _factors(self, name: str) -> Tensor:
        """k of every weight: 0, or 1 / (1 - p)."""
        scale = np.float32(PARTS / (PARTS - self.cut))
        found = np.multiply(self._kept[name].view(np.uint8), scale, dtype=np.float32)  # torch converts one by one
        return torch.from_numpy(found).view(self.start[name].shape).to(self.start[name].device)
