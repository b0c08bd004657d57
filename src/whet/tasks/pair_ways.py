"""Four ways to learn from pairs of texts: against scores or by what belongs together, each text apart or both together.

A pair task picks one by its rows and options, and hands everything on to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Encoded
from whet.batches.flat import Targets
from whet.data.forms import Examples
from whet.data.predictions import RankPredictions
from whet.data.relevance import ndcg, pool_of, rank_predictions, relevance_of
from whet.engine.protocols import Objective
from whet.tasks import pair_rows
from whet.tasks.pair_answers import Scale, apart_cosines, apart_ranks, has_third, together_values
from whet.tasks.pair_encoding import rows_of, text_keys
from whet.tasks.pair_losses import (
    ContrastiveLoss,
    PairLoss,
    ScoreLoss,
    cosent_loss,
    cosine_loss,
    known_pairs,
    sigmoid_loss,
)
from whet.tasks.pair_rows import Mining
from whet.tasks.reranking import among_encoded, reranked
from whet.tasks.task import Columns

LOOK_UNITS = 32
"""Units over which a loss that couples them is computed for looking at: about a batch."""
ROWS = Callable[[Examples, Mining], Iterable[Columns]]


class Way(Protocol):
    """How a pair task learns. Shapes as in :class:`whet.tasks.task.Task`."""

    @property
    def score(self) -> str:
        """Key of :meth:`look` by which the best state is kept."""
        ...

    @property
    def coupled(self) -> bool:
        """Whether the loss compares the units of a batch."""
        ...

    def blocks(self, examples: Examples, mining: Mining) -> Iterable[Columns]:
        """The training rows as they are encoded."""
        ...

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """The truth for training."""
        ...

    def objective(self) -> Objective[Any]:
        """What is minimised."""
        ...

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss and quick score."""
        ...

    def floor(self, examples: Examples) -> float:
        """The quick score of saying the same of every pair."""
        ...


# --- against scores -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScoredApart:
    """Cosines of two vectors against scores: 'cosent' by their order, 'cosine' by themselves on a scale of 0 to 1."""

    scale: Scale
    loss: str
    temperature: float
    score: str = field(default="spearman", init=False)

    @property
    def coupled(self) -> bool:
        """CoSENT compares the pairs of a batch."""
        return self.loss == "cosent"

    def blocks(self, examples: Examples, mining: Mining) -> Iterable[Columns]:
        """As they stand."""
        return pair_rows.plain(examples)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(n,) float32, 0 to 1."""
        return _shares(self.scale, examples)

    def _of(self) -> PairLoss:
        return partial(cosent_loss, temperature=self.temperature) if self.coupled else cosine_loss

    def objective(self) -> Objective[Any]:
        """The chosen loss."""
        return ScoreLoss(self._of())

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss per pair, and Spearman's correlation."""
        targets = self.targets(examples, encoded).values
        return {
            "loss": _mean_loss(self._of(), outputs, targets, 2),
            "spearman": spearman(apart_cosines(outputs, encoded, len(examples)), targets.numpy()),
        }

    def floor(self, examples: Examples) -> float:
        """No correlation."""
        return 0.0


@dataclass(frozen=True, slots=True)
class ScoredTogether:
    """The sigmoid of one output for both texts against scores on a scale of 0 to 1."""

    scale: Scale
    score: str = field(default="spearman", init=False)
    coupled: bool = field(default=False, init=False)

    def blocks(self, examples: Examples, mining: Mining) -> Iterable[Columns]:
        """As they stand."""
        return pair_rows.plain(examples)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(n,) float32, 0 to 1."""
        return _shares(self.scale, examples)

    def objective(self) -> Objective[Any]:
        """Binary cross-entropy."""
        return ScoreLoss(sigmoid_loss)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss (nats per pair), and Spearman's correlation."""
        targets = self.targets(examples, encoded).values
        said = together_values(outputs, encoded, len(examples))
        return {
            "loss": _mean_loss(sigmoid_loss, outputs, targets, 1),
            "spearman": spearman(said, targets.numpy()),
        }

    def floor(self, examples: Examples) -> float:
        """No correlation."""
        return 0.0


def _shares(scale: Scale, examples: Examples) -> Targets:
    scores = examples.scores
    return Targets(torch.from_numpy(scale.shares(scores).astype(np.float32)))


def spearman(said: NDArray[Any], true: NDArray[Any]) -> float:
    """Spearman's rank correlation; 0 where either side is the same throughout."""
    from scipy.stats import rankdata

    one, other = (rankdata(values) - (len(values) + 1) / 2 for values in (said, true))
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale else 0.0


