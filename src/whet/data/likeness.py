"""How much a text of a pool is like those of a target, by hashed words, and which rows are chosen by it.

DSIR (arXiv 2302.03169): a text is a bag of hashed words and pairs of neighbouring words; target and pool are each a
distribution over the buckets; the weight of a text is its likelihood under the one over that under the other, and rows
are drawn without replacement in proportion to their weights, by Gumbel noise on the logarithms. Published for pieces of
one length; texts of several count as if they were of their mean length (:func:`log_weights`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from whet.seeds import generator

BUCKETS = 10_000
EMPTY = 1e-8
"""Added to the probability of every bucket, as published, so that one that never occurred has a logarithm."""
_WORDS = re.compile(r"\w+|[^\w\s]+")
_MIXING = np.uint64(0x9E3779B97F4A7C15)
Floats = NDArray[np.float64]


class Buckets:
    """Texts to buckets; words are hashed once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def of(self, text: str) -> NDArray[np.int64]:
        """The bucket of each word of ``text``, then of each pair of neighbours; lower case counts."""
        words = np.asarray([self._hash(word) for word in _WORDS.findall(text.lower())], np.uint64)
        pairs = (words[:-1] * _MIXING) ^ words[1:]
        pairs ^= pairs >> np.uint64(31)  # high digits into the low ones, which alone decide the bucket
        return (np.concatenate([words, pairs]) % np.uint64(BUCKETS)).astype(np.int64)

    def _hash(self, word: str) -> int:
        found = self._known.get(word)
        if found is None:
            found = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
            self._known[word] = found
        return found

    def counted(self, texts: Iterable[str]) -> Floats:
        """(B,) how often each bucket occurs in all of ``texts``."""
        found = np.zeros(BUCKETS)
        for text in texts:
            np.add.at(found, self.of(text), 1.0)
        return found


def distribution(counts: Floats) -> Floats:
    """(B,) the share of each bucket."""
    return counts / max(1.0, float(counts.sum()))


def log_ratios(target: Floats, pool: Floats) -> Floats:
    """(B,) log p_target - log p_pool of each bucket, from counts."""
    found: Floats = np.log(distribution(target) + EMPTY) - np.log(distribution(pool) + EMPTY)
    return found


def log_weights(texts: Iterable[str], ratios: Floats, buckets: Buckets, even: bool = True) -> Floats:
    """(n,) the logarithm of each text's importance, each taken as a text of the pool's mean length.

    :param even: False: the sum of a text's ratios, as published, however long it is.

    The sum of a text's ratios, as published for pieces of one length, goes with its length: of a pool of long and short
    texts it chooses the short ones, whatever they say. The mean does, too, since that of few words is mostly chance; so
    each is drawn towards the pool's by as many words as a text has on average. A text of that length weighs what is
    published.
    """
    sums, sizes = [], []
    for text in texts:
        found = buckets.of(text)
        sums.append(float(ratios[found].sum()))
        sizes.append(len(found))
    lengths, totals = np.asarray(sizes, np.float64), np.asarray(sums, np.float64)
    if not even:
        return totals
    length = float(lengths.mean()) if len(lengths) else 0.0
    usual = float(totals.sum()) / max(1.0, float(lengths.sum()))
    apart: Floats = (totals - lengths * usual) / np.maximum(1.0, (lengths + length) / 2)
    return (apart + usual) * length


def median_words(texts: Iterable[str]) -> float:
    """How many words, punctuation among them, half of ``texts`` have at most."""
    return float(np.median([len(_WORDS.findall(text)) for text in texts] or [0]))


def drawn(weights: Floats, count: int, seed: int) -> NDArray[np.int64]:
    """(count,) rows drawn without replacement in proportion to exp(weights), in their order."""
    noisy = weights + generator(seed, "choose rows").gumbel(size=len(weights))
    return highest(noisy, count)


def highest(values: Floats, count: int) -> NDArray[np.int64]:
    """(count,) rows of the highest values, in their order; of equal ones the first."""
    return np.sort(np.argsort(-values, kind="stable")[:count])


def divergence(target: Floats, other: Floats) -> float:
    """KL of the target's distribution to another one, in nats, from counts; one is added to every count.

    The published measure of how well rows were chosen is by how much it falls.
    """
    p, q = distribution(target + 1.0), distribution(other + 1.0)
    return float((p * np.log(p / q)).sum())


def nearness(texts: NDArray[np.float32], target: NDArray[np.float32], neighbours: int, block: int = 2048) -> Floats:
    """(n,) mean cosine of each text to its nearest ``neighbours`` of the target.

    :param texts: (n, F) vectors of length 1; target: (m, F) the same.
    """
    k, found = min(neighbours, len(target)), np.empty(len(texts))
    for start in range(0, len(texts), block):
        cosines = texts[start : start + block] @ target.T
        found[start : start + block] = np.partition(cosines, len(target) - k, axis=1)[:, -k:].mean(1)
    return found


def shown(texts: Sequence[str], weights: Floats, rows: NDArray[np.int64], most: int = 200) -> list[dict[str, object]]:
    """Beginnings of texts with their weights and rows, for the record."""
    return [
        {"text": text[:most], "weight": round(float(weights[row]), 4), "row": int(row)}
        for text, row in zip(texts, rows, strict=True)
    ]
