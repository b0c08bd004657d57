"""Weights averaged over training: what is evaluated and kept in the place of the last ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Average = Literal["none", "ema", "checkpoints"]
PREFIX = "average/"
"""Of their names in a checkpoint."""


class Averages:
    """The average of a training's weights, in fp32.

    - *ema*: after every step ``average += (1 - d) (weights - average)``, where d is the smaller of ``decay`` and
      (1 + t) / (10 + t) after t steps, so that the first weights are forgotten soon.
    - *checkpoints*: the mean of the weights at every look after the first (arXiv 1803.05407 with looks for epochs).

    :param weights: by name, as training begins.
    """

    def __init__(self, kind: Average, decay: float, weights: Mapping[str, Tensor]) -> None:
        self.kind, self.decay = kind, decay
        self.values = {} if kind == "none" else {name: value.detach().clone() for name, value in weights.items()}

    def stepped(self, weights: Mapping[str, Tensor], number: int) -> int:
        """After the ``number``-th step that moved weights, from 0; how many states are averaged then."""
        if self.kind != "ema":
            return number
        self._towards(weights, 1.0 - min(self.decay, (1.0 + number) / (10.0 + number)))
        return number + 1

    def looked(self, weights: Mapping[str, Tensor], number: int) -> int:
        """At a look that follows ``number`` others; how many states are averaged then."""
        if self.kind != "checkpoints":
            return number
        self._towards(weights, 1.0 / (number + 1))
        return number + 1

    @torch.no_grad()
    def _towards(self, weights: Mapping[str, Tensor], share: float) -> None:
        names = list(self.values)
        torch._foreach_lerp_([self.values[n] for n in names], [weights[n].detach() for n in names], share)

    def state(self) -> dict[str, Tensor]:
        """As it lies in a checkpoint."""
        return {PREFIX + name: value for name, value in self.values.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor], prefix: str = PREFIX) -> None:
        """Take back what :meth:`state` gave, or with another ``prefix`` the weights of any state."""
        for name, value in self.values.items():
            value.copy_(state[prefix + name])
