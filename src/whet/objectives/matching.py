"""What happens within student and teacher: hidden states layer by layer, and what tokens of a text look at.

- *Hidden states*: each layer of the student against the layer of the teacher at the same share of its depth, the last
  against the last; vectors of both are brought to mean 0 and variance 1, since layers differ in scale, and those of a
  student of another width go through a layer that learns with it and is not kept.
- *Attention*: relations among the tokens of a text in the last layer, of queries to queries, keys to keys and values
  to values, in as many heads as both widths divide into (arXiv 2012.15828). They need neither the same width nor the
  same heads, and no table of attention.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import token_numbers
from whet.batches.flat import FlatBatch
from whet.engine import devices
from whet.kernels.flat import Layout, pad
from whet.models.insides import NAME, by_token, layers_of, relating, watching

MOST_HEADS = 12
FAR = -1e8
"""Logarithms below it are those of tokens that are not there."""


def means_of_units(values: Tensor, batch: FlatBatch) -> Tensor:
    """(B,) means over the tokens of each unit of (T,) numbers."""
    where = batch.where
    sequences = torch.repeat_interleave(torch.arange(where.num_sequences, device=values.device), where.lengths)
    units = sequences // batch.parts
    sums = values.new_zeros(len(batch.rows)).index_add_(0, units, values)
    return sums / torch.bincount(units, minlength=len(batch.rows)).clamp_min(1)


@dataclass(slots=True)
class HiddenStates:
    """``tables``, each (N, H), of the teacher: for each layer of the student its counterpart, of every token."""

    tables: Sequence[NDArray[np.float16]]
    _seen: list[Tensor] = field(default_factory=list)

    def watched(self, model: Any) -> contextlib.AbstractContextManager[None]:
        """While a pass goes through."""
        return watching(layers_of(model), self._seen)

    def __call__(self, model: Any, batch: FlatBatch) -> Tensor:
        """(B,) mean squared differences."""
        batch = batch.to(devices.of(model))
        total = torch.zeros(batch.num_tokens, device=batch.input_ids.device)
        projections = getattr(model, NAME, {})
        for place, (found, table) in enumerate(zip(self._seen, self.tables, strict=True)):
            own, other = by_token(found, batch.where).float(), rows_of(table, batch)
            if f"hidden{place}" in projections:
                own = projections[f"hidden{place}"](own)
            apart = F.layer_norm(own, own.shape[-1:]) - F.layer_norm(other, other.shape[-1:])
            total = total + apart.square().mean(1)
        return means_of_units(total / max(1, len(self.tables)), batch)


@dataclass(slots=True)
class Relations:
    """``tables``: (N, W) queries, keys and values of the teacher's last layer."""

    tables: Sequence[NDArray[np.float16]]
    _seen: list[Tensor] = field(default_factory=list)

    def watched(self, model: Any) -> contextlib.AbstractContextManager[None]:
        """While a pass goes through."""
        return watching(relating(model), self._seen)

    def __call__(self, model: Any, batch: FlatBatch) -> Tensor:
        """(B,) mean KL(teacher, student) over tokens, heads and the three relations, in nats."""
        batch = batch.to(devices.of(model))
        where, device = batch.where, batch.input_ids.device
        total = torch.zeros(batch.num_tokens, device=device)
        inside = torch.arange(where.longest, device=device)[None, :] < where.lengths[:, None]
        for found, table in zip(self._seen, self.tables, strict=True):
            mine, theirs = by_token(found, where).float(), rows_of(table, batch)
            heads = common_heads(mine.shape[-1], theirs.shape[-1])
            own, true = relations(mine, where, heads), relations(theirs, where, heads)
            apart = (true.exp() * (true - own)).masked_fill(true < FAR, 0.0).sum(-1).mean(1)  # (S, longest)
            total = total + apart[inside]
        return means_of_units(total / len(self.tables), batch)


def rows_of(table: NDArray[np.float16], batch: FlatBatch) -> Tensor:
    """(T, W) of the tokens of a batch, in float32."""
    numbers = token_numbers(batch.encoded.offsets, batch.sequences)
    return torch.from_numpy(np.asarray(table[numbers], dtype=np.float32)).to(batch.input_ids.device)


def relations(vectors: Tensor, where: Layout, heads: int) -> Tensor:
    """(S, heads, L, L) logarithms: how much each token of a text has to do with each, of vectors (T, H)."""
    table = pad(vectors, where).view(where.num_sequences, where.longest, heads, -1).transpose(1, 2)
    scores = table @ table.transpose(2, 3) / math.sqrt(table.shape[-1])
    inside = torch.arange(where.longest, device=vectors.device)[None, :] < where.lengths[:, None]
    return scores.masked_fill(~inside[:, None, None, :], -1e9).log_softmax(-1)


def common_heads(*widths: int) -> int:
    """Into how many heads of relations all widths divide; at most :data:`MOST_HEADS`."""
    return max(number for number in range(1, MOST_HEADS + 1) if all(width % number == 0 for width in widths))
