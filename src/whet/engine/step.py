"""One optimiser step: micro-batches, gradients, clipping, and what to do when memory runs out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from whet.engine.precision import Weights
from whet.engine.protocols import Batch, Influence, Objective
from whet.errors import ModelTooLarge


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step computed, before the optimiser moved anything.

    ``loss`` is the mean over counted items, in nats; either number is not finite in a failed step.
    """

    loss: float
    grad_norm: float

    @property
    def finite(self) -> bool:
        """Whether the weights may be moved by it."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)


def gradients(
    weights: Weights,
    objective: Objective[Batch],
    batch: Batch,
    micro_batch_tokens: int,
    reseed: Callable[[int], None],
    clip_norm: float,
    influences: Sequence[Influence] = (),
    step: int = 0,
) -> StepResult:
    """Leave in ``weights`` the clipped gradient of the mean loss of ``batch``.

    The result does not depend on ``micro_batch_tokens`` beyond rounding: losses and gradients are
    summed over micro-batches and divided once, by the number of counted items.

    :param reseed: called with the number of the micro-batch before it is computed.
    :param influences: what else has a say in this ``step``.
    """
    pieces = batch.split(micro_batch_tokens)
    losses, num_counted = list[Tensor](), 0.0
    with ExitStack() as held:
        for influence in influences:
            held.enter_context(influence.during(weights, step))
        for number, piece in enumerate(pieces):
            reseed(number)
            loss = objective(weights.model, piece)
            num_counted += loss.num_counted
            losses.append(loss.total.detach())
            # a GPU is not waited for here; whoever skips the step forgets its gradients
            if losses[-1].device.type == "cpu" and not math.isfinite(float(losses[-1])):
                return StepResult(float(losses[-1]), math.nan)
            # a single piece is divided before the backward pass, which saves a pass over all gradients
            (loss.total / (loss.num_counted or 1) if len(pieces) == 1 else loss.total).backward()
    total = sum(float(loss) for loss in losses)
    count = 1 if len(pieces) == 1 else num_counted or 1
    if influences:
        if count != 1:
            weights.scale_gradients(1 / count)
            count = 1
        for influence in influences:
            influence.bend(weights, step)
    norm = float(_norm(weights)) / count
    factor = min(1.0, clip_norm / (norm + 1e-6)) / count
    if math.isfinite(norm) and factor != 1.0:
        weights.scale_gradients(factor)
    return StepResult(total / (num_counted or 1), norm)


def _norm(weights: Weights) -> Tensor:
    grads = [p.grad for p in weights.masters.values() if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    return norm


def is_out_of_memory(error: BaseException) -> bool:
    """Whether ``error`` says that memory ran out, on a GPU or on the host."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = ("can't allocate memory", "not enough memory", "out of memory", "Cannot allocate memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def smaller_after(error: Exception, weights: Weights, micro_batch_tokens: int, batch: Batch) -> int:
    """The micro-batches to compute ``batch`` with again, after ``error``; what was computed of it is forgotten.

    Where it cannot be cut any further, a model that knows how keeps less for the backward pass.

    :raises Exception: ``error`` itself, where memory was not what it lacked.
    :raises ModelTooLarge: it cannot be cut any further.
    """
    if not is_out_of_memory(error):
        raise error
    weights.clear_gradients()
    try:
        return halved(micro_batch_tokens, batch)
    except ModelTooLarge:
        if not saves_memory(weights.model):
            raise
        return micro_batch_tokens


def saves_memory(model: nn.Module) -> bool:
    """Have a model keep less for the backward pass and compute it anew there; False where nothing changes by it."""
    if (known := getattr(model, "save_memory", None)) is None:
        return False
    return bool(known())


def halved(micro_batch_tokens: int, batch: Batch) -> int:
    """The next smaller micro-batch.

    :raises ModelTooLarge: it cannot be cut any further.
    """
    smaller = min(micro_batch_tokens, batch.num_tokens) // 2
    if smaller < 1 or len(batch.split(smaller)) == len(batch.split(micro_batch_tokens)):
        raise ModelTooLarge
    return smaller
