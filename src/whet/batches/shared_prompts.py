"""A flat batch in which what the answers of a row begin with stands once.

The sequences of a unit are a prompt with one answer each. Everything that works token by token then sees the prompt
once; attention is given each answer behind the prompt again (:class:`whet.kernels.flat.Spread`), so that every token
has the same neighbours and places as before, and the numbers are the same but for rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.kernels.flat import Spread, layout

WORTH = 0.05
"""Share of the tokens that must be saved: gathering for attention costs something, too."""


@dataclass(frozen=True, slots=True)
class Joined:
    """``batch`` with shared prompts; ``place`` (T,) int64: where each token of the one it was made of stands in it."""

    batch: FlatBatch
    place: Tensor


def joined(batch: FlatBatch, worth: float = WORTH) -> Joined | None:
    """The same batch with the prompt of each unit once; None where that saves less than a share ``worth`` of it.

    ``encoded.second`` is the length of the prompt, the same for all sequences of a unit.
    """
    if batch.parts < 2:
        return None
    starts, lengths = batch.where.starts.numpy(), batch.where.lengths.numpy()
    prompts = np.maximum(0, batch.encoded.second[batch.sequences].astype(np.int64))
    kept = _kept(starts, lengths, prompts, batch.parts)
    if kept.mean() > 1 - worth:
        return None
    numbers = np.cumsum(kept) - 1
    first = np.repeat(starts[:: batch.parts], batch.parts)  # (S,) where the unit's first sequence begins
    within = np.arange(len(kept)) - np.repeat(starts, lengths)
    place = numbers[np.where(kept, np.arange(len(kept)), np.repeat(first, lengths) + within)]
    chosen, into = torch.from_numpy(np.flatnonzero(kept)), torch.from_numpy(place)
    sizes = np.add.reduceat(kept.astype(np.int64), starts[:: batch.parts])
    where = replace(layout(torch.from_numpy(sizes)), spread=Spread(batch.where, into, chosen))
    fewer = replace(
        batch,
        input_ids=batch.input_ids[:, chosen],
        position_ids=batch.position_ids[:, chosen],
        token_type_ids=None,
        where=where,
    )
    return Joined(fewer, into)


def _kept(
    starts: NDArray[np.int64], lengths: NDArray[np.int64], prompts: NDArray[np.int64], parts: int
) -> NDArray[np.bool_]:
    """(T,) whether a token stays: all of a unit's first sequence, of the others what is behind the prompt."""
    gone = np.where(np.arange(len(starts)) % parts == 0, 0, prompts)
    within = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
    return np.asarray(within >= np.repeat(gone, lengths))
