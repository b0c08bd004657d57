"""R-Drop (arXiv 2106.14448): a row is read twice under dropout, and both answers shall be alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from whet.engine.protocols import StepLoss

K = TypeVar("K")
S = TypeVar("S")


class Distributed(Protocol[K, S]):
    """An objective whose answers are distributions, taken apart so that a batch can be answered twice."""

    def known(self, model: Any, batch: Any) -> K:
        """What all passes over ``batch`` share: its truth, which of its tokens are hidden."""
        ...

    def said(self, model: Any, known: K) -> S:
        """One pass; draws dropout anew."""
        ...

    def loss(self, model: Any, known: K, said: S) -> StepLoss:
        """The loss of a pass."""
        ...

    def divergence(self, model: Any, known: K, one: S, other: S) -> Tensor:
        """How much two passes differ: (KL(p, q) + KL(q, p)) / 2 in nats, summed as the loss is."""
        ...


@dataclass(frozen=True, slots=True)
class TwoPasses:
    """The mean loss of two passes, and ``weight`` times how much they differ."""

    objective: Distributed[Any, Any]
    weight: float

    def __call__(self, model: nn.Module, batch: Any) -> StepLoss:
        """As the objective counts."""
        inner = self.objective
        known = inner.known(model, batch)
        one, other = inner.said(model, known), inner.said(model, known)
        first, second = inner.loss(model, known, one), inner.loss(model, known, other)
        apart = inner.divergence(model, known, one, other)
        total = (first.total + second.total) / 2 + self.weight * apart
        return StepLoss(total, first.num_counted)


def class_divergence(one: Tensor, other: Tensor) -> Tensor:
    """(B,) (KL(p, q) + KL(q, p)) / 2 of logits (B, C) of one class a row, in nats."""
    p, q = one.log_softmax(1), other.log_softmax(1)
    return ((p.exp() - q.exp()) * (p - q)).sum(1) / 2


def label_divergence(one: Tensor, other: Tensor) -> Tensor:
    """(B,) the same of logits (B, C) of labels that are there or not, each by itself, summed over labels."""
    # of two chances p and q: (p - q) times the difference of their logits, halved
    return (torch.sigmoid(one) - torch.sigmoid(other)).mul(one - other).sum(1) / 2
