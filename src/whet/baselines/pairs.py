"""What baselines of pairs share: a number for each pair where rows have scores, else passages in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import ANSWERED, Material, Said
from whet.data.forms import Examples
from whet.data.predictions import Predictions, ValuePredictions
from whet.data.relevance import pool_of, rank_predictions
from whet.data.saying import say_values

Search = Callable[[Sequence[str]], NDArray[np.float32]]
"""q queries to their (q, p) scores of the passages that were given before."""


class Alike(Protocol):
    """Something that says how alike texts are."""

    def pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """(n,) how alike the texts of each row are."""
        ...

    def search(self, passages: Sequence[str]) -> Search:
        """How alike queries are to each of p ``passages``."""
        ...


def answers(name: str, material: Material, alike: Alike, *, spread: bool) -> Said:
    """The answers of baseline ``name`` for validation and test.

    :param spread: numbers of 0 to 1 are spread over the range of the training scores, as a model's are.
    """
    scores = material.task != "ranking" and material.splits["train"].shape.has("score")
    found: dict[str, Predictions] = {}
    for split in ANSWERED:
        rows = material.splits[split]
        found[split] = _values(name, material, rows, alike, spread) if scores else _ranks(name, rows, alike)
    return Said(found)


def _values(name: str, material: Material, rows: Examples, alike: Alike, spread: bool) -> ValuePredictions:
    said = alike.pairs(rows.column("text"), rows.column("text_pair"))
    if spread:
        train = material.splits["train"].scores
        said = train.min() + said * (train.max() - train.min())
    return say_values(name, rows, said, "similarity")


def _ranks(name: str, rows: Examples, alike: Alike) -> Predictions:
    pool = pool_of(rows)
    search = alike.search(rows.rows(pool.passages, "text_pair"))
    texts = rows.texts(pool.queries)
    return rank_predictions(name, rows, pool, lambda some: search([texts[one] for one in some]))
