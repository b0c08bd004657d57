"""Span corruption, T5's own objective: spans of a text are taken out, and said in their order (arXiv 1910.10683).

A window of n tokens becomes a source, in which a sentinel stands for each span, and a target: each sentinel with
what it stands for, one more sentinel, and the token that ends a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import FlatBatch, make
from whet.errors import Problem, UserError
from whet.tasks.language_loss import Wanted, token_weights

SHARE, MEAN_LENGTH = 0.15, 3.0
"""Of the tokens that are taken out, and how many stand together on average."""
DRAWN = 2
"""Numbers of 0 to 1 that are needed for each token."""


@dataclass(frozen=True, slots=True)
class Spans:
    """How windows are corrupted.

    - ``sentinels``: token ids, in the order of their use.
    - ``begins``: what every target begins with; ``ends``: what sources and targets end with.
    - ``share``: of the tokens that are taken out.
    """

    sentinels: Sequence[int]
    begins: Sequence[int]
    ends: Sequence[int]
    share: float = SHARE

    def corrupt(self, batch: FlatBatch, drawn: Tensor, all_count: bool) -> Wanted:
        """The windows of ``batch`` as sources and targets.

        :param drawn: (2, T) numbers of 0 to 1, which decide what is taken out.
        :param all_count: sentinels and ends count too, as in training; else the tokens of the text alone.
        :returns: ``said`` are places in ``batch``, of what is none of its tokens the place of its window's first.
        """
        sequences: list[NDArray[np.int64]] = []
        read, said, weights = [], [], []
        done = 0
        own = token_weights(batch) > 0  # what a window repeats of the one before counts there
        starts, lengths = batch.where.starts.tolist(), batch.where.lengths.tolist()
        for start, length in zip(starts, lengths, strict=True):
            ids = batch.input_ids[0][start : start + length].numpy()
            source, target, places = self._pair(ids, drawn[:, start : start + length].numpy())
            done += len(source)
            counted = np.arange(len(self.begins), len(target))
            if not all_count:
                counted = counted[(places[counted] >= 0) & own[start + places[counted]]]
            read.append(done + counted - 1)
            said.append(start + places[counted].clip(min=0))
            sequences += [source, target]
            weights += [np.zeros(len(source), np.float32), np.ones(len(target), np.float32)]
            done += len(target)
        made = _batch(sequences, weights)
        where = torch.from_numpy(np.concatenate(read))
        ids_said = made.input_ids[0][where + 1]
        return Wanted(made, where, torch.from_numpy(np.concatenate(said)), ids_said, torch.ones(len(where)))

    def _pair(
        self, ids: NDArray[np.int64], drawn: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Source and target of a window, and of each target token its place in the window, -1 for none."""
        source: list[int] = []
        target, places = list(self.begins), [-1] * len(self.begins)
        spans = spans_of(len(ids), drawn, self.share, len(self.sentinels) - 1)
        before = 0
        for (start, end), sentinel in zip(spans, self.sentinels, strict=False):
            source += [*ids[before:start], sentinel]
            target += [sentinel, *ids[start:end]]
            places += [-1, *range(start, end)]
            before = end
        source += [*ids[before:], *self.ends]
        target += [self.sentinels[len(spans)], *self.ends]
        places += [-1] * (1 + len(self.ends))
        return np.asarray(source, np.int64), np.asarray(target, np.int64), np.asarray(places, np.int64)


def spans_of(length: int, drawn: NDArray[np.float32], share: float, most: int) -> list[tuple[int, int]]:
    """(start, end) of the spans that are taken out of ``length`` tokens, in order; one at least.

    Tokens that go and tokens that stay are cut into as many pieces each, which take turns; where, is drawn.

    :param drawn: (2, length) numbers of 0 to 1; :param most: spans that there may be.
    """
    out = min(max(1, round(length * share)), max(1, length - 1))
    number = max(1, min(round(out / MEAN_LENGTH), most, out, max(1, length - out)))
    gone, kept = _cut(out, number, drawn[0]), _cut(length - out, number, drawn[1])
    ends = np.cumsum(np.stack([kept, gone], 1).ravel())
    return [(int(ends[2 * one]), int(ends[2 * one + 1])) for one in range(number)]


def _cut(total: int, number: int, drawn: NDArray[np.float32]) -> NDArray[np.int64]:
    """``total`` as the sum of ``number`` pieces, none of them empty where ``total`` allows it."""
    if total < number:
        return np.asarray([total, *[0] * (number - 1)], np.int64)
    places = np.sort(np.argsort(drawn[: total - 1], kind="stable")[: number - 1]) + 1
    found: NDArray[np.int64] = np.diff(np.concatenate([[0], places, [total]])).astype(np.int64)
    return found


def _batch(sequences: Sequence[NDArray[np.int64]], weights: Sequence[NDArray[np.float32]]) -> FlatBatch:
    lengths = [len(one) for one in sequences]
    encoded = Encoded(
        np.concatenate(sequences).astype(np.uint32),
        np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
        np.full(len(sequences), -1, np.int32),
        Cut(0, 0, 0, 0),
        parts=2,
        weights=np.concatenate(weights),
    )
    return make(encoded, np.arange(len(encoded)), None)


def sentinels_of(tokenizer: Any) -> list[int]:
    """Ids of the tokens that stand for spans, as T5 and mT5 name them; fewer than two are none."""
    found: list[int] = []
    while True:
        token = tokenizer.convert_tokens_to_ids(f"<extra_id_{len(found)}>")
        if token is None or token == tokenizer.unk_token_id:
            break
        found.append(int(token))
    return found


def refuse_without(sentinels: Sequence[int]) -> None:
    """:raises UserError: M014, there are no tokens that could stand for spans."""
    if len(sentinels) < 2:
        what = "its tokenizer has no tokens that stand for spans (<extra_id_0> and on), so none can be taken out."
        remedy = (
            "Add some with vocabulary.add (<extra_id_0> to <extra_id_99>), or use a T5 that has them, or a decoder."
        )
        raise UserError(Problem("M014", "the base", what, remedy))
