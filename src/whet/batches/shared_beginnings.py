"""A flat batch in which what several sequences begin with stands once.

Rows with the same instruction, the answers to one prompt, questions about one text: everything that works token by
token then sees a common beginning once. Attention is given each sequence behind its beginning again
(:class:`whet.kernels.flat.Spread`), or, where all of them have one beginning, what is behind it alone
(:class:`whet.kernels.flat.Common`). In a causal model every token has the same neighbours and places as before, and
the numbers are the same but for rounding. What dropout takes from a shared token it takes for all that share it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.kernels.flat import Common, Spread, layout

WORTH = 0.1
"""Share of the tokens that must be saved: gathering for attention costs something, too."""
LONG = 32
"""Tokens of a beginning of all sequences that are worth a form of attention of their own."""


@dataclass(frozen=True, slots=True)
class Joined:
    """``batch`` with shared beginnings; ``place`` (T,) int64: where each token of the one it was made of stands."""

    batch: FlatBatch
    place: Tensor


def joined(batch: FlatBatch, worth: float = WORTH) -> Joined | None:
    """The same batch with every beginning once; None where that saves less than a share ``worth`` of it."""
    if batch.where.num_sequences < 2:
        return None
    starts, lengths = batch.where.starts.numpy(), batch.where.lengths.numpy()
    owner, common = _owners(batch.input_ids[0].numpy(), starts, lengths)
    kept = owner == np.arange(len(owner))
    if kept.mean() > 1 - worth:
        return None
    place = (np.cumsum(kept) - 1)[owner]
    chosen, into = torch.from_numpy(np.flatnonzero(kept)), torch.from_numpy(place)
    behind = _behind(place, starts, lengths, min(common, int(lengths.min()) - 1))
    fewer = replace(
        batch,
        input_ids=batch.input_ids[:, chosen],
        position_ids=batch.position_ids[:, chosen],
        token_type_ids=None,
        where=replace(layout(torch.tensor([len(chosen)])), spread=Spread(batch.where, into, chosen, behind)),
    )
    return Joined(fewer, into)


def _owners(
    ids: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int]:
    """(T,) for each token the one that stands for it, and how many tokens all sequences begin with.

    In the order of their tokens a sequence shares with the one before it whatever it shares with any earlier one.
    """
    rows = np.split(ids, starts[1:])
    order = sorted(range(len(rows)), key=lambda row: rows[row].astype(">u8").tobytes())
    owner, least = np.arange(len(ids)), len(ids)
    for before, row in pairwise(order):
        size = min(lengths[before], lengths[row])
        apart = np.flatnonzero(rows[before][:size] != rows[row][:size])
        alike = int(apart[0]) if len(apart) else int(size)
        owner[starts[row] : starts[row] + alike] = owner[starts[before] : starts[before] + alike]
        least = min(least, alike)
    return owner, least


def _behind(
    place: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64], common: int
) -> Common | None:
    """What stands behind the ``common`` tokens of all sequences; None where those are few."""
    if common < LONG:
        return None
    first = place[starts[0] : starts[0] + common]
    behind = np.concatenate(
        [place[start + common : start + length] for start, length in zip(starts, lengths, strict=True)]
    )
    back = np.empty(int(place.max()) + 1, np.int64)
    back[behind] = common + np.arange(len(behind))
    back[first] = np.arange(common)
    alone, rest = layout(torch.tensor([common])), layout(torch.from_numpy(lengths - common))
    return Common(torch.from_numpy(first), alone, torch.from_numpy(behind), rest, torch.from_numpy(back))
