"""The cosine of two texts by the words they share, rare ones counting more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material, Said
from whet.baselines.pairs import Search, answers
from whet.data.relevance_words import Vocabulary

NAME = "tfidf_cosine"
CELLS_AT_ONCE = 4_000_000
"""Cosines held at once (32 MB)."""


@dataclass(frozen=True, slots=True)
class Tfidf:
    """Sublinear TF-IDF of words: (1 + log f) * (1 + log((1 + n) / (1 + d))), brought to length 1."""

    vocabulary: Vocabulary
    weighting: Any

    @staticmethod
    def of(texts: Sequence[str]) -> Tfidf:
        """Learn the words and how rare they are from ``texts``."""
        from sklearn.feature_extraction.text import TfidfTransformer

        vocabulary = Vocabulary()
        counts = vocabulary.counts(texts)
        vocabulary.closed = True
        return Tfidf(vocabulary, TfidfTransformer(sublinear_tf=True).fit(counts))

    def rows(self, texts: Sequence[str]) -> Any:
        """A sparse (n, V) matrix of rows of length 1, or 0 where no word is known."""
        return self.weighting.transform(self.vocabulary.counts(texts))

    def cosines(self, firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """(n,) of the texts beside each other."""
        return np.asarray(self.rows(firsts).multiply(self.rows(seconds)).sum(axis=1), dtype=np.float64).ravel()


@dataclass(frozen=True, slots=True)
class Searched:
    """N texts to search by their words: ``table`` sparse (V, N)."""

    words: Tfidf
    table: Any

    @staticmethod
    def of(texts: Sequence[str]) -> Searched:
        """Count the words of ``texts``."""
        words = Tfidf.of(texts)
        return Searched(words, words.rows(texts).T.tocsr())

    def cosines(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, N) of each of ``texts`` with all that are searched."""
        return np.asarray((self.words.rows(texts) @ self.table).toarray())

    def blocks(self, texts: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """The same for some of ``texts`` at a time, so that memory stays small."""
        step = max(1, CELLS_AT_ONCE // max(1, self.table.shape[1]))
        for start in range(0, len(texts), step):
            yield self.cosines(texts[start : start + step])


@dataclass(frozen=True, slots=True)
class TfidfCosine:
    """``words``: rarities by the training texts, for pairs; of passages to search, by themselves."""

    words: Tfidf

    def pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """(n,) cosines."""
        return self.words.cosines(firsts, seconds)

    def search(self, passages: Sequence[str]) -> Search:
        """Cosines with all passages."""
        searched = Searched.of(passages)
        return lambda queries: searched.cosines(queries).astype(np.float32)


def fit(material: Material, seed: int) -> Said:
    """Learn the words of training, answer for the other splits."""
    train = material.splits["train"]
    words = Tfidf.of([*train.column("text"), *train.column("text_pair")])
    return answers(NAME, material, TfidfCosine(words), spread=True)
