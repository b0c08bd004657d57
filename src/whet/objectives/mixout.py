"""Mixout (arXiv 1909.11299): in every step some weights are those that training began with.

A weight w that began as w0 is computed with as w0 + k (w - w0), where k is 0 with the chance p and 1 / (1 - p)
otherwise, so that it is w on average. The gradient of w is therefore k times that of what was computed with: no
graph is needed. Draws are a stream of the step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from whet import seeds
from whet.engine.precision import Weights
from whet.kernels.dropout import ByteStream, keep_scale


class Mixout:
    """Mixes the matrices ``names`` with their start; ``chance`` in 256ths, as of dropout."""

    def __init__(self, weights: Weights, names: Sequence[str], chance: float, seed: int) -> None:
        self.chance, self.seed = chance, seed
        self.start = {name: weights.masters[name].detach().clone() for name in names}
        self._kept: dict[str, Tensor] = {}

    @contextmanager
    def during(self, weights: Weights, step: int) -> Iterator[None]:
        """The batch is computed with mixed weights; the same for all micro-batches of the step."""
        stream = ByteStream(seeds.derive(self.seed, "mixout", step))
        moving = [name for name in self.start if weights.trained[name].requires_grad]
        self._kept = {name: keep_scale(self.start[name], self.chance, stream) for name in moving}
        with torch.no_grad():
            mixed = {
                name: torch.addcmul(self.start[name], kept, weights.masters[name].detach() - self.start[name])
                for name, kept in self._kept.items()
            }
        with weights.lent(mixed):
            del mixed
            yield

    @torch.no_grad()
    def bend(self, weights: Weights, step: int) -> None:
        """Only what was mixed in moves, by as much as it counted."""
        for name, kept in self._kept.items():
            gradient = weights.masters[name].grad
            if gradient is not None:
                gradient.mul_(kept)
        self._kept = {}
