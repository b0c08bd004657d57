"""Norms of a model of transformers, computed by :mod:`whet.kernels.rms_norm` where a gradient is wanted.

Those of Llama's form alone (Qwen, Mistral, Phi-3, SmolLM and others), known by their name and by their answers: the
first one of each class is held against its own way, bit for bit. Modules, names and files stay as they are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from whet.kernels.rms_norm import rms_norm


def fuse(model: nn.Module, declined: Callable[[str], None] = lambda words: None) -> int:
    """Have the norms below ``model`` computed in one function each; returns how many are.

    :param declined: told of each class that answers otherwise, and stays as it is.
    """
    count, same = 0, dict[Any, bool]()
    for module in model.modules():
        kind: Any = type(module)
        if not _may_be(module):
            continue
        if kind not in same:
            same[kind] = _is_the_same(module)
            if not same[kind]:
                declined(f"{kind.__name__} in one function answers otherwise than by itself, so its own way is used")
        if same[kind]:
            module.__class__ = _fused(kind)
            count += 1
    return count


def _may_be(module: Any) -> bool:
    name = type(module).__name__
    return name.endswith("RMSNorm") and hasattr(module, "variance_epsilon") and hasattr(module, "weight")


@functools.cache
def _fused(kind: Any) -> Any:
    """``kind`` with a forward pass of its own while a gradient is wanted; its name no longer ends as theirs do."""

    class FusedNorm(kind):  # type: ignore[misc]
        def forward(self, hidden_states: Tensor) -> Tensor:
            if not torch.is_grad_enabled():
                plain: Tensor = super().forward(hidden_states)
                return plain
            return rms_norm(hidden_states, self.weight, self.variance_epsilon)

    return FusedNorm


@torch.no_grad()
def _is_the_same(module: Any) -> bool:
    """Whether both ways answer alike to the last bit."""
    weight = module.weight
    if weight.is_meta:
        return True
    x = torch.linspace(-3, 5, 3 * weight.numel(), dtype=weight.dtype, device=weight.device).view(3, -1)
    return torch.equal(module(x), rms_norm(x, weight, module.variance_epsilon))
