"""Cross-entropy over a vocabulary without ever holding its table of logits.

Logits of k tokens over V words are by far the largest tensor of a small language model (k = 4,096,
V = 50,000: 800 MB, twice that with its gradient). Here they are made for some hundred tokens at a time; the
gradient is worked out in the same memory while they are there, and the logits are gone. What is kept for the
backward pass is as large as the features and the weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CELLS_AT_ONCE = 1 << 23
"""Logits that are there at one time: 32 MB in fp32, near enough to the caches to be reread cheaply."""


class _TokenLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        counts: Tensor,
        cap: float | None,
        smoothing: float,
    ) -> Tensor:
        wants_features, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        grad_features = torch.empty_like(features) if wants_features else None
        grad_weight = torch.zeros_like(weight, dtype=torch.float32) if wants_weight else None
        grad_bias = torch.zeros_like(bias, dtype=torch.float32) if wants_bias and bias is not None else None
        total = torch.zeros((), dtype=torch.float64, device=features.device)
        rows = max(1, CELLS_AT_ONCE // weight.shape[0])
        for start in range(0, len(features), rows):
            some = slice(start, start + rows)
            logits = _logits(features[some], weight, bias, cap)
            bend = None if cap is None else 1 - (logits / cap).square()  # of the cap, at each logit
            true = logits.gather(1, targets[some, None])
            level = logits.logsumexp(1, keepdim=True)
            costs = (level - true)[:, 0].double()
            if smoothing:
                even = (level - logits.mean(1, keepdim=True))[:, 0].double()
                costs = (1 - smoothing) * costs + smoothing * even
            total += (costs * counts[some].double()).sum()
            if grad_features is None and grad_weight is None:
                continue
            # softmax less what each word should have, times how much the token counts
            slope = logits.sub_(level).exp_()
            if smoothing:
                slope.sub_(smoothing / logits.shape[1])
            slope.scatter_add_(1, targets[some, None], torch.full_like(true, smoothing - 1.0))
            slope.mul_(counts[some, None])
            if bend is not None:
                slope.mul_(bend)
            if grad_bias is not None:
                grad_bias += slope.sum(0)
            small = slope.to(weight.dtype)
            if grad_features is not None:
                grad_features[some] = small @ weight
            if grad_weight is not None:
                grad_weight += small.t() @ features[some]
        ctx.save_for_backward(
            grad_features,
            None if grad_weight is None else grad_weight.to(weight.dtype),
            None if grad_bias is None or bias is None else grad_bias.to(bias.dtype),
        )
        return total.to(torch.float32)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return (
            *(None if grad is None else grad * upstream.to(grad.dtype) for grad in ctx.saved_tensors),
            None,
            None,
            None,
            None,
        )


def token_loss(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    counts: Tensor,
    cap: float | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """The summed cross-entropy of k tokens, in nats; scalar float32.

    :param features: (k, H) what the last layer sees; :param weight: (V, H); :param bias: (V,) or None.
    :param targets: (k,) int64, the true words; :param counts: (k,) float32, how much each token counts.
    :param cap: logits x become cap * tanh(x / cap), as in Gemma 2.
    :param smoothing: share of each target that is spread evenly over all words (arXiv 1512.00567).
    """
    seen, targets, counts = features.to(weight.dtype), targets.to(weight.device), counts.to(weight.device)
    found: Tensor = _TokenLoss.apply(seen, weight, bias, targets, counts, cap, smoothing)  # type: ignore[no-untyped-call]
    return found


@torch.no_grad()
def token_nats(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, cap: float | None = None
) -> tuple[Tensor, Tensor]:
    """(k,) float32 nats of each token's true word; (k,) bool whether it is the likeliest."""
    targets = targets.to(weight.device)
    nats = torch.empty(len(features), device=weight.device)
    right = torch.empty(len(features), dtype=torch.bool, device=weight.device)
    rows = max(1, CELLS_AT_ONCE // weight.shape[0])
    for start in range(0, len(features), rows):
        some = slice(start, start + rows)
        logits = _logits(features[some].to(weight.dtype), weight, bias, cap)
        true = logits.gather(1, targets[some, None])[:, 0]
        nats[some] = logits.logsumexp(1) - true
        right[some] = logits.argmax(1) == targets[some]
    return nats, right


def _logits(features: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
    """(k, V) float32."""
    logits = (features @ weight.t()).float()
    if bias is not None:
        logits.add_(bias.float())
    return logits if cap is None else logits.div_(cap).tanh_().mul_(cap)
