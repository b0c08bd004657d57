"""Probabilities of tags into entities: the likeliest sequence of tags that has no break in it.

Tags are numbered as in :mod:`whet.data.entity_arrays`. The one thing not allowed is to go on with an entity
that is not there, so a step needs no table of C by C: to go on with type c there is one place to come from,
and for everything else the best of all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.batches.spread import spread
from whet.data.entity_arrays import Words, spans_of_tags
from whet.data.ragged import Ints, Spans

Floats = NDArray[np.float32]

CELLS = 1 << 24
"""Words times tags that are decoded at once."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """``said``: the entities of each row; ``confidence`` (m,): a probability of each."""

    said: Spans
    confidence: Floats


def decode(words: Words, logs: Floats) -> Decoded:
    """The entities that follow from (W, 2 C + 1) log-probabilities of the tags of W words."""
    tags = best_tags(words.offsets, logs)
    said, first, last = spans_of_tags(words, tags)
    return Decoded(said, _confidence(words, logs, said, first, last))


def best_tags(offsets: Ints, logs: Floats) -> Ints:
    """(W,) the likeliest tags of each row without break; rows end at ``offsets`` (n + 1,)."""
    tags = np.asarray(logs.argmax(axis=1), np.int64)
    row_of = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    # Where the likeliest tags of a row have no break there is nothing to search.
    rows = np.unique(row_of[_breaks(offsets, tags)])
    rows = rows[np.argsort(-(offsets[rows + 1] - offsets[rows]), kind="stable")]
    begin = 0
    while begin < len(rows):
        longest = int(offsets[rows[begin] + 1] - offsets[rows[begin]])
        end = begin + max(1, CELLS // (longest * logs.shape[1]))
        _search(offsets, logs, rows[begin:end], tags)
        begin = end
    return tags


def _breaks(offsets: Ints, tags: Ints) -> NDArray[np.bool_]:
    """(W,) whether a tag goes on with an entity that is not there."""
    before = np.zeros(len(tags), np.int64)
    before[1:] = tags[:-1]
    before[offsets[:-1][offsets[:-1] < len(tags)]] = 0
    found: NDArray[np.bool_] = (tags > 0) & (tags % 2 == 0) & (before != tags) & (before != tags - 1)
    return found


def _search(offsets: Ints, logs: Floats, rows: Ints, tags: Ints) -> None:
    """Viterbi over ``rows``, the longest first, all at once; writes into ``tags``."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    width = logs.shape[1]
    longest = int(lengths[0])
    came_from = np.zeros((longest, len(rows), width), np.int16)
    score = logs[starts].astype(np.float64)
    score[:, 2::2] = -np.inf  # nothing to go on with
    active = np.searchsorted(-lengths, -np.arange(longest), side="left")  # rows longer than each place
    for place in range(1, longest):
        number = int(active[place])
        old = score[:number]
        best = old.argmax(axis=1)
        goes_on = old[:, 2::2] >= old[:, 1::2]
        came_from[place, :number, :] = best[:, None]
        came_from[place, :number, 2::2] = np.arange(1, width, 2) + goes_on
        new = logs[starts[:number] + place] + old.max(axis=1, keepdims=True)
        new[:, 2::2] += np.maximum(old[:, 1::2], old[:, 2::2]) - old.max(axis=1, keepdims=True)
        score[:number] = new
    tag = score.argmax(axis=1)
    for place in range(longest - 1, -1, -1):
        number = int(active[place])
        tags[starts[:number] + place] = tag[:number]
        if place:
            tag[:number] = came_from[place, np.arange(number), tag[:number]]


def _confidence(words: Words, logs: Floats, said: Spans, first: Ints, last: Ints) -> Floats:
    """(m,) of each entity the least certain of its parts: the tag of each word, and that it ends where it ends.

    The parts of an entity are mostly right or wrong together. Of mean, product and least, the least came
    nearest to how often entities are right (five sets, calibrated linear taggers).
    """
    if not len(first):
        return np.zeros(0, np.float32)
    begin, go_on = 1 + 2 * said.types.astype(np.int64), 2 + 2 * said.types.astype(np.int64)
    chances = np.exp(logs.astype(np.float64))
    lengths = last - first
    inside = spread(first, lengths)
    each = chances[inside, np.repeat(go_on, lengths)]
    edges = np.cumsum(lengths) - lengths
    # With nothing of its type before it, B and I say the same of a first word.
    follows = np.zeros(len(first), bool)
    follows[1:] = (last[:-1] == first[1:]) & (said.types[:-1] == said.types[1:]) & (said.rows[:-1] == said.rows[1:])
    each[edges] = chances[first, begin] + np.where(follows, 0.0, chances[first, go_on])
    least = np.minimum.reduceat(each, edges)
    row_ends = words.offsets[said.rows + 1]
    behind = np.minimum(last, len(logs) - 1)
    ends = np.where(last < row_ends, 1.0 - chances[behind, go_on], 1.0)
    return np.clip(np.minimum(least, ends), 0.0, 1.0).astype(np.float32)


def quick_f1(said: Spans, gold: Spans) -> float:
    """Share of entities that agree wholly: twice the hits by the number said and true; 1 where there are none."""
    total = len(said.starts) + len(gold.starts)
    return 1.0 if not total else 2.0 * float(said.stand_in(gold).sum()) / total
