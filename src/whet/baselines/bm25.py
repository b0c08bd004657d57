"""BM25: what search engines do without any model (k1 = 1.2, b = 0.75)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material, Said
from whet.baselines.pairs import Search, answers
from whet.data.relevance_words import Bm25

NAME = "bm25"


@dataclass(frozen=True, slots=True)
class ByBm25:
    """``known``: the second texts of training, by which words are rare; passages to search are counted themselves.

    The numbers of pairs are on the scale of the training scores: ``level`` + ``slope`` * BM25.
    """

    known: Bm25
    level: float = 0.0
    slope: float = 1.0

    def pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """(n,) the score of the second text for the first, as a query."""
        return self.level + self.slope * self.known.pairs(firsts, seconds)

    def search(self, passages: Sequence[str]) -> Search:
        """Scores of all passages."""
        return Bm25.of(passages).scores


def fit(material: Material, seed: int) -> Said:
    """Count the words of training, answer for the other splits."""
    train = material.splits["train"]
    known = Bm25.of(train.column("text_pair"))
    if material.task == "ranking" or not train.shape.has("score"):
        return answers(NAME, material, ByBm25(known), spread=False)
    found = known.pairs(train.column("text"), train.column("text_pair"))
    return answers(NAME, material, ByBm25(known, *rising_line(found, train.scores)), spread=False)


def rising_line(values: NDArray[np.float64], wanted: NDArray[np.float64]) -> tuple[float, float]:
    """Level and slope of the line through ``values`` that comes nearest to ``wanted``; it keeps their order."""
    centred = values - values.mean()
    spread = float(centred @ centred)
    slope = float(centred @ wanted) / spread if spread else 1.0
    slope = slope if slope > 0 else 1e-9  # numbers that fall as scores rise say nothing: all but level
    return float(wanted.mean() - slope * values.mean()), slope
