"""The likeliest answers among all spans of a context, and how likely it is that there is none.

A span of tokens i to j scores ``start_i + end_j``, less what the window's first token scores, which
stands for "no answer". So the windows of one context can be set beside each other, and 0 is the score
of no answer. A span that stands in two windows counts in the one where it stands further from the edge.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from whet.batches.encoding import Encoded

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

MOST_SCORES = 1 << 22
"""Spans whose scores are held at once."""


@dataclass(frozen=True, slots=True)
class Found:
    """Of n rows: the best spans, and the sum over all.

    - ``spans``: for each row (start, end, score) in characters of the context, best first, none twice.
    - ``total`` (n,): log of the sum of exp(score) over all spans; -inf where there is no span.
    """

    spans: list[list[tuple[int, int, float]]]
    total: Floats


@dataclass(frozen=True, slots=True)
class Contexts:
    """The context tokens of S windows: ``places[starts[i] : starts[i] + sizes[i]]``.

    ``split``, (S, 2): twice the character around which what stands here and in the window before, or
    after, is divided; ``shared``, (S, 2): where what both have ends, or begins.
    """

    starts: Ints
    sizes: Ints
    shared: NDArray[np.float64]
    split: NDArray[np.float64]

    @staticmethod
    def of(encoded: Encoded) -> Contexts:
        """Read off the places of tokens."""
        places = encoded.places
        assert places is not None
        inside = np.flatnonzero(places[:, 0] >= 0)
        begin, end = (np.searchsorted(inside, encoded.offsets[part]) for part in (slice(None, -1), slice(1, None)))
        sizes = end - begin
        starts = inside[np.minimum(begin, len(inside) - 1)] if len(inside) else np.zeros(len(sizes), np.int64)
        shared = np.tile([-np.inf, np.inf], (len(sizes), 1))
        split = np.zeros((len(sizes), 2))
        if encoded.rows is not None and len(inside):
            first = places[starts, 0].astype(np.float64)
            last = places[starts + np.maximum(sizes, 1) - 1, 1].astype(np.float64)
            follows = np.flatnonzero((np.diff(encoded.rows) == 0) & (sizes[1:] > 0) & (sizes[:-1] > 0))
            shared[follows + 1, 0], shared[follows, 1] = last[follows], first[follows + 1]
            split[follows + 1, 0] = split[follows, 1] = last[follows] + first[follows + 1]
        return Contexts(starts, sizes, shared, split)


def search(outputs: NDArray[np.float32], encoded: Encoded, num_rows: int, max_tokens: int, nbest: int) -> Found:
    """The ``nbest`` best spans of at most ``max_tokens`` tokens of every row.

    :param outputs: (N, 2) start and end scores of all tokens.
    """
    contexts = Contexts.of(encoded)
    windows = len(contexts.sizes)
    rows = np.arange(windows) if encoded.rows is None else np.asarray(encoded.rows)
    sums = np.full(windows, -np.inf)
    best: list[Floats] = [np.zeros((0, 4))]
    for chosen in _chunks(contexts.sizes, max_tokens):
        spans = _Spans.of(outputs, encoded, contexts, chosen, max_tokens)
        sums[chosen] = spans.log_sums()
        # several tokens can stand for one character, so that some of the best may be the same
        window, score, start, end = spans.best(2 * nbest if nbest > 1 else 1)
        best.append(np.stack([rows[chosen][window].astype(np.float64), -score, start, end], 1))
    return Found(_ranked(np.concatenate(best), num_rows, nbest), _per_row(sums, rows, num_rows))


def _chunks(sizes: Ints, max_tokens: int) -> Iterator[Ints]:
    """Windows that have tokens of a context, of like length."""
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * sizes[order[end]] * max_tokens <= MOST_SCORES:
            end += 1
        yield order[start:end]
        start = end


@dataclass(frozen=True, slots=True)
class _Spans:
    """All spans of W windows of at most L context tokens.

    - ``scores`` (W, L, M) float32: of the span from token i to token i + m; -inf where it is none.
    - ``firsts`` (W, L), ``lasts`` (W, L + M - 1): characters at which tokens begin and end.
    """

    scores: NDArray[np.float32]
    firsts: NDArray[np.int32]
    lasts: NDArray[np.int32]

    @staticmethod
    def of(outputs: NDArray[np.float32], encoded: Encoded, contexts: Contexts, chosen: Ints, max_tokens: int) -> _Spans:
        assert encoded.places is not None
        sizes = contexts.sizes[chosen]
        inside = np.arange(int(sizes.max())) < sizes[:, None]
        tokens = (contexts.starts[chosen][:, None] + np.arange(inside.shape[1]))[inside]
        places = np.asarray(encoded.places[tokens])
        nothing = np.repeat(outputs[encoded.offsets[chosen]], sizes, axis=0)
        values = np.where((places[:, 1] > places[:, 0])[:, None], outputs[tokens] - nothing, -np.inf)
        starts, firsts = _table(values[:, 0], inside, 0, -np.inf), _table(places[:, 0], inside, 0, 0)
        more = max_tokens - 1
        ends, lasts = _table(values[:, 1], inside, more, -np.inf), _table(places[:, 1], inside, more, 0)
        scores = starts[:, :, None] + sliding_window_view(ends, max_tokens, axis=1)
        for part, twice in ((0, False), (1, True)):
            double = np.flatnonzero(np.isfinite(contexts.shared[chosen, part]))
            a, b = firsts[double][:, :, None], sliding_window_view(lasts[double], max_tokens, axis=1)
            edge, split = (one[chosen[double], part, None, None] for one in (contexts.shared, contexts.split))
            elsewhere = (a >= edge) & (a + b >= split) if twice else (b <= edge) & (a + b < split)
            scores[double] = np.where(elsewhere, np.float32(-np.inf), scores[double])
        return _Spans(scores, firsts, lasts)

    def log_sums(self) -> Floats:
        """(W,) log of the sum of exp(score)."""
        most = self.scores.max((1, 2))
        level = np.where(np.isfinite(most), most, np.float32(0))
        with np.errstate(divide="ignore"):
            return np.asarray(level + np.log(np.exp(self.scores - level[:, None, None]).sum((1, 2), dtype=np.float64)))

    def best(self, count: int) -> tuple[Ints, Floats, Ints, Ints]:
        """(t,) window, score, first and last character of up to ``count`` spans of each window."""
        flat = self.scores.reshape(len(self.scores), -1)
        count = min(count, flat.shape[1])
        top = np.argpartition(-flat, count - 1, axis=1)[:, :count] if count > 1 else flat.argmax(1)[:, None]
        window, column = np.repeat(np.arange(len(flat)), count), top.ravel()
        real = np.isfinite(flat[window, column])
        window, column = window[real], column[real]
        start, more = np.divmod(column, self.scores.shape[2])
        score = flat[window, column].astype(np.float64)
        return window, score, self.firsts[window, start].astype(np.int64), self.lasts[window, start + more]


def _table(values: NDArray[Any], inside: NDArray[np.bool_], more: int, otherwise: float) -> NDArray[Any]:
    """``values`` window by window, (W, L + more)."""
    kind = np.float32 if values.dtype.kind == "f" else values.dtype
    table = np.full((len(inside), inside.shape[1] + more), otherwise, kind)
    table[:, : inside.shape[1]][inside] = values
    return table


def _per_row(sums: Floats, rows: Ints, num_rows: int) -> Floats:
    """(n,) log of the sum of exp over the windows of each row."""
    most = np.full(num_rows, -np.inf)
    np.maximum.at(most, rows, sums)
    level = np.where(np.isfinite(most), most, 0)
    added = np.zeros(num_rows)
    np.add.at(added, rows, np.exp(sums - level[rows]))
    with np.errstate(divide="ignore"):
        return np.asarray(level + np.log(added))


def _ranked(table: NDArray[np.float64], num_rows: int, nbest: int) -> list[list[tuple[int, int, float]]]:
    """Rows of (row, -score, start, end) as the best of each row; of equal scores the first in the text."""
    found: list[list[tuple[int, int, float]]] = [[] for _ in range(num_rows)]
    for row, less, start, end in table[np.lexsort(table.T[[3, 2, 1, 0]])].tolist():
        kept = found[int(row)]
        if len(kept) < nbest and all((int(start), int(end)) != one[:2] for one in kept):
            kept.append((int(start), int(end), -less))
    return found
