"""Texts as counts of their words, and BM25 on them: finding passages by the words they share with a query."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
"""How soon further occurrences of a word stop counting."""
B = 0.75
"""How much long passages are held back: 0 not at all, 1 in proportion."""

# kana and Han characters are words of their own: their scripts put no blanks between words
_OWN = "\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(f"[{_OWN}]|[^\\W{_OWN}]+")


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return _WORD.findall(text.lower())


@dataclass(slots=True)
class Vocabulary:
    """Words by number; grows until it is ``closed``, then leaves unknown words out."""

    numbers: dict[str, int] = field(default_factory=dict)
    closed: bool = False

    def counts(self, texts: Iterable[str]) -> Any:
        """A sparse (n, V) matrix of float64: how often each word occurs. V is at least 1."""
        from scipy.sparse import csr_matrix

        columns, ends = array("q"), array("q", [0])
        for text in texts:
            for word in words(text):
                number = self.numbers.get(word) if self.closed else self.numbers.setdefault(word, len(self.numbers))
                if number is not None:
                    columns.append(number)
            ends.append(len(columns))
        found = csr_matrix(
            (np.ones(len(columns)), np.asarray(columns), np.asarray(ends)), (len(ends) - 1, max(1, len(self.numbers)))
        )
        found.sum_duplicates()
        return found


@dataclass(frozen=True, slots=True)
class Bm25:
    """P passages ready to be searched.

    Score of a passage: the sum over the query's words of idf * f (k1 + 1) / (f + k1 (1 - b + b length / mean length)),
    f being how often the passage has the word, idf = log(1 + (P - d + 0.5) / (d + 0.5)) with d passages that have it.

    - ``vocabulary``: V words; ``idf`` (V,); ``mean_length`` in words; ``weights``: sparse (P, V), idf included.
    """

    vocabulary: Vocabulary
    idf: NDArray[np.float64]
    mean_length: float
    weights: Any

    @staticmethod
    def of(passages: Sequence[str]) -> Bm25:
        """Count the words of ``passages``."""
        vocabulary = Vocabulary()
        counts = vocabulary.counts(passages)
        vocabulary.closed = True
        having = np.bincount(counts.indices, minlength=counts.shape[1])
        idf = np.log1p((len(passages) - having + 0.5) / (having + 0.5))
        mean_length = float(counts.sum()) / max(1, len(passages)) or 1.0
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        return Bm25(vocabulary, idf, mean_length, _weights(counts, lengths / mean_length, idf))

    def scores(self, queries: Sequence[str]) -> NDArray[np.float32]:
        """(q, P): each query against all passages."""
        found = self.vocabulary.counts(queries) @ self.weights.T
        return np.asarray(found.toarray(), dtype=np.float32)

    def pairs(self, queries: Sequence[str], passages: Sequence[str]) -> NDArray[np.float64]:
        """(n,) each query against the passage beside it, which need not be one of the P."""
        lengths = np.asarray([len(words(passage)) for passage in passages], dtype=np.float64)
        weights = _weights(self.vocabulary.counts(passages), lengths / self.mean_length, self.idf)
        return np.asarray(self.vocabulary.counts(queries).multiply(weights).sum(axis=1), dtype=np.float64).ravel()


def _weights(counts: Any, lengths: NDArray[np.float64], idf: NDArray[np.float64]) -> Any:
    """What each word of each passage adds to its score; ``lengths`` (n,) as shares of the mean one."""
    held = np.repeat(K1 * (1 - B + B * lengths), np.diff(counts.indptr))
    found = counts.copy()
    found.data = idf[counts.indices] * counts.data * (K1 + 1) / (counts.data + held)
    return found
