"""A frozen linear layer and its low-rank adapter as one function: y = x W' + b + s (x A') B'.

Written apart, autograd keeps the scaled and the unscaled product of the adapter, a copy of x under dropout, and adds
three gradients of x one after the other. Here x, x A' and a bit for whatever dropout leaves are kept; products are
added to as they are made, and the frozen W has no gradient. Dropout is a product of the bits of x with 0 and 1, and its
scale is part of s. Of few numbers, which cost more time than room, what dropout left of x is kept as it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from whet.kernels.dropout import only, only_, packed, unpacked

FEW = 1 << 18
"""Numbers in x up to which what dropout leaves is kept, with a byte for each; four times as many where the layer
narrows. To make them anew took some hundredths of a step (docs/log.md)."""


class _LowRank(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        kept: Tensor | None,
        scale: float,
    ) -> Tensor:
        seen = x if kept is None else only(kept, x)
        low = seen @ a.t()
        out = x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())
        out.addmm_(low, b.t(), alpha=scale)
        narrows = weight.shape[0] < weight.shape[1]  # and is mostly the only one that keeps its x
        few = x.numel() <= FEW * (4 if narrows else 1)
        ctx.seen_kept = few or narrows
        ctx.save_for_backward(
            seen if ctx.seen_kept else x, weight, a, b, kept if kept is None or few else packed(kept), low
        )
        ctx.scale, ctx.few = scale, few
        return out

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, weight, a, b, kept, low = ctx.saved_tensors
        kept = kept if kept is None or ctx.few else unpacked(kept, x)
        grad = upstream.contiguous()
        by_low = (grad @ b).mul_(ctx.scale)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = grad @ weight
            if kept is None:
                by_x.addmm_(by_low, a)
            else:
                by_x.add_(only_(kept, by_low @ a))
        by_a = by_low.t() @ (x if kept is None or ctx.seen_kept else only(kept, x))
        by_b = (grad.t() @ low).mul_(ctx.scale)
        return by_x, None, None, by_a, by_b, None, None


def low_rank(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, kept: Tensor | None, scale: float
) -> Tensor:
    """(..., O): the layer's answer and the adapter's.

    :param x: (..., H). :param weight: (O, H) and :param bias: (O,) or None, both frozen.
    :param a: (R, H), :param b: (O, R): the adapter.
    :param kept: (..., H) of dropout before the adapter, of :func:`whet.kernels.dropout.kept_ones`; None: none is.
    :param scale: what the adapter's answer is multiplied by, with what makes up for those that are dropped.
    """
    flat, width = x.reshape(-1, x.shape[-1]), weight.shape[0]
    left = None if kept is None else kept.reshape(flat.shape)
    found: Tensor = _LowRank.apply(flat, weight, bias, a, b, left, scale)  # type: ignore[no-untyped-call]
    return found.view(*x.shape[:-1], width)


def reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, kept: Tensor | None, scale: float
) -> Tensor:
    """The same as PEFT writes it."""
    seen = x if kept is None else x * (kept != 0)
    return torch.nn.functional.linear(x, weight, bias) + (seen @ a.t()) @ b.t() * scale
