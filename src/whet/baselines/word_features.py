"""What a linear tagger looks at: a word, its shape, beginning and end, and the words around it.

Features belong to different words, of which there are few; each word of a text then gathers those of its own
and of its neighbours, so that rows of some hundred thousand words take a second.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

EDGE = ""
"""Stands before the first word of a row and behind the last."""

AFFIXES = (1, 2, 3, 4)
_LETTER, _DIGIT, _REPEATED = re.compile(r"[^\W\d_]"), re.compile(r"\d"), re.compile(r"(.)\1{2,}", re.DOTALL)


def shape(word: str) -> str:
    """``"Xxx9-x"``: capitals, letters and digits as one each, no more than two alike in a row."""
    letters = _LETTER.sub(lambda found: "X" if found[0].isupper() else "x", word)
    return _REPEATED.sub(r"\1\1", _DIGIT.sub("9", letters))


def of_the_word(word: str) -> list[str]:
    """The word as it is and in lower case, its shape, its first and last letters."""
    low = word.casefold()
    ends = [f"{size}:{low[:size]}" for size in AFFIXES] + [f"-{size}:{low[-size:]}" for size in AFFIXES]
    return [f"w:{word}", f"l:{low}", f"s:{shape(word)}", *ends]


def of_a_neighbour(word: str) -> list[str]:
    """Less of the words beside it."""
    low = word.casefold()
    return [f"l:{low}", f"s:{shape(word)}", f"3:{low[:3]}", f"-3:{low[-3:]}"]


def of_one_further(word: str) -> list[str]:
    """Least of those beyond."""
    return [word.casefold()]


PLACES = ((of_the_word, (0,)), (of_a_neighbour, (-1, 1)), (of_one_further, (-2, 2)))
"""What is looked at, and how far from the word."""


@dataclass(slots=True)
class WordFeatures:
    """Features known from training; the others of a word count for nothing."""

    known: list[Any] = field(default_factory=list)
    pairs: list[Any] = field(default_factory=list)

    def fit(self, rows: Sequence[Sequence[str]]) -> Any:
        """Learn which features there are; the same as :meth:`transform` of the rows."""
        return self._matrix(rows, learn=True)

    def transform(self, rows: Sequence[Sequence[str]]) -> Any:
        """(W, F) sparse matrix of the W words of all rows."""
        return self._matrix(rows, learn=False)

    def _matrix(self, rows: Sequence[Sequence[str]], learn: bool) -> Any:
        from scipy.sparse import hstack
        from sklearn.feature_extraction.text import CountVectorizer

        index = {EDGE: 0}
        edges = [0, 0]
        flat = np.asarray(
            [*edges, *chain.from_iterable([*(index.setdefault(w, len(index)) for w in row), *edges] for row in rows)]
        )
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        at = np.arange(int(lengths.sum())) + np.repeat(2 + 2 * np.arange(len(rows)), lengths)
        words = list(index)
        parts = []
        for number, (look, steps) in enumerate(PLACES):
            if learn:
                self.known.append(CountVectorizer(analyzer=look, binary=True, dtype=np.float32).fit(words))
            table = self.known[number].transform(words)
            parts += [table[flat[at + step]] for step in steps]
        low = [word.casefold() for word in words]
        for number, (left, right) in enumerate(((-1, 0), (0, 1))):
            pairs = [[f"{low[a]} {low[b]}"] for a, b in zip(flat[at + left], flat[at + right], strict=True)]
            if learn:  # a pair that stands but once says nothing of other texts
                counter = CountVectorizer(analyzer=list, binary=True, dtype=np.float32, min_df=min(2, len(pairs)))
                self.pairs.append(_fitted(counter, pairs))
            if self.pairs[number] is not None:
                parts.append(self.pairs[number].transform(pairs))
        return hstack(parts, format="csr")


def _fitted(counter: Any, documents: Sequence[list[str]]) -> Any:
    """The vectoriser, or None where no feature is frequent enough."""
    try:
        return counter.fit(documents)
    except ValueError:
        return None
