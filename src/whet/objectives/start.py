"""A pull of the weights towards where they began (L2-SP, arXiv 1802.01483)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from whet.engine.precision import Weights


class TowardsStart:
    """Adds ``strength / 2`` times the squared distance to the start to the mean loss, by its gradient alone.

    :param names: the weights that are pulled; where they begin is kept, in fp32.
    """

    def __init__(self, weights: Weights, names: Sequence[str], strength: float) -> None:
        self.strength = strength
        self.start = {name: weights.masters[name].detach().clone() for name in names}

    def during(self, weights: Weights, step: int) -> AbstractContextManager[None]:
        """The loss of the batch is the task's own."""
        return nullcontext()

    @torch.no_grad()
    def bend(self, weights: Weights, step: int) -> None:
        """Add ``strength * (weight - start)`` to the gradient of every weight that has one."""
        moving = {n: gradient for n in self.start if (gradient := weights.masters[n].grad) is not None}
        if moving:
            away = torch._foreach_sub([weights.masters[n].detach() for n in moving], [self.start[n] for n in moving])
            torch._foreach_add_(list(moving.values()), away, alpha=self.strength)
