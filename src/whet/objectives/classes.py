"""Cross-entropy over classes of which some are rare and some rows easy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Weighing:
    """How much rows count. C classes.

    - ``classes``: (C,) weight of each class; None: 1 for all. Where rows may carry several labels, what a label
      that is there counts beside one that is not.
    - ``focal``: gamma of (1 - p)^gamma, the factor of a row whose true class has the probability p
      (arXiv 1708.02002).
    """

    classes: tuple[float, ...] | None = None
    focal: float = 0.0

    def __bool__(self) -> bool:
        return self.classes is not None or self.focal > 0

    def single(self, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """(B,) nats of rows with one class each; logits (B, C), targets (B,) int64."""
        nats = F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
        if self.focal:
            true = logits.log_softmax(1).gather(1, targets[:, None])[:, 0]
            nats = nats * _hard(true, self.focal)
        return nats * self.counts(targets)

    def several(self, logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
        """(B,) nats of rows with any number of labels, summed over labels; logits (B, C), targets (B, C) of 0 and 1."""
        soft = targets * (1 - smoothing) + smoothing / 2
        weight = None if self.classes is None else logits.new_tensor(self.classes)
        nats = F.binary_cross_entropy_with_logits(logits, soft, reduction="none", pos_weight=weight)
        if self.focal:
            true = torch.where(targets > 0.5, F.logsigmoid(logits), F.logsigmoid(-logits))
            nats = nats * _hard(true, self.focal)
        return nats.sum(1)

    def counts(self, targets: Tensor) -> Tensor:
        """(B,) how much each row counts, of targets (B,) with one class each; what the sum of nats is divided by."""
        if self.classes is None:
            return torch.ones_like(targets, dtype=torch.float32)
        return torch.tensor(self.classes, dtype=torch.float32, device=targets.device)[targets]


EVEN = Weighing()
"""All rows count alike."""


def _hard(log_true: Tensor, gamma: float) -> Tensor:
    """(1 - p)^gamma of log p; 1 - p kept off zero, where the slope of a root would be without bound."""
    return (-torch.expm1(log_true)).clamp(min=1e-8).pow(gamma)


def weights_of(wanted: str | Mapping[str, float], names: Sequence[str], counts: Sequence[int]) -> tuple[float, ...]:
    """(C,) weights of classes called ``names``.

    :param wanted: 'balanced' for n / (C' n_c), with C' the classes that occur, so that each of them weighs the same
        in all; or a weight by name, 1 for those that are not named.
    :param counts: (C,) training rows of each class.
    """
    if not isinstance(wanted, str):
        return tuple(float(wanted.get(name, 1.0)) for name in names)
    occur = sum(one > 0 for one in counts) or 1
    return tuple(sum(counts) / (occur * one) if one else 1.0 for one in counts)


def positive_weights(wanted: str | Mapping[str, float], names: Sequence[str], gold: NDArray[Any]) -> tuple[float, ...]:
    """(C,) of labels that rows may carry several of; 'balanced': rows without the label for each with it.

    :param gold: (n, C) bool.
    """
    if not isinstance(wanted, str):
        return weights_of(wanted, names, ())
    having = gold.sum(0)
    return tuple(float((len(gold) - one) / one) if one else 1.0 for one in having)


def sampling_shares(gold: NDArray[Any], kind: str) -> NDArray[np.float64]:
    """(n,) how often each row is to be seen beside the others.

    A class of m rows has the share m ** 0 ('balanced') or m ** 0.5 ('root') of an epoch, which its rows divide
    evenly. A row of several labels has the share of its rarest one; those of none are a class of their own.

    :param gold: (n,) int64 or (n, C) bool.
    """
    power = {"balanced": 0.0, "root": 0.5}[kind]
    if gold.ndim == 1:
        sizes = np.bincount(gold).astype(np.float64)
        return np.asarray(sizes[gold] ** (power - 1.0))
    bare = np.logical_not(gold.any(axis=1, keepdims=True))
    table = np.concatenate([gold, bare], 1)
    sizes = np.where(table, table.sum(0).astype(np.float64), np.inf)
    return np.asarray(sizes.min(1) ** (power - 1.0))
