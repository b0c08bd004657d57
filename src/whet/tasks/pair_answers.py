"""Outputs of pair models as predictions: a number for each pair, or passages in order of their vectors.

``apart`` speaks of a bi-encoder's vectors (S, H), ``together`` of a cross-encoder's logits (S, 1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Encoded
from whet.data.forms import Examples
from whet.data.predictions import RankPredictions
from whet.data.relevance import pool_of, rank_predictions
from whet.tasks.pair_encoding import ABSENT, rows_of
from whet.tasks.pair_losses import cosines


@dataclass(frozen=True, slots=True)
class Scale:
    """The range of the training scores, which a cosine or a share of 0 to 1 is spread over."""

    low: float = 0.0
    high: float = 1.0

    def shares(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores as shares of the range, those beyond it held at its ends."""
        return np.asarray(np.clip((scores - self.low) / (self.high - self.low), 0.0, 1.0))

    def spread(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """The inverse; a cosine below 0 falls below the range."""
        return np.asarray(self.low + shares * (self.high - self.low))


def first_units(encoded: Encoded, num_rows: int) -> NDArray[np.int64]:
    """(n,) the first unit of every row."""
    return np.searchsorted(rows_of(encoded), np.arange(num_rows))


# --- vectors --------------------------------------------------------------------------------------


def apart_cosines(vectors: Tensor, encoded: Encoded, num_rows: int) -> NDArray[np.float64]:
    """(n,) cosine of the two texts of every row."""
    units = vectors.view(len(encoded), encoded.parts, -1)[first_units(encoded, num_rows), :2]
    return cosines(units.reshape(2 * num_rows, -1)).double().numpy()


def apart_ranks(
    model: str, vectors: Tensor, encoded: Encoded, examples: Examples, own: NDArray[np.int64]
) -> RankPredictions:
    """Every query against all passages of its split, by cosine.

    :param own: (n,) which text of its first unit is a row's own passage: 1, or 2.
    """
    pool = pool_of(examples)
    units = first_units(encoded, len(examples)) * encoded.parts
    table = vectors.numpy()
    queries = _unit(table[units[pool.queries]])
    passages = _unit(table[(units + own)[pool.passages]])
    return rank_predictions(model, examples, pool, lambda some: queries[some] @ passages.T)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), dtype=np.float32)


def has_third(encoded: Encoded) -> NDArray[np.bool_]:
    """(U,) whether the third text of a unit stands for one."""
    if encoded.parts < 3:
        return np.zeros(len(encoded), dtype=bool)
    return np.asarray(encoded.second[2::3] != ABSENT)


# --- logits of both texts at once -----------------------------------------------------------------


def together_values(logits: Tensor, encoded: Encoded, num_rows: int) -> NDArray[np.float64]:
    """(n,) sigmoid of the logit of every row's own pair."""
    return logits[first_units(encoded, num_rows), 0].double().sigmoid().numpy()
