"""Batches as tensors: flat ones without padding, or padded ones for families that need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches import order
from whet.batches.encoding import Encoded, token_numbers
from whet.kernels.flat import Layout, layout


@dataclass(frozen=True, slots=True)
class Targets:
    """The truth of a split for training: ``values`` (U, ...) one entry a unit, or (N, ...) one a token."""

    values: Tensor
    per_token: bool = False

    def of(self, encoded: Encoded, units: NDArray[np.int64]) -> Tensor:
        """Those of ``units``, in their order: (B, ...) or (T, ...)."""
        if not self.per_token:
            return self.values[torch.from_numpy(units)]
        return self.values[torch.from_numpy(token_numbers(encoded.offsets, encoded.sequences(units)))]


@dataclass(frozen=True, slots=True)
class FlatBatch:
    """B units of T tokens in all, laid one after the other; a unit is a sequence, or several that belong together.

    - ``input_ids``, ``position_ids``, ``token_type_ids`` (1, T) int64; the last None for single texts.
    - ``where``: the boundaries of the B * parts sequences.
    - ``rows`` (B,): numbers of the units in their split.
    - ``targets``: (B, ...) or (T, ...), or None.
    - ``whole``: the loss couples the units, so that they are never cut apart.
    """

    encoded: Encoded
    rows: NDArray[np.int64]
    input_ids: Tensor
    position_ids: Tensor
    token_type_ids: Tensor | None
    where: Layout
    all_targets: Targets | None
    whole: bool = False

    @property
    def num_tokens(self) -> int:
        """Real tokens."""
        return int(self.input_ids.shape[1])

    @property
    def parts(self) -> int:
        """Sequences per unit."""
        return self.encoded.parts

    @property
    def sequences(self) -> NDArray[np.int64]:
        """(B * parts,) numbers of the sequences in their split."""
        return self.encoded.sequences(self.rows)

    @property
    def targets(self) -> Tensor | None:
        """The truth of these units, or of their tokens."""
        return None if self.all_targets is None else self.all_targets.of(self.encoded, self.rows)

    def split(self, max_tokens: int) -> Sequence[FlatBatch]:
        """Micro-batches of at most ``max_tokens`` where units allow it; a unit is never cut."""
        if self.whole or self.num_tokens <= max_tokens or len(self.rows) == 1:
            return [self]
        lengths = self.encoded.lengths[self.rows]
        total, marks = 0, []
        for place, length in enumerate(lengths):
            if place and total + length > max_tokens:
                marks.append(place)
                total = 0
            total += int(length)
        return [make(self.encoded, rows, self.all_targets) for rows in np.split(self.rows, marks)]

    def to(self, device: torch.device) -> FlatBatch:
        """What a model reads of it on another device; targets stay where they are."""
        if self.input_ids.device == device:
            return self
        ids, positions, types = (
            None if one is None else one.to(device, non_blocking=True)
            for one in (self.input_ids, self.position_ids, self.token_type_ids)
        )
        assert ids is not None and positions is not None
        return replace(self, input_ids=ids, position_ids=positions, token_type_ids=types, where=self.where.to(device))

    def padded(self, pad_id: int) -> dict[str, Tensor]:
        """The same sequences as a padded table: input_ids, attention_mask, token_type_ids (S, L)."""
        size, device = (self.where.num_sequences, self.where.longest), self.input_ids.device
        inside = torch.arange(size[1], device=device)[None, :] < self.where.lengths[:, None]
        ids = torch.full(size, pad_id, dtype=torch.int64, device=device)
        ids[inside] = self.input_ids[0]
        result = {"input_ids": ids, "attention_mask": inside.long()}
        if self.token_type_ids is not None:
            types = torch.zeros(size, dtype=torch.int64, device=device)
            types[inside] = self.token_type_ids[0]
            result["token_type_ids"] = types
        return result


def make(encoded: Encoded, rows: NDArray[np.int64], targets: Targets | None, whole: bool = False) -> FlatBatch:
    """The batch of the units ``rows``; ``targets`` are those of the whole split."""
    sequences = encoded.sequences(rows)
    starts, ends = encoded.offsets[sequences], encoded.offsets[sequences + 1]
    ids = np.concatenate([encoded.ids[s:e] for s, e in zip(starts, ends, strict=True)]).astype(np.int64)
    where = layout(torch.from_numpy(np.asarray(ends - starts)))
    positions = where.positions()
    types = None
    second = encoded.second[sequences]
    if (second >= 0).any():
        border = torch.from_numpy(np.where(second < 0, np.iinfo(np.int32).max, second).astype(np.int64))
        types = (positions[0] >= torch.repeat_interleave(border, where.lengths)).long().unsqueeze(0)
    return FlatBatch(encoded, rows, torch.from_numpy(ids).unsqueeze(0), positions, types, where, targets, whole)


@dataclass(frozen=True, slots=True)
class TrainingBatches:
    """The batches of a training split, epoch after epoch."""

    encoded: Encoded
    targets: Targets
    batch_tokens: int
    seed: int
    whole: bool = False
    shares: NDArray[np.float64] | None = None
    """(U,) how often each unit is seen beside the others; None: each once an epoch."""

    @property
    def per_epoch(self) -> int:
        """Batches in the first epoch; later ones have about as many."""
        return len(self._order(0))

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        return order.shuffled(self.encoded.lengths, self.batch_tokens, self.seed, epoch, self.shares)

    def rows_of(self, epoch: int) -> list[NDArray[np.int64]]:
        """The numbers of the units in each batch of ``epoch``."""
        return self._order(epoch)

    def starting_at(self, epoch: int, index: int) -> Iterator[FlatBatch]:
        """The batches of ``epoch`` from its ``index``-th on."""
        for rows in self._order(epoch)[index:]:
            yield make(self.encoded, rows, self.targets, self.whole)


def for_prediction(encoded: Encoded, batch_tokens: int, targets: Targets | None = None) -> Iterator[FlatBatch]:
    """All units once, in batches of like length."""
    for rows in order.by_length(encoded.lengths, batch_tokens):
        yield make(encoded, rows, targets)


def collect(
    compute: Callable[[FlatBatch], Tensor],
    encoded: Encoded,
    batch_tokens: int,
    per_token: bool,
    progress: Callable[[int], None] | None = None,
) -> Tensor:
    """``compute(batch)`` (B * parts, W) or (T, W) of every sequence, in their order: (S, W) or (N, W) float32.

    :param progress: receives the number of units done.
    """
    result = torch.empty(0)
    size = encoded.num_tokens if per_token else encoded.num_sequences
    done = 0
    with torch.inference_mode():
        for batch in for_prediction(encoded, batch_tokens):
            found = compute(batch).float().cpu()
            if not result.numel():
                result = torch.empty(size, found.shape[1])
            numbers = token_numbers(encoded.offsets, batch.sequences) if per_token else batch.sequences
            result[torch.from_numpy(numbers)] = found
            done += len(batch.rows)
            if progress:
                progress(done)
    return result
