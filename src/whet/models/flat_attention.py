"""How a model of transformers takes a flat batch: an attention function in its public registry."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from whet.kernels.attention import attend
from whet.kernels.dropout import ByteStream
from whet.kernels.flat import Layout
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
    **_: Any,
) -> tuple[Tensor, None]:
    """The form that transformers calls: (1, N, T, D) in, (1, T, N, D) out.

    ``flat`` and ``stream`` are extra keyword arguments of the model's call; ``sliding_window`` is what
    layers of local attention say: a token sees those less than so many tokens away.

    :raises ValueError: the model was called without ``flat=Layout``.
    """
    if flat is None:
        raise ValueError(f"attention {NAME!r} needs the layout of the batch: model(..., flat=layout)")
    mixed = attend(
        query[0].transpose(0, 1),
        key[0].transpose(0, 1),
        value[0].transpose(0, 1),
        flat,
        float(query.shape[-1]) ** -0.5 if scaling is None else scaling,
        causal=bool(getattr(module, "is_causal", False)),
        keep=stream,
        chance=dropout,
        window=sliding_window,
    )
    return mixed.unsqueeze(0), None


def refuses(config: Any) -> str:
    """Why a model cannot take flat batches though its family does; empty where it can."""
    if getattr(config, "is_causal", True) is False:
        return "its configuration turns the causal attention of its kind off"
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
