"""Cross-entropy over a vocabulary without ever holding its table of logits.

Logits of k tokens over V words are by far the largest tensor of a small language model (k = 4,096,
V = 50,000: 800 MB, twice that with its gradient). Here they are made for some hundred tokens at a time, in the
kind of numbers of the weights; the gradient is worked out in the same memory while they are there, and the logits are
gone. On a CPU softmax takes some rows of those at a time, in fp32, which stay in the cache. What is kept for the
backward pass is as large as the features and the weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CELLS_AT_ONCE = 1 << 24
"""Logits that are there at one time: 32 MB in bf16. Fewer are no faster, since a product reads all weights anew."""
CELLS_IN_CACHE = 1 << 20
"""Of them in fp32 on a CPU: 4 MB. All of them at once took one and a half times as long: the system gave, and took
back, their memory with each operation."""


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
        sloped = grad_features is not None or grad_weight is not None
        for some, table in _tables(features, weight):
            for place, part, logits in _in_cache(some, table, bias, cap):
                costs = _costs_and_slope(logits, targets[place, None], counts[place, None], cap, smoothing, sloped)
                total += (costs.double() * counts[place].double()).sum()
                if not sloped:
                    continue
                if grad_bias is not None:
                    grad_bias += logits.sum(0)
                if part is not logits:
                    part.copy_(logits)
            if grad_features is not None:
                torch.mm(table, weight, out=grad_features[some])
            if grad_weight is not None:
                grad_weight += table.t() @ features[some]
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
    whole: bool = False,
) -> Tensor:
    """The summed cross-entropy of k tokens, in nats; scalar float32.

    :param features: (k, H) what the last layer sees; :param weight: (V, H); :param bias: (V,) or None.
    :param targets: (k,) int64, the true words; :param counts: (k,) float32, how much each token counts.
    :param cap: logits x become cap * tanh(x / cap), as in Gemma 2.
    :param smoothing: share of each target that is spread evenly over all words (arXiv 1512.00567).
    :param whole: with the table of all logits, see :func:`reference`.
    """
    if whole:
        return reference(features, weight, bias, targets, counts, cap, smoothing)
    seen, targets, counts = features.to(weight.dtype), targets.to(weight.device), counts.to(weight.device)
    found: Tensor = _TokenLoss.apply(seen, weight, bias, targets, counts, cap, smoothing)  # type: ignore[no-untyped-call]
    return found


def reference(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    counts: Tensor,
    cap: float | None = None,
    smoothing: float = 0.0,
) -> Tensor:
    """The same as torch has it: one table of logits, (k, V) in fp32, and others as large for its gradient."""
    logits = all_logits(features, weight, bias, cap)
    targets, counts = targets.to(logits.device), counts.to(logits.device)
    costs = functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    found: Tensor = (costs * counts).sum()
    return found


def all_logits(features: Tensor, weight: Tensor, bias: Tensor | None, cap: float | None) -> Tensor:
    """(k, V) float32, with a graph; parameters as of :func:`token_loss`."""
    logits = (features.to(weight.dtype) @ weight.t()).float()
    logits = logits if bias is None else logits + bias.float()
    return logits if cap is None else cap * torch.tanh(logits / cap)


@torch.no_grad()
def token_nats(
    features: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, cap: float | None = None
) -> tuple[Tensor, Tensor]:
    """(k,) float32 nats of each token's true word; (k,) bool whether it is the likeliest."""
    targets = targets.to(weight.device)
    nats = torch.empty(len(features), device=weight.device)
    right = torch.empty(len(features), dtype=torch.bool, device=weight.device)
    for some, table in _tables(features, weight):
        for place, _, logits in _in_cache(some, table, bias, cap):
            true = logits.gather(1, targets[place, None])[:, 0]
            nats[place] = logits.logsumexp(1) - true
            right[place] = logits.argmax(1) == targets[place]
    return nats, right


def _tables(features: Tensor, weight: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Logits without what is added to them, (n, V) in the kind of ``weight``, of some tokens after the other.

    Each table is laid over the one before.
    """
    tokens, words = len(features), len(weight)
    rounds = -(-tokens * words // CELLS_AT_ONCE)
    rows = max(1, -(-tokens // max(1, rounds)))
    room = weight.new_empty(min(rows, tokens), words)
    for start in range(0, tokens, rows):
        some = slice(start, min(start + rows, tokens))
        seen = features[some].to(weight.dtype)
        yield some, torch.mm(seen, weight.t(), out=room[: len(seen)])


def _in_cache(
    some: slice, table: Tensor, bias: Tensor | None, cap: float | None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Of some rows of a table after the other: which tokens they are, the rows, and their logits in fp32, (n, V).

    Logits are laid over those before; of a table in fp32 they are its rows themselves.
    """
    rows = max(1, CELLS_IN_CACHE // table.shape[1]) if table.device.type == "cpu" else max(1, len(table))
    wide = table.dtype.itemsize >= 4
    room = None if wide else table.new_empty(min(rows, len(table)), table.shape[1], dtype=torch.float32)
    for start in range(0, len(table), rows):
        part = table[start : start + rows]
        logits = part if room is None else room[: len(part)].copy_(part)
        if bias is not None:
            logits.add_(bias.to(logits.dtype))
        if cap is not None:
            logits.div_(cap).tanh_().mul_(cap)
        first = some.start + start
        yield slice(first, first + len(part)), part, logits


def _costs_and_slope(
    logits: Tensor, targets: Tensor, counts: Tensor, cap: float | None, smoothing: float, sloped: bool
) -> Tensor:
    """(n,) nats of each token. Afterwards ``logits`` are their slopes, times how much the token counts.

    :param sloped: False: nobody asks for slopes, and what becomes of ``logits`` is of no use.
    """
    bend = None if cap is None or not sloped else 1 - (logits / cap).square()  # of the cap, at each logit
    true = logits.gather(1, targets)
    even = logits.mean(1, keepdim=True) if smoothing else None
    highest = logits.amax(1, keepdim=True)
    powers = logits.sub_(highest).exp_()
    summed = powers.sum(1, keepdim=True)
    level = highest + summed.log()
    costs = level - true if even is None else level - (1 - smoothing) * true - smoothing * even
    if sloped:
        # softmax less what each word should have, times how much the token counts
        slope = powers.mul_(counts / summed)
        if smoothing:
            slope.sub_(counts * (smoothing / slope.shape[1]))
        slope.scatter_add_(1, targets, (counts * (smoothing - 1.0)).to(slope.dtype))
        if bend is not None:
            slope.mul_(bend)
    return costs[:, 0]
