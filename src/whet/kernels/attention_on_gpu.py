"""Attention over a flat batch on a CUDA device: no table of scores, no padding where the device has a kernel for it.

- *Without dropout, in 16 bits*: torch's attention over sequences of any length, told by where they begin (flash
  attention, compiled into torch). No pad token is ever seen.
- *Otherwise* (fp32, or dropout of attention weights): sequences are laid into a padded table and go through
  ``scaled_dot_product_attention``, which keeps no table of scores either.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from whet.kernels.flat import Layout, beyond, pad, unpad

WIDEST = 256
"""Numbers of a head that flash attention takes at most; a multiple of 8 of them."""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    where: Layout,
    scaling: float,
    causal: bool,
    chance: float,
    window: int | None,
) -> Tensor:
    """Attention of each sequence to itself, as :func:`whet.kernels.attention.attend` says it.

    :param query: (T, N, D); ``key`` and ``value`` (T, M, D), M dividing N. :param chance: to drop a weight; 0: never.
    :returns: (T, N, D).
    """
    if not chance and takes(query):
        return _unpadded(query, key, value, where, scaling, causal, window)
    return _padded(query, key, value, where, scaling, causal, chance, window)


def takes(query: Tensor) -> bool:
    """Whether the kernel without padding is there for such heads."""
    width = query.shape[-1]
    return (
        query.dtype in (torch.bfloat16, torch.float16) and width <= WIDEST and not width % 8 and _kernel() is not None
    )


@functools.cache
def _kernel() -> tuple[Callable[..., Any], bool] | None:
    """torch's attention over sequences of any length, and whether it groups heads by itself; None: it has none."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    return varlen_attn, "enable_gqa" in inspect.signature(varlen_attn).parameters


def _unpadded(
    query: Tensor, key: Tensor, value: Tensor, where: Layout, scaling: float, causal: bool, window: int | None
) -> Tensor:
    known = _kernel()
    assert known is not None
    attention, groups = known
    more: dict[str, Any] = {}
    if key.shape[1] != query.shape[1]:
        if groups:
            more["enable_gqa"] = True
        else:
            key, value = (part.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for part in (key, value))
    far = -1 if window is None else window - 1  # it counts the tokens before, ours the token itself, too
    bounds, longest = where.bounds(), where.longest
    more["window_size"] = (far, 0) if causal else (far, far)
    parts = (part.contiguous() for part in (query, key, value))
    found: Tensor = attention(*parts, bounds, bounds, longest, longest, scale=scaling, **more)
    return found


def _padded(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    where: Layout,
    scaling: float,
    causal: bool,
    chance: float,
    window: int | None,
) -> Tensor:
    repeat = query.shape[1] // key.shape[1]
    if repeat > 1:
        key, value = (part.repeat_interleave(repeat, dim=1) for part in (key, value))
    q, k, v = (pad(part, where).transpose(1, 2) for part in (query, key, value))  # (B, N, L, D)
    near = window is None or window >= where.longest
    seen = None
    if where.hidden is not None and not (causal and near):  # what pads a sequence stands behind it
        seen = ~where.hidden
    if not near or (causal and seen is not None):
        order = beyond(where.longest, causal, window, query.device)
        seen = seen if order is None else ~order if seen is None else seen & ~order
    if seen is not None:
        size = (where.num_sequences, 1, where.longest, where.longest)
        # a row that sees nothing would become 0 / 0: pad tokens see themselves
        itself = torch.eye(where.longest, dtype=torch.bool, device=query.device)
        seen = seen.expand(size) | itself
    mixed = functional.scaled_dot_product_attention(
        q, k, v, attn_mask=seen, dropout_p=chance, is_causal=causal and seen is None, scale=scaling
    )
    return unpad(mixed.transpose(1, 2), where)
