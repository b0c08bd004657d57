"""Batches as tensors: flat ones without padding, or padded ones for families that need them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches import order
from whet.batches.encoding import Encoded
from whet.kernels.flat import Layout, layout


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """B rows of T tokens in all, laid one after the other.

    - ``input_ids``, ``position_ids``, ``token_type_ids`` (1, T) int64; the last None for single texts.
    - ``where``: the boundaries.
    - ``rows`` (B,): numbers of the rows in their split.
    - ``targets``: (B,) int64, (B, C) float32, or None.
    """

    encoded: Encoded
    rows: NDArray[np.int64]
    input_ids: Tensor
    position_ids: Tensor
    token_type_ids: Tensor | None
    where: Layout
    all_targets: Tensor | None

    @property
    def num_tokens(self) -> int:
        """Real tokens."""
        return int(self.input_ids.shape[1])

    @property
    def targets(self) -> Tensor | None:
        """The truth of these rows."""
        return None if self.all_targets is None else self.all_targets[torch.from_numpy(self.rows)]

    def split(self, max_tokens: int) -> Sequence[FlatBatch]:
        """Micro-batches of at most ``max_tokens`` where rows allow it; a row is never cut."""
        if self.num_tokens <= max_tokens or len(self.rows) == 1:
            return [self]
        lengths = self.encoded.lengths[self.rows]
        total, marks = 0, []
        for place, length in enumerate(lengths):
            if place and total + length > max_tokens:
                marks.append(place)
                total = 0
            total += int(length)
        return [make(self.encoded, rows, self.all_targets) for rows in np.split(self.rows, marks)]

    def padded(self, pad_id: int) -> dict[str, Tensor]:
        """The same rows as a padded table: input_ids, attention_mask, token_type_ids (B, L)."""
        size = (self.where.num_sequences, self.where.longest)
        inside = torch.arange(size[1])[None, :] < self.where.lengths[:, None]
        ids = torch.full(size, pad_id, dtype=torch.int64)
        ids[inside] = self.input_ids[0]
        result = {"input_ids": ids, "attention_mask": inside.long()}
        if self.token_type_ids is not None:
            types = torch.zeros(size, dtype=torch.int64)
            types[inside] = self.token_type_ids[0]
            result["token_type_ids"] = types
        return result


def make(encoded: Encoded, rows: NDArray[np.int64], targets: Tensor | None) -> FlatBatch:
    """The batch of ``rows``; ``targets`` are those of all rows of the split."""
    starts, ends = encoded.offsets[rows], encoded.offsets[rows + 1]
    ids = np.concatenate([encoded.ids[s:e] for s, e in zip(starts, ends, strict=True)]).astype(np.int64)
    where = layout(torch.from_numpy(np.asarray(ends - starts)))
    positions = where.positions()
    types = None
    second = encoded.second[rows]
    if (second >= 0).any():
        border = torch.from_numpy(np.where(second < 0, np.iinfo(np.int32).max, second).astype(np.int64))
        types = (positions[0] >= torch.repeat_interleave(border, where.lengths)).long().unsqueeze(0)
    return FlatBatch(encoded, rows, torch.from_numpy(ids).unsqueeze(0), positions, types, where, targets)


@dataclass(frozen=True, slots=True)
class TrainingBatches:
    """The batches of a training split, epoch after epoch."""

    encoded: Encoded
    targets: Tensor
    batch_tokens: int
    seed: int

    @property
    def per_epoch(self) -> int:
        """Batches in the first epoch; later ones have about as many."""
        return len(self._order(0))

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        return order.shuffled(self.encoded.lengths, self.batch_tokens, self.seed, epoch)

    def starting_at(self, epoch: int, index: int) -> Iterator[FlatBatch]:
        """The batches of ``epoch`` from its ``index``-th on."""
        for rows in self._order(epoch)[index:]:
            yield make(self.encoded, rows, self.targets)


def for_prediction(encoded: Encoded, batch_tokens: int, targets: Tensor | None = None) -> Iterator[FlatBatch]:
    """All rows once, in batches of like length."""
    for rows in order.by_length(encoded.lengths, batch_tokens):
        yield make(encoded, rows, targets)
