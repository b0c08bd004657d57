"""What the engine needs of others; anybody may provide it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from torch import Tensor, nn

from whet.engine.precision import Weights


@dataclass(frozen=True, slots=True)
class StepLoss:
    """The loss of one (micro-)batch as a sum and a count, never a mean.

    A mean of means over micro-batches or ranks is the classic silent error, so the engine divides
    once, after all of them.

    - ``total``: scalar tensor, the sum over counted items, in nats.
    - ``num_counted``: items that carry loss: tokens, labels or pairs; of weighted ones the sum of the weights.
    """

    total: Tensor
    num_counted: float


class Batch(Protocol):
    """What one optimiser step sees."""

    @property
    def num_tokens(self) -> int:
        """Real tokens, padding not counted."""
        ...

    def split(self, max_tokens: int) -> Sequence[Batch]:
        """The same rows cut into micro-batches of at most ``max_tokens``, a row never cut."""
        ...


B_co = TypeVar("B_co", bound=Batch, covariant=True)
B_contra = TypeVar("B_contra", bound=Batch, contravariant=True)


class Batches(Protocol[B_co]):
    """Batches whose order is a pure function of (seed, epoch), so that resuming is a jump."""

    @property
    def per_epoch(self) -> int:
        """Batches in one pass."""
        ...

    def starting_at(self, epoch: int, index: int) -> Iterator[B_co]:
        """The batches of ``epoch`` from its ``index``-th on."""
        ...


class Objective(Protocol[B_contra]):
    """What is minimised."""

    def __call__(self, model: nn.Module, batch: B_contra) -> StepLoss:
        """The loss of ``batch``, with its graph."""
        ...


class Influence(Protocol):
    """Has a say in every step, beside the objective: a pull on the weights, or which of them move.

    A pure function of the weights and the number of the step, so that it keeps no state of its own.
    """

    def during(self, weights: Weights, step: int) -> AbstractContextManager[None]:
        """Holds while the batch of ``step`` is computed, forward and backward."""
        ...

    def bend(self, weights: Weights, step: int) -> None:
        """Change the masters' gradients of the mean loss, before they are clipped; some may be None."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What an evaluation hands back to the engine.

    - ``score``: higher is better; the best state is the one with the largest.
    - ``tie_break``: higher is better; decides between equal scores.
    - ``numbers``: for the event.
    """

    score: float
    tie_break: float
    numbers: Mapping[str, float]
