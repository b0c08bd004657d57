"""General text among a task's rows: what a base was trained on before goes on being trained a little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.batches import order
from whet.batches.encoding import BY_TOKEN, Counted, Encoded, Piece, gather
from whet.batches.flat import TrainingBatches

BLOCK = 4096
"""Units that are copied at once."""
NOTHING = {"places": -1, "weights": 0.0, "words": -1}
"""What a column says of a token that it has nothing to say of."""


@dataclass(frozen=True, slots=True)
class ReplayBatches(TrainingBatches):
    """The batches of a task's rows and of general text together.

    - ``encoded``: the task's units first, ``own`` of them, then those of general text (:func:`joined`).
    - ``share``: of the tokens of an epoch that are general text.

    General text is read pass after pass, each in an order of its own, and an epoch goes on where the last one ended.
    """

    own: int = 0
    share: float = 0.0

    @property
    def budget(self) -> int:
        """Tokens of general text in an epoch."""
        own = int(self.encoded.lengths[: self.own].sum())
        return round(own * self.share / (1 - self.share))

    def drawn(self, epoch: int) -> NDArray[np.int64]:
        """The units of general text in ``epoch``: about :attr:`budget` tokens, to within one unit."""
        pool = np.arange(self.own, len(self.encoded))
        lengths = self.encoded.lengths[self.own :]
        whole = int(lengths.sum())
        first, last = epoch * self.budget, (epoch + 1) * self.budget
        found = []
        for number in range(first // whole, -(-last // whole)):
            turn = seeds.generator(self.seed, "replay", number).permutation(len(pool))
            starts = number * whole + np.cumsum(lengths[turn]) - lengths[turn]
            found.append(pool[turn[(starts >= first) & (starts < last)]])
        return np.concatenate(found) if found else pool[:0]

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        units = np.concatenate([np.arange(self.own), self.drawn(epoch)])
        batches = order.shuffled(self.encoded.lengths[units], self.batch_tokens, self.seed, epoch)
        return [units[rows] for rows in batches]


def joined(rows: Encoded, general: Encoded, into: Path | None) -> Encoded:
    """The units of a task and of general text in one, memory-mapped in ``into`` or in memory.

    :raises ValueError: their units are not of as many sequences.
    """
    if rows.parts != general.parts:
        raise ValueError(f"units of {rows.parts} and of {general.parts} sequences cannot be joined")
    counted = Counted(rows.cut.limit, rows.cut.rows, rows.cut.tokens_cut, rows.cut.tokens_total)
    last = -1 if rows.rows is None else int(np.max(rows.rows, initial=-1))
    names = tuple(rows.by_token)
    after = None if rows.rows is None else last + 1
    pieces = [_pieces(rows, names, None if rows.rows is None else 0), _pieces(general, names, after)]
    return gather((piece for some in pieces for piece in some), counted, into, rows.parts)


def _pieces(encoded: Encoded, names: tuple[str, ...], first_row: int | None) -> Iterator[Piece]:
    """Its sequences in blocks, with a column for each of ``names``; rows counted from ``first_row`` on."""
    origin = np.arange(encoded.num_sequences) // encoded.parts if encoded.rows is None else encoded.rows
    for start in range(0, encoded.num_sequences, BLOCK * encoded.parts):
        end = min(encoded.num_sequences, start + BLOCK * encoded.parts)
        tokens = slice(int(encoded.offsets[start]), int(encoded.offsets[end]))
        columns: dict[str, Any] = {name: _column(encoded, name, tokens) for name in names}
        yield Piece(
            np.asarray(encoded.ids[tokens]),
            np.diff(encoded.offsets[start : end + 1]),
            np.asarray(encoded.second[start:end]),
            None if first_row is None else np.asarray(origin[start:end]) + first_row,
            **columns,
        )


def _column(encoded: Encoded, name: str, tokens: slice) -> NDArray[Any]:
    found = getattr(encoded, name)
    if found is not None:
        return np.asarray(found[tokens])
    size = tokens.stop - tokens.start
    shape = (size, 2) if name == "places" else (size,)
    return np.full(shape, NOTHING[name], BY_TOKEN[name])
