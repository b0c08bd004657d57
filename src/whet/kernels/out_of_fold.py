"""What a linear classifier says of each row when it was fitted on other rows alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from whet.kernels import logistic


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """``logits`` (n, C) of each row by the classifier of the other folds; ``strength``: that of all of them."""

    logits: Tensor
    strength: float


def out_of_fold(
    features: Tensor,
    targets: Tensor,
    num_labels: int,
    folds: Tensor,
    strengths: Sequence[float],
    intercept: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> OutOfFold:
    """Fit once for every fold on the rows of the others (see :func:`whet.kernels.logistic.path`).

    The strength is the one with the lowest loss on the first fold's rows.

    :param features: (n, F) float32.
    :param targets: (n,) int64, or (n, C) float32 with several labels a row.
    :param folds: (n,) int64, from 0.
    """
    number = int(folds.max()) + 1
    found = torch.empty(len(features), num_labels)
    strength = 0.0
    for fold in range(number):
        others, own = folds != fold, folds == fold
        tried = strengths if fold == 0 else (strength,)
        lowest = float("inf")
        for fit in logistic.path(features[others], targets[others], num_labels, tried, intercept):
            logits = fit.logits(features[own])
            value = _loss(logits, targets[own])
            if value < lowest:
                lowest, strength = value, fit.strength
                found[own] = logits
        if progress is not None:
            progress(fold + 1, number)
    return OutOfFold(found, strength)


def _loss(logits: Tensor, targets: Tensor) -> float:
    if targets.ndim == 1:
        return float(F.cross_entropy(logits, targets))
    return float(F.binary_cross_entropy_with_logits(logits, targets))
