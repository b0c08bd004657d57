"""Linear classifiers on fixed features, by L-BFGS on tensors.

The same optimum as scikit-learn's ``LogisticRegression`` on standardised features, several times
sooner: products run in the matrix library on all cores, and a path of strengths starts each fit
from the one before. (For two classes it is the optimum at twice the C: a softmax has two vectors
where a sigmoid has one.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-4
"""Largest component of the gradient at which a fit ends, as in scikit-learn."""
MAX_ITERATIONS = 300


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer over raw features: ``features @ weight.T + bias``.

    ``weight`` (C, F) and ``bias`` (C,) float32; ``strength`` is the C of scikit-learn it was fitted with.
    """

    weight: Tensor
    bias: Tensor
    strength: float
    iterations: int

    def logits(self, features: Tensor) -> Tensor:
        """(n, F) to (n, C)."""
        return features @ self.weight.T + self.bias


def path(
    features: Tensor, targets: Tensor, num_labels: int, strengths: Sequence[float], intercept: bool = True
) -> Iterator[Linear]:
    """Fit once for every strength (the C of scikit-learn), each starting from the one before.

    :param features: (n, F) float32; standardised inside, the result speaks of raw features again.
    :param targets: (n,) int64 for one label per row (softmax), (n, C) float32 for several (one
        sigmoid per label).
    :param intercept: False for layers without a bias; features are then scaled but not centred.
    """
    mean = features.mean(0) if intercept else torch.zeros(features.shape[1])
    scale = (
        features.std(0, unbiased=False).clamp(min=1e-6) if intercept else features.pow(2).mean(0).sqrt().clamp(min=1e-6)
    )
    standard = (features - mean) / scale
    width = features.shape[1]
    start = np.zeros(num_labels * (width + 1))
    for strength in strengths:
        start, iterations = _minimise(standard, targets, num_labels, strength, start, intercept)
        table = torch.from_numpy(start.astype(np.float32)).view(num_labels, width + 1)
        weight = table[:, :width] / scale
        bias = table[:, width] - weight @ mean if intercept else torch.zeros(num_labels)
        yield Linear(weight, bias, strength, iterations)


def _minimise(
    features: Tensor, targets: Tensor, num_labels: int, strength: float, start: np.ndarray, intercept: bool
) -> tuple[np.ndarray, int]:
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    num_rows, width = features.shape
    penalty = 1.0 / (strength * num_rows)

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = torch.from_numpy(flat.astype(np.float32)).view(num_labels, width + 1)
        weight, bias = table[:, :width], table[:, width]
        logits = torch.addmm(bias, features, weight.T)
        loss, residual = _loss(logits, targets)
        gradient = torch.empty_like(table)
        gradient[:, :width] = (residual.T @ features).div_(num_rows).add_(weight, alpha=penalty)
        gradient[:, width] = residual.sum(0) / num_rows if intercept else 0.0
        value = float(loss) / num_rows + 0.5 * penalty * float(weight.double().pow(2).sum())
        return value, gradient.view(-1).numpy().astype(np.float64)

    options = {"maxiter": MAX_ITERATIONS, "gtol": TOLERANCE, "ftol": 64 * np.finfo(np.float32).eps, "maxcor": 10}
    # scipy's own sums are short, but threads of its BLAS spin on after each, where those of torch want the core: a fit
    # took three times as long (docs/log.md)
    with threadpool_limits(1, user_api="blas"):
        found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return found.x, int(found.nit)


def _loss(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Summed loss, and its derivative by the logits (n, C)."""
    if targets.ndim == 1:
        logs = logits.log_softmax(1)
        loss = F.nll_loss(logs, targets, reduction="sum")
        residual = logs.exp_()
        residual[torch.arange(len(targets)), targets] -= 1.0
        return loss, residual
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return loss, logits.sigmoid() - targets
