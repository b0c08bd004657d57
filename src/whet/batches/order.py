"""In which order rows are seen: a pure function of the seed and the epoch, so that resuming is a jump."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet import seeds

WINDOW_BATCHES = 50
"""Rows of so many batches are shuffled together before they are sorted by length."""


def shuffled(
    lengths: NDArray[np.int64],
    batch_tokens: int,
    seed: int,
    epoch: int,
    shares: NDArray[np.float64] | None = None,
) -> list[NDArray[np.int64]]:
    """Batches of row numbers for one epoch, each of about ``batch_tokens`` tokens of like length.

    Shuffle all rows, take windows, sort each by length, cut it into batches, shuffle the batches:
    rows of one batch have nearly equal lengths, yet its company changes every epoch.

    :param lengths: (n,) tokens per row.
    :param shares: (n,) how often each row is seen, beside the others; None: each once.
    """
    random = seeds.generator(seed, "order", epoch)
    drawn = np.arange(len(lengths)) if shares is None else sampled(shares, seed, epoch)
    rows = drawn[random.permutation(len(drawn))]
    ends = np.cumsum(lengths[rows])
    window_tokens = WINDOW_BATCHES * batch_tokens
    num_windows = max(1, round(int(ends[-1]) / window_tokens)) if len(rows) else 1
    marks: Any = np.searchsorted(ends, np.arange(1, num_windows) * (int(ends[-1]) / num_windows)) if len(rows) else []
    batches: list[NDArray[np.int64]] = []
    for window in np.split(rows, marks):
        batches += cut(window[np.argsort(lengths[window], kind="stable")], lengths, batch_tokens)
    return [batches[i] for i in random.permutation(len(batches))]


def sampled(shares: NDArray[np.float64], seed: int, epoch: int) -> NDArray[np.int64]:
    """(n,) row numbers of one epoch, ascending; row i is seen n * shares[i] / sum(shares) times on average.

    Never one time more or less than that, rounded up or down: systematic sampling over the rows in a random order
    within equal shares, so that those of a class, which share a share, come as often together as they should.
    """
    number = len(shares)
    random = seeds.generator(seed, "sample", epoch)
    order = np.lexsort((random.random(number), shares))
    ends = np.cumsum(shares[order] * (number / shares.sum()))
    ends[-1] = number  # whatever rounding did to the sum
    counts = np.diff(np.floor(ends + random.random()), prepend=0.0).astype(np.int64)
    counts[-1] = number - counts[:-1].sum()
    return np.sort(np.repeat(order, counts))


def cut(rows: NDArray[np.int64], lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Cut ``rows``, in their order, into batches that share the tokens evenly.

    The number of batches is fixed by the tokens; cuts fall where they divide them best, so that
    no small remainder is left over.
    """
    if not len(rows):
        return []
    ends = np.cumsum(lengths[rows])
    total = int(ends[-1])
    number = min(len(rows), max(1, round(total / batch_tokens)))
    marks: Any = np.searchsorted(ends, np.arange(1, number) * (total / number), side="left") + 1
    return [piece for piece in np.split(rows, np.unique(np.minimum(marks, len(rows)))) if len(piece)]


def by_length(lengths: NDArray[np.int64], batch_tokens: int) -> list[NDArray[np.int64]]:
    """Batches for prediction: longest first, so that memory runs out at once or never."""
    return cut(np.argsort(-lengths, kind="stable"), lengths, batch_tokens)
