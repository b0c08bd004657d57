"""A frozen linear layer and its low-rank adapter as one function: y = x W' + b + s (x A') B'.

Written apart, autograd keeps the scaled and the unscaled product of the adapter, a copy of x under dropout, and adds
three gradients of x one after the other. Here x, x A' and the factors of dropout are kept; products are added to as
they are made, and the frozen W has no gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _LowRank(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        factors: Tensor | None,
        scale: float,
    ) -> Tensor:
        seen = x if factors is None else x * factors
        low = seen @ a.t()
        out = x @ weight.t() if bias is None else torch.addmm(bias, x, weight.t())
        out.addmm_(low, b.t(), alpha=scale)
        ctx.save_for_backward(x, weight, a, b, factors, low)
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, weight, a, b, factors, low = ctx.saved_tensors
        grad = upstream.contiguous()
        by_low = (grad @ b).mul_(ctx.scale)
        by_x = None
        if ctx.needs_input_grad[0]:
            by_x = grad @ weight
            if factors is None:
                by_x.addmm_(by_low, a)
            else:
                by_x.addcmul_(by_low @ a, factors)
        by_a = by_low.t() @ (x if factors is None else x * factors)
        by_b = (grad.t() @ low).mul_(ctx.scale)
        return by_x, None, None, by_a, by_b, None, None


def low_rank(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, factors: Tensor | None, scale: float
) -> Tensor:
    """(..., O): the layer's answer and the adapter's.

    :param x: (..., H). :param weight: (O, H) and :param bias: (O,) or None, both frozen.
    :param a: (R, H), :param b: (O, R): the adapter. :param scale: what its answer is multiplied by.
    :param factors: (..., H) of dropout before the adapter, 0 or 1 / (1 - chance); None: none is dropped.
    """
    flat, width = x.reshape(-1, x.shape[-1]), weight.shape[0]
    dropped = None if factors is None else factors.reshape(flat.shape)
    found: Tensor = _LowRank.apply(flat, weight, bias, a, b, dropped, scale)  # type: ignore[no-untyped-call]
    return found.view(*x.shape[:-1], width)


def reference(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, factors: Tensor | None, scale: float
) -> Tensor:
    """The same as PEFT writes it."""
    seen = x if factors is None else x * factors
    return torch.nn.functional.linear(x, weight, bias) + (seen @ a.t()) @ b.t() * scale
