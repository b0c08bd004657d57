"""Training rows with some tokens left out and some neighbours exchanged, drawn anew each time they are seen.

A cheap augmentation in the manner of EDA (arXiv 1901.11196), on tokens. What frames a text is never touched:
tokens of the tokenizer's own, such as [CLS] and [SEP], and the border between two texts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.batches.encoding import Encoded
from whet.batches.flat import FlatBatch, Targets, TrainingBatches, make


@dataclass(frozen=True, slots=True)
class NoisyBatches:
    """The batches of ``plain`` with changed tokens; what is changed is a pure function of the seed and the place.

    - ``deletion``: the chance of a token to be left out; one token of each text always stays.
    - ``swap``: the chance of a token to change places with the next one that stayed.
    - ``fixed``: ids that frame texts, ascending.

    Targets must belong to units, not to tokens.
    """

    plain: TrainingBatches
    deletion: float
    swap: float
    fixed: NDArray[np.int64]

    @property
    def per_epoch(self) -> int:
        """As many as without."""
        return self.plain.per_epoch

    def starting_at(self, epoch: int, index: int) -> Iterator[FlatBatch]:
        """The batches of ``epoch`` from its ``index``-th on."""
        for number, batch in enumerate(self.plain.starting_at(epoch, index), index):
            random = seeds.generator(self.plain.seed, "token noise", epoch, number)
            yield changed(batch, self.deletion, self.swap, self.fixed, random)


def changed(
    batch: FlatBatch, deletion: float, swap: float, fixed: NDArray[np.int64], random: np.random.Generator
) -> FlatBatch:
    """``batch`` with tokens left out and exchanged; its units are counted anew, from 0."""
    some = _own(batch)
    text = texts_of(some)
    kept = _kept(some.ids, text, deletion, fixed, random)
    lengths = np.add.reduceat(kept, some.offsets[:-1]) if some.num_sequences else np.zeros(0, np.int64)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids = _swapped(some.ids[kept], text[kept], swap, fixed, random)
    found = replace(some, ids=ids, offsets=offsets, second=_second(some, kept))
    targets = batch.targets
    rows = np.arange(len(found), dtype=np.int64)
    return make(found, rows, None if targets is None else Targets(targets), batch.whole)


def _own(batch: FlatBatch) -> Encoded:
    """The tokens of ``batch`` alone, in its order."""
    sequences, encoded = batch.sequences, batch.encoded
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(batch.where.lengths.numpy())])
    ids = batch.input_ids[0].numpy().astype(np.uint32)
    return Encoded(ids, offsets, np.asarray(encoded.second[sequences]), encoded.cut, encoded.parts)


def texts_of(encoded: Encoded) -> NDArray[np.int64]:
    """(N,) the number of the text that each token belongs to: a sequence holds one, or two."""
    sequence = np.repeat(np.arange(encoded.num_sequences), np.diff(encoded.offsets))
    place = np.arange(encoded.num_tokens) - encoded.offsets[sequence]
    border = encoded.second[sequence]
    found: NDArray[np.int64] = 2 * sequence + ((border >= 0) & (place >= border))
    return found


def _kept(
    ids: NDArray[np.uint32],
    text: NDArray[np.int64],
    chance: float,
    fixed: NDArray[np.int64],
    random: np.random.Generator,
) -> NDArray[np.bool_]:
    """(N,) which tokens stay: of the words of each text at least the one with the largest draw."""
    words = ~np.isin(ids, fixed)
    drawn = random.random(len(ids))
    kept = ~words | (drawn >= chance)
    best = np.full(int(text.max(initial=-1)) + 1, -1.0)
    np.maximum.at(best, text[words], drawn[words])
    kept |= words & (drawn == best[text])
    return np.asarray(kept)


def _swapped(
    ids: NDArray[np.uint32],
    text: NDArray[np.int64],
    chance: float,
    fixed: NDArray[np.int64],
    random: np.random.Generator,
) -> NDArray[np.uint32]:
    """``ids`` with some words and their next exchanged, where both belong to one text; no word is moved twice."""
    result = ids.copy()
    words = ~np.isin(ids, fixed)
    fits = words[:-1] & words[1:] & (text[:-1] == text[1:])
    wanted = np.flatnonzero(fits & (random.random(max(0, len(ids) - 1)) < chance)) if len(ids) else np.zeros(0, int)
    # of wanted neighbours that follow one another, the first, the third and so on
    starts = np.flatnonzero(np.diff(wanted, prepend=-2) > 1)
    run = np.repeat(starts, np.diff(np.append(starts, len(wanted))))
    first = wanted[(np.arange(len(wanted)) - run) % 2 == 0]
    result[first], result[first + 1] = ids[first + 1], ids[first]
    return result


def _second(encoded: Encoded, kept: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Where second texts start once only ``kept`` tokens are left."""
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)])
    starts = encoded.offsets[:-1]
    moved = before[starts + np.maximum(encoded.second, 0)] - before[starts]
    return np.where(encoded.second < 0, -1, moved).astype(np.int32)
