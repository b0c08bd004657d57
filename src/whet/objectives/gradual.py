"""Layers set free one after the other, from the top (gradual unfreezing, arXiv 1801.06146)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from whet.engine.precision import Weights


@dataclass(frozen=True, slots=True)
class Gradual:
    """Which weights move at a step; what is not free yet needs no gradient, and costs none.

    - ``depths``: of every weight that is to move; 0 moves from the beginning, as the layer at depth 1 does.
    - ``number``: the largest depth; ``steps``: after so many steps all are free.
    """

    depths: Mapping[str, int]
    number: int
    steps: int

    def free(self, step: int) -> int:
        """The depth down to which weights move at ``step``: 1 at first, ``number`` from ``steps`` on or before."""
        return min(self.number, 1 + step * self.number // max(1, self.steps))

    def begins(self) -> list[int]:
        """The first step of each depth from 1 on."""
        return [-(-depth * self.steps // self.number) for depth in range(self.number)]

    @contextmanager
    def during(self, weights: Weights, step: int) -> Iterator[None]:
        """Only what is free asks for gradients."""
        free = self.free(step)
        for name, weight in weights.trained.items():
            weight.requires_grad_(self.depths[name] <= free)
        yield

    def bend(self, weights: Weights, step: int) -> None:
        """Nothing: what is not free has no gradient."""
