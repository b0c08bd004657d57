"""The cosine of two texts by the words they share, rare ones counting more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material, Said
from whet.baselines.pairs import Search, answers
from whet.data.relevance_words import Vocabulary

NAME = "tfidf_cosine"


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
class TfidfCosine:
    """``words``: rarities by the training texts, for pairs; of passages to search, by themselves."""

    words: Tfidf

    def pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """(n,) cosines."""
        return self.words.cosines(firsts, seconds)

    def search(self, passages: Sequence[str]) -> Search:
        """Cosines with all passages."""
        words = Tfidf.of(passages)
        table = words.rows(passages).T.tocsr()
        return lambda queries: np.asarray((words.rows(queries) @ table).toarray(), dtype=np.float32)


def fit(material: Material, seed: int) -> Said:
    """Learn the words of training, answer for the other splits."""
    train = material.splits["train"]
    words = Tfidf.of([*train.column("text"), *train.column("text_pair")])
    return answers(NAME, material, TfidfCosine(words), spread=True)
