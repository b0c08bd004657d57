"""The distance to a distribution over a vocabulary of which the likeliest words and the mass of the rest are known.

As :mod:`whet.kernels.token_loss`: logits are made for some hundred tokens at a time, and made anew for the backward
pass. What is not among the k likeliest counts as one word.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from whet.kernels.token_loss import all_logits

CELLS_AT_ONCE = 1 << 22
LEAST = 1e-7
"""Mass that the rest has at least, so that its logarithm is finite."""


@torch.no_grad()
def likeliest(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    cap: float | None,
    k: int,
    temperature: float,
    size: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(n, k) int64 the likeliest words of n tokens, and (n, k) float32 the logarithms of their probabilities.

    :param features: (n, H) what the last layer sees; :param weight: (V, H); :param bias: (V,) or None.
    :param cap: logits x become cap * tanh(x / cap); :param temperature: what they are divided by then.
    :param size: words that there are; rows of the table beyond them pad it, and nothing is said by them. None: all.
    """
    weight, bias = weight[:size], None if bias is None else bias[:size]
    words, logs = [], []
    rows = max(1, CELLS_AT_ONCE // weight.shape[0])
    for start in range(0, len(features), rows):
        known = _log_probabilities(features[start : start + rows], weight, bias, cap, temperature)
        best = known.topk(min(k, known.shape[1]), dim=1)
        words.append(best.indices)
        logs.append(best.values)
    return torch.cat(words), torch.cat(logs)


def apart(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    words: Tensor,
    logs: Tensor,
    cap: float | None,
    temperature: float,
) -> Tensor:
    """(n,) t^2 KL(teacher, student) in nats, over k words and the rest; ``words``, ``logs``: of :func:`likeliest`."""
    rows = max(1, CELLS_AT_ONCE // weight.shape[0])
    words, logs = words.to(weight.device), logs.to(weight.device)
    found = []
    for start in range(0, len(features), rows):
        some = slice(start, start + rows)
        inputs = (features[some], weight, bias, words[some], logs[some], cap, temperature)
        found.append(checkpoint(_each, *inputs, use_reentrant=False, preserve_rng_state=False))
    return torch.cat(found) if found else features.new_zeros(0)


def _each(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    words: Tensor,
    logs: Tensor,
    cap: float | None,
    temperature: float,
) -> Tensor:
    said = _log_probabilities(features, weight, bias, cap, temperature).gather(1, words)
    true, other = logs.exp(), said.exp()
    rest, left = (1 - true.sum(1)).clamp_min(LEAST), (1 - other.sum(1)).clamp_min(LEAST)
    found: Tensor = (true * (logs - said)).sum(1)
    if words.shape[1] < weight.shape[0]:
        found = found + rest * (rest.log() - left.log())
    return temperature**2 * found


def _log_probabilities(
    features: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None, temperature: float
) -> Tensor:
    """(n, V) float32."""
    return (all_logits(features, weight, bias, cap) / temperature).log_softmax(1)
