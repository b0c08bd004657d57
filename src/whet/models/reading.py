"""How vectors are read off a network: pooled, of the last token, or caught on their way to its last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.kernels.flat import Layout
from whet.models.pooling import POOL, Pooling, padded_pool


def pooled(hidden: Tensor, where: Layout, mask: Tensor | None, pooling: Pooling) -> Tensor:
    """(S, H) of token vectors, flat (T, H) or with ``mask`` padded (B, L, H)."""
    return POOL[pooling](hidden, where) if mask is None else padded_pool(hidden, mask, pooling)


def last_tokens(batch: FlatBatch, pad_id: int) -> Tensor:
    """(S,) which token a decoder's classifier reads: the last that is not the pad token, as in transformers."""
    where = batch.where
    ends = where.starts + where.lengths - 1
    real = batch.input_ids[0] != pad_id
    if bool(real[ends].all()):
        return ends
    numbers = torch.arange(len(real), device=real.device)
    rows = torch.repeat_interleave(torch.arange(len(ends), device=real.device), where.lengths)
    return where.starts.scatter_reduce(0, rows[real], numbers[real], "amax")


def lengthened(tokens: Tensor, extra: int) -> Tensor:
    """(1, T, ...) to (1, T + extra, ...): the first entry again and again, which is known to every table of a model."""
    return torch.cat((tokens, tokens[:, :1].expand(1, extra, *tokens.shape[2:])), 1) if extra else tokens


def caught(network: Any, last: nn.Linear, inputs: Mapping[str, Tensor]) -> Tensor:
    """What reaches the layer ``last`` when ``network`` runs on padded inputs: (B, F) or (B, L, F)."""
    found: list[Tensor] = []

    def catch(layer: nn.Linear, given: tuple[Tensor, ...]) -> Tensor:
        found.append(given[0])
        return given[0].to(layer.weight.dtype)

    hook = last.register_forward_pre_hook(catch)
    try:
        network(**inputs)
    finally:
        hook.remove()
    return found[0]
