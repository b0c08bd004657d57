"""The norm of Llama and most decoders after it as one function: y = w x / sqrt(mean(x^2) + eps).

Written apart, autograd keeps x in fp32 and goes through every operation of the mean again. Here x as it came and a
number a token are kept, and the slope is written down: for n = x / sqrt(...) it is (g - n mean(g n)) / sqrt(...).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
        wide = x.to(torch.float32)
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)
        ctx.save_for_backward(x, weight, scale)
        return weight * _even(wide, scale, x).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        x, weight, scale = ctx.saved_tensors
        even, by_x, by_weight = _even(x.to(torch.float32), scale, x), None, None
        if ctx.needs_input_grad[0]:
            slope = (upstream * weight).to(x.dtype).to(torch.float32)
            common = torch.linalg.vecdot(slope, even).unsqueeze(-1).div_(x.shape[-1])
            by_x = slope.addcmul_(even, common, value=-1).mul_(scale).to(x.dtype)
        if ctx.needs_input_grad[1]:
            by_weight = (upstream * even).flatten(0, -2).sum(0).to(weight.dtype)
        return by_x, by_weight, None


def _even(wide: Tensor, scale: Tensor, x: Tensor) -> Tensor:
    """x in fp32 divided by its size; in the memory of ``wide`` where that is a copy."""
    return wide * scale if wide is x else wide.mul_(scale)


def rms_norm(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """(..., H) in what ``x`` times ``weight`` comes to: ``x`` of root mean square 1, times ``weight`` (H,).

    The mean is taken in fp32, and the answer is bit for bit that of ``LlamaRMSNorm`` of transformers.
    """
    found: Tensor = _RmsNorm.apply(x, weight, epsilon)  # type: ignore[no-untyped-call]
    return found


def reference(x: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """The same as transformers writes it."""
    wide = x.to(torch.float32)
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + epsilon)).to(x.dtype)
