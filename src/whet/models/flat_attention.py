"""How a model of transformers takes a flat batch: an attention function in its public registry."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from whet.kernels.attention import FAR_BELOW, attend
from whet.kernels.behind import attend_behind
from whet.kernels.dropout import ByteStream, threshold
from whet.kernels.flat import Layout, beyond, pad, unpad, zeros_behind
from whet.models.growth import rope_settings

NAME = "whet_flat"
"""The name in transformers' registry, for ``set_attn_implementation``."""


def for_transformers(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    flat: Layout | None = None,
    stream: ByteStream | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The form that transformers calls: (1, N, T, D) in, (1, T, N, D) out.

    ``flat`` and ``stream`` are extra keyword arguments of the model's call; ``sliding_window`` is what
    layers of local attention say: a token sees those less than so many tokens away. ``softcap`` is Gemma 2's c:
    scores x become c tanh(x / c).

    :raises ValueError: the model was called without ``flat=Layout``.
    """
    if flat is None:
        raise ValueError(f"attention {NAME!r} needs the layout of the batch: model(..., flat=layout)")
    q, k, v = query[0].transpose(0, 1), key[0].transpose(0, 1), value[0].transpose(0, 1)
    scale = float(query.shape[-1]) ** -0.5 if scaling is None else scaling
    spread, extra = flat.spread, flat.extra
    causal = bool(getattr(module, "is_causal", False))
    drops = stream is not None and threshold(dropout) > 0
    if spread is not None and spread.common is not None and softcap is None and sliding_window is None and not drops:
        return zeros_behind(attend_behind(q, k, v, spread.common, scale), extra).unsqueeze(0), None
    if spread is not None:  # what sequences share is written out for attention alone
        q, k, v, flat = *(part.index_select(0, spread.into) for part in (q, k, v)), spread.where
    if softcap is None:
        mixed = attend(q, k, v, flat, scale, causal=causal, keep=stream, chance=dropout, window=sliding_window)
    else:
        chance = dropout if stream is not None else 0.0
        mixed = _capped(q, k, v, flat, scale, softcap, causal, sliding_window, chance)
    if spread is not None:
        mixed = zeros_behind(mixed.index_select(0, spread.back), extra)
    return mixed.unsqueeze(0), None


def _capped(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    where: Layout,
    scaling: float,
    softcap: float,
    causal: bool,
    window: int | None,
    chance: float,
) -> Tensor:
    """Attention of each sequence to itself with capped scores, as :func:`whet.kernels.attention.attend` has it without.

    Written plainly: there is no fused form of it, and few models have it.
    """
    repeat = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(repeat, dim=1) for part in (key, value))
    q, k, v = (pad(part, where).transpose(1, 2) for part in (query, key, value))  # (B, N, L, D)
    scores = softcap * torch.tanh((q @ k.transpose(2, 3)).float() * (scaling / softcap))
    for hidden in (beyond(where.longest, causal, window, query.device), where.hidden):
        scores = scores if hidden is None else scores.masked_fill(hidden, FAR_BELOW)
    weights = scores.softmax(-1)
    weights = functional.dropout(weights, chance) if chance else weights
    return unpad((weights.to(v.dtype) @ v).transpose(1, 2), where)


def refuses(config: Any) -> str:
    """Why a model cannot take flat batches though its family does; empty where it can."""
    if getattr(config, "is_causal", True) is False:
        return "its configuration turns the causal attention of its kind off"
    if getattr(config, "use_bidirectional_attention", False):
        return "its configuration lets tokens see those behind them"
    for settings in rope_settings(config):
        if settings.get("rope_type", "default") not in _STEADY:
            return f"its rotary positions ({settings['rope_type']}) depend on the longest text of a batch"
    return ""


_STEADY = ("default", "linear", "llama3", "yarn")
"""Kinds of rotary positions that depend on nothing but the position."""


def register() -> None:
    """Make ``whet_flat`` known to transformers; calling it again changes nothing."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(NAME, for_transformers)
    AttentionMaskInterface.register(NAME, lambda *_, **__: None)
