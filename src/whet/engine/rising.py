"""A learning rate found by trial: a few steps with rising rates, and what the loss made of them (arXiv 1506.01186).

Batches differ more than a step changes anything, so each batch is also computed with the weights that the trial began
with, under the same dropout: what is looked at is how much better or worse a batch has become.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet import seeds
from whet.engine.optimisation import Group, OptimiserName, optimiser_of
from whet.engine.precision import Weights
from whet.engine.protocols import Batches, Objective
from whet.engine.step import gradients, smaller_after

STEPS = 80
"""Of a trial."""
LOWEST, HIGHEST = 1e-2, 1e2
"""Rates that are tried, as multiples of the one that would be taken without a trial."""
SMOOTHING = 0.9
"""Share of the mean of earlier losses in a smoothed one."""
LOST = 0.5
"""A loss is lost once it is worse than at the start by this share of that at the start, and by as much as it ever was
better."""
SAFETY = 0.1
"""Never more than this share of the rate at which training diverged."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a trial found.

    - ``factor``: the rate to take, as a multiple of the one that would be taken without a trial.
    - ``reason``: 'steepest', 'diverged' (a share of where it did) or 'flat' (nothing was learnt: ``factor`` is 1).
    - ``diverged``: the factor at which the loss was lost; None where it never was.
    - ``factors``, ``losses``, ``starts``: the curve; of each batch the loss, and that with the weights at the start, in
      nats or squared units per counted item. ``smooth``: their smoothed difference.
    """

    factor: float
    reason: str
    diverged: float | None
    factors: tuple[float, ...]
    losses: tuple[float, ...]
    starts: tuple[float, ...]
    smooth: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def factors(steps: int = STEPS) -> NDArray[np.float64]:
    """(steps,) the multiples that are tried, each by the same share above the one before."""
    return np.geomspace(LOWEST, HIGHEST, steps)


def trial(
    weights: Weights,
    groups: Sequence[Group],
    objective: Objective[Any],
    batches: Batches[Any],
    reseed: Callable[[int], None],
    seed: int,
    micro_batch_tokens: int,
    clip_norm: float,
    optimiser: OptimiserName = "adamw",
    steps: int = STEPS,
) -> Iterator[tuple[float, float, float]]:
    """Train with rising rates; yield (factor, loss, loss at the start) of each batch, until the loss is lost.

    The weights are moved: a model of its own is to be given. A pure function of the seeds. The loss of a batch whose
    gradient is not finite is infinite.

    :raises ModelTooLarge: one row does not fit into memory.
    """
    made = optimiser_of(optimiser, groups)
    kept = [group for group in groups if group.parameters]
    rows = _endless(batches)
    begun = {name: value.clone() for name, value in weights.state().items()}
    losses: list[float] = []
    starts: list[float] = []
    for step, factor in enumerate(factors(steps).tolist()):

        def fresh(micro: int, step: int = step) -> None:
            reseed(seeds.derive(seed, "rising", step, micro))

        batch = next(rows)
        while True:
            weights.clear_gradients()
            try:
                with weights.lent(begun), torch.no_grad():
                    start = _loss(weights, objective, batch.split(micro_batch_tokens), fresh)
                result = gradients(weights, objective, batch, micro_batch_tokens, fresh, clip_norm)
                break
            except Exception as error:
                micro_batch_tokens = smaller_after(error, weights, micro_batch_tokens, batch)
        starts.append(start)
        losses.append(result.loss if result.finite else math.inf)
        yield factor, losses[-1], starts[-1]
        if not result.finite or is_lost(losses, starts):
            return
        for settings, group in zip(made.param_groups, kept, strict=True):
            settings["lr"] = group.learning_rate * factor
        made.step()
        weights.publish()


def _loss(weights: Weights, objective: Objective[Any], pieces: Sequence[Any], reseed: Callable[[int], None]) -> float:
    """The mean loss of a batch in its micro-batches."""
    total, counted = 0.0, 0.0
    for number, piece in enumerate(pieces):
        reseed(number)
        found = objective(weights.model, piece)
        total, counted = total + float(found.total), counted + found.num_counted
    return total / (counted or 1.0)


def _endless(batches: Batches[Any]) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from batches.starting_at(epoch, 0)
        epoch += 1


def smoothed(losses: Sequence[float]) -> NDArray[np.float64]:
    """(n,) moving means of ``losses``, each divided by the weight that its own has so far."""
    mean, found = 0.0, []
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return np.asarray(found)


def is_lost(losses: Sequence[float], starts: Sequence[float]) -> bool:
    """Whether the last loss says that training has diverged."""
    if not math.isfinite(losses[-1]):
        return True
    smooth = _gained(losses, starts)
    return bool(smooth[-1] > max(-float(smooth.min()), LOST * abs(float(np.mean(starts)))))


def _gained(losses: Sequence[float], starts: Sequence[float]) -> NDArray[np.float64]:
    """(n,) smoothed differences to the start, of what is finite."""
    return smoothed([loss - start for loss, start in zip(losses, starts, strict=True) if math.isfinite(loss)])


def choose(tried: Sequence[float], losses: Sequence[float], starts: Sequence[float]) -> Tried:
    """The multiple at which the smoothed loss falls steepest over the logarithm of the rate, kept well below where
    training diverges.

    :param losses: of each batch; :param starts: of the same batches with the weights of the start.
    """
    lost = len(losses) > 0 and is_lost(losses, starts)
    ends = len(losses) - 1 if lost else len(losses)
    smooth = _gained(losses, starts)
    curve = tuple(tried[: len(losses)]), tuple(losses), tuple(starts), tuple(smooth.tolist())
    diverged = float(tried[len(losses) - 1]) if lost else None
    slopes = np.diff(smooth[:ends])
    most = math.inf if diverged is None else SAFETY * diverged
    if not len(slopes) or slopes.min() >= 0:
        return Tried(min(1.0, most), "diverged" if most < 1 else "flat", diverged, *curve)
    steepest = float(tried[int(slopes.argmin())])
    return Tried(min(steepest, most), "diverged" if most < steepest else "steepest", diverged, *curve)