def _mean_loss(of: PairLoss, outputs: Tensor, targets: Tensor, parts: int) -> float:
    """Per unit, over :data:`LOOK_UNITS` at a time."""
    pieces = zip(outputs.split(LOOK_UNITS * parts), targets.split(LOOK_UNITS), strict=True)
    return sum(float(of(some, truth)) for some, truth in pieces) / max(1, len(targets))


# --- by what belongs together ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RelatedApart:
    """Each anchor's positive against all other texts of its batch, by the cosine of their vectors."""

    rows: ROWS
    temperature: float
    score: str = field(default="ndcg_at_10", init=False)
    coupled: bool = field(default=True, init=False)

    def blocks(self, examples: Examples, mining: Mining) -> Iterable[Columns]:
        """With the negatives there are."""
        return self.rows(examples, mining)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(U, 4) int64: keys of a unit's texts (0 for none), and whether its anchor has a positive in it.

        It has where the row is a relevant passage, and where the third text is one that is not:
        the second is then a relevant one of the same query.
        """
        keys = text_keys(encoded).reshape(len(encoded), encoded.parts)
        third = keys[:, 2] if encoded.parts > 2 else np.zeros(len(encoded), np.int64)
        relevant = (relevance_of(examples) > 0)[rows_of(encoded)]
        counts = (relevant | (third != 0)).astype(np.int64)
        return Targets(torch.from_numpy(np.stack([keys[:, 0], keys[:, 1], third, counts], axis=1)))

    def objective(self) -> Objective[Any]:
        """In-batch negatives."""
        return ContrastiveLoss(self.temperature)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss (nats per anchor, in batches of :data:`LOOK_UNITS` units), and nDCG@10 among the split's passages."""
        targets = self.targets(examples, encoded).values
        of = partial(ContrastiveLoss(self.temperature).of, known=known_pairs(targets))
        anchors = max(1, int(targets[:, 3].sum()))
        loss = _mean_loss(of, outputs, targets, encoded.parts) * len(targets) / anchors
        return {"loss": loss, "ndcg_at_10": ndcg(self.ranks("", outputs, encoded, examples))}

    def ranks(self, model: str, outputs: Tensor, encoded: Encoded, examples: Examples) -> RankPredictions:
        """Every query against all passages."""
        units = np.searchsorted(rows_of(encoded), np.arange(len(examples)))
        moved = (relevance_of(examples) <= 0) & has_third(encoded)[units]
        return apart_ranks(model, outputs, encoded, examples, np.where(moved, 2, 1))

    def floor(self, examples: Examples) -> float:
        """nDCG@10 of all passages in one order, whatever the query."""
        return same_order(examples)


@dataclass(frozen=True, slots=True)
class RelatedTogether:
    """Whether a passage belongs to a query: the sigmoid of one output for both."""

    rows: ROWS
    depth: int
    score: str = field(default="ndcg_at_10", init=False)
    coupled: bool = field(default=False, init=False)

    def blocks(self, examples: Examples, mining: Mining) -> Iterable[Columns]:
        """With the negatives there are, as pairs of their own."""
        return self.rows(examples, mining)

    def targets(self, examples: Examples, encoded: Encoded) -> Targets:
        """(U,) float32: 1 where the pair is a row's own and relevant, else 0."""
        rows = rows_of(encoded)
        own = np.diff(rows, prepend=-1) > 0
        relevant = (relevance_of(examples) > 0)[rows]
        return Targets(torch.from_numpy((own & relevant).astype(np.float32)))

    def objective(self) -> Objective[Any]:
        """Binary cross-entropy."""
        return ScoreLoss(sigmoid_loss)

    def look(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> dict[str, float]:
        """Loss (nats per pair), and nDCG@10: of training rows among what was encoded, else as it will be in use."""
        targets = self.targets(examples, encoded).values
        loss = _mean_loss(sigmoid_loss, outputs, targets, 1)
        return {"loss": loss, "ndcg_at_10": ndcg(self.ranks(outputs, encoded, examples))}

    def ranks(self, outputs: Tensor, encoded: Encoded, examples: Examples) -> RankPredictions:
        """The passages of each query in order."""
        if examples.split == "train":
            return among_encoded(outputs, encoded, examples)
        return reranked("", outputs, encoded, examples, self.depth)

    def floor(self, examples: Examples) -> float:
        """nDCG@10 of all passages in one order, whatever the query."""
        return same_order(examples)


def same_order(examples: Examples) -> float:
    """nDCG@10 of every query with the passages in one order."""
    pool = pool_of(examples)
    size = len(pool.passages)
    return ndcg(rank_predictions("", examples, pool, lambda some: np.zeros((len(some), size), np.float32)))
