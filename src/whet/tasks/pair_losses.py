"""Losses over pairs of texts: of vectors against scores, and of what belongs together against what does not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whet.batches.flat import FlatBatch, Targets
from whet.engine.devices import beside
from whet.engine.protocols import StepLoss

_ODD = np.uint64(0x9E3779B97F4A7C15)

PairLoss = Callable[[Tensor, Tensor], Tensor]
"""Outputs of a batch and its targets to the sum over its B units."""


# --- against scores -------------------------------------------------------------------------------


def cosines(vectors: Tensor) -> Tensor:
    """(B,) cosine of the two vectors of each unit, from (2 B, H) that need not have length 1."""
    return F.cosine_similarity(vectors[0::2].float(), vectors[1::2].float(), dim=-1)


def cosine_loss(vectors: Tensor, scores: Tensor) -> Tensor:
    """Squared error of the cosine against a score of 0 to 1, summed over (B,) units."""
    return (cosines(vectors) - scores).pow(2).sum()


def cosent_loss(vectors: Tensor, scores: Tensor, temperature: float) -> Tensor:
    """CoSENT (cosine sentence): pairs of higher score shall have the higher cosine. B times a batch's loss.

    log(1 + sum of exp((cos_j - cos_i) / temperature) over all i, j with score_i > score_j): a smooth form
    of "no pair stands before one that is more alike". Only the order of scores counts.
    """
    scaled = cosines(vectors) / temperature
    gaps = scaled[None, :] - scaled[:, None]
    wrong = gaps[scores[:, None] > scores[None, :]]
    return len(scores) * torch.cat([scaled.new_zeros(1), wrong]).logsumexp(0)


def sigmoid_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Binary cross-entropy of (B, 1) logits against (B,) shares of 0 to 1, summed, in nats."""
    return F.binary_cross_entropy_with_logits(logits[:, 0].float(), scores, reduction="sum")


def squared_loss(values: Tensor, targets: Tensor) -> Tensor:
    """Squared error of (B, 1) values against (B,) targets, summed."""
    return (values[:, 0].float() - targets).pow(2).sum()


class PairObjective(ABC):
    """A loss of what a model says of a batch and of the batch's targets, in the steps that a teacher shares."""

    __slots__ = ()

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """Summed over the units of ``batch``."""
        known = self.known(model, batch)
        return self.loss(model, known, self.said(model, known))

    def known(self, model: nn.Module, batch: FlatBatch) -> tuple[FlatBatch, Tensor]:
        """The batch, and its targets."""
        assert batch.targets is not None
        return batch, batch.targets

    def said(self, model: nn.Module, known: tuple[FlatBatch, Tensor]) -> Tensor:
        """What ``model`` says of the batch: (B, 1), or (B * parts, H) vectors."""
        found: Tensor = model(known[0])
        return found

    @abstractmethod
    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Summed over what is known."""


@dataclass(frozen=True, slots=True)
class ScoreLoss(PairObjective):
    """A loss of outputs and targets as an objective."""

    of: PairLoss

    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Summed over the units that are known."""
        return StepLoss(self.of(said, beside(known[1], said)), len(known[1]))


# --- texts that belong together -------------------------------------------------------------------

ANCHOR, POSITIVE, NEGATIVE, COUNTS = range(4)
"""Columns of the targets (U, 4) int64: keys of a unit's texts, and 1 where its anchor has a positive.

Equal keys mean equal texts; key 0 stands for no text.
"""


@dataclass(slots=True)
class ContrastiveLoss(PairObjective):
    """Each anchor's positive against all other texts of the batch: cross-entropy over cosines / temperature.

    Candidates are the different positives and negatives of all units. Of those an anchor's loss leaves out
    the anchor's own text and whatever else belongs to it anywhere in the split: a duplicate is no negative.
    """

    temperature: float
    _known: tuple[Targets, NDArray[np.uint64]] | None = field(default=None, init=False)

    def loss(self, model: nn.Module, known: tuple[FlatBatch, Tensor], said: Tensor) -> StepLoss:
        """Summed over the anchors that have a positive, in nats."""
        batch, targets = known
        assert batch.all_targets is not None
        if self._known is None or self._known[0] is not batch.all_targets:
            self._known = batch.all_targets, known_pairs(batch.all_targets.values)
        return StepLoss(self.of(said, targets, self._known[1]), max(1, int(targets[:, COUNTS].sum())))

    def of(self, vectors: Tensor, targets: Tensor, known: NDArray[np.uint64]) -> Tensor:
        """The summed loss of (B * parts, H) vectors of B units; ``known``: see :func:`known_pairs`."""
        units = F.normalize(vectors.float(), dim=-1).view(len(targets), -1, vectors.shape[-1])
        there = targets[:, COUNTS] > 0
        if not bool(there.any()):
            return vectors.sum() * 0.0
        keys = targets[:, POSITIVE : POSITIVE + units.shape[1] - 1].numpy()
        texts, first, place = np.unique(keys, return_index=True, return_inverse=True)
        own = place.reshape(keys.shape)[there.numpy(), 0]
        out = hidden(targets[there, ANCHOR].numpy(), texts, known)
        out[np.arange(len(own)), own] = False
        candidates = units[:, 1:].reshape(-1, units.shape[-1])[torch.from_numpy(first)]
        logits = units[there, 0] @ candidates.T / self.temperature
        logits = logits.masked_fill(beside(torch.from_numpy(out), logits), -torch.inf)
        return F.cross_entropy(logits, beside(torch.from_numpy(own), logits), reduction="sum")


def hidden(anchors: NDArray[np.int64], texts: NDArray[np.int64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """(A, C) which of C texts are no negatives of A anchors: none at all, its own, or one that belongs to it."""
    pairs = mixed(anchors[:, None], texts[None, :])
    place = np.minimum(np.searchsorted(known, pairs), max(0, len(known) - 1))
    belongs = known[place] == pairs if len(known) else np.zeros(pairs.shape, bool)
    return np.asarray(belongs | (texts == 0)[None, :] | (anchors[:, None] == texts[None, :]))


def known_pairs(targets: Tensor) -> NDArray[np.uint64]:
    """One number, ascending, for each two texts of a split that belong together, in either order."""
    rows = targets.numpy()
    rows = rows[rows[:, COUNTS] > 0]
    anchors, positives = rows[:, ANCHOR], rows[:, POSITIVE]
    return np.unique(np.concatenate([mixed(anchors, positives), mixed(positives, anchors)]))


def mixed(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.uint64]:
    """One number for two keys in their order."""
    return np.asarray(first.astype(np.uint64) ^ ((second.astype(np.uint64) + np.uint64(1)) * _ODD))
