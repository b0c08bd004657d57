"""How much two distributions over a vocabulary differ, without ever holding two tables of logits.

As :mod:`whet.kernels.token_loss`: logits are made for some hundred tokens at a time. Here they are made anew for
the backward pass, which torch's checkpointing does.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from whet.kernels.token_loss import all_logits

CELLS_AT_ONCE = 1 << 22
"""Logits of each side that are there at one time; some tables of this size stand beside them."""


def token_divergence(
    one: Tensor,
    other: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    counts: Tensor,
    cap: float | None = None,
) -> Tensor:
    """The summed (KL(p, q) + KL(q, p)) / 2 of k pairs of distributions over V words, in nats; scalar float32.

    :param one: (k, H) what the last layer sees in one pass, :param other: in another; :param weight: (V, H).
    :param bias: (V,) or None; :param counts: (k,) float32, how much each pair counts.
    :param cap: logits x become cap * tanh(x / cap), as in Gemma 2.
    """
    rows = max(1, CELLS_AT_ONCE // weight.shape[0])
    counts = counts.to(weight.device)
    total = torch.zeros((), dtype=torch.float32, device=weight.device)
    for start in range(0, len(one), rows):
        some = slice(start, start + rows)
        inputs = (one[some], other[some], weight, bias, counts[some], cap)
        total = total + checkpoint(_summed, *inputs, use_reentrant=False, preserve_rng_state=False)
    return total


def _summed(
    one: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, counts: Tensor, cap: float | None
) -> Tensor:
    p, q = (all_logits(features, weight, bias, cap).log_softmax(1) for features in (one, other))
    found: Tensor = (((p.exp() - q.exp()) * (p - q)).sum(1) * counts).sum() / 2
    return found
