"""The time that two saved models take for the same rows, one right behind the other."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from whet.errors import UserError
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.forms import Examples
    from whet.inference.answers import InUse
    from whet.workflows.rows import Tell
    from whet.workflows.two_runs import ShippedRun

ROUNDS = 9
FIRST_ROWS = 4
"""Rows answered once before, so that nothing is timed that happens a single time."""
FEWEST_ROWS, MOST_ROWS = 4, 64
SHORTEST_SECONDS, LONGEST_SECONDS = 0.3, 2.0
"""About what one model may take in a round: shorter is repeated, and longer gets fewer rows."""


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of each round for the same ``num_rows`` rows, answered together; or why there are none."""

    new: tuple[float, ...] = ()
    old: tuple[float, ...] = ()
    num_rows: int = 0
    why_not: str = ""


def in_turn(new: ShippedRun, old: ShippedRun, rows: Examples | None, seed: int, tell: Tell) -> Timed:
    """Time both models on this machine; which of them goes first changes from round to round."""
    if rows is None:
        return Timed(why_not="The test rows are in neither run folder, so that there is nothing to time models on.")
    models = []
    for run in (new, old):
        found = _opened(run)
        if isinstance(found, str):
            return Timed(why_not=found)
        models.append(found)
    order = generator(seed, "timed rows").permutation(len(rows))
    few = rows.take(np.sort(order[:FIRST_ROWS]))
    for model in models:
        model.predict(few)
    slowest = max(_seconds(model, few, 1) for model in models)
    number = int(np.clip(len(few) * LONGEST_SECONDS / max(slowest, 1e-6), FEWEST_ROWS, MOST_ROWS))
    chosen = rows.take(np.sort(order[:number]))
    repeats = [_repeats(_seconds(model, chosen, 1)) for model in models]
    taken: tuple[list[float], list[float]] = ([], [])
    for count in range(ROUNDS):
        for which in (0, 1) if count % 2 else (1, 0):
            taken[which].append(_seconds(models[which], chosen, repeats[which]))
        tell("timing both models", count + 1, ROUNDS)
    return Timed(tuple(taken[0]), tuple(taken[1]), len(chosen))


def _repeats(seconds: float) -> int:
    """How often a model answers in a round, given its seconds for once: by its own pace, not by the other's.

    As often as the quicker of the two, one that is a hundred times slower would take minutes a round.
    """
    return max(1, math.ceil(SHORTEST_SECONDS / max(seconds, 1e-6)))


def _opened(run: ShippedRun) -> InUse | str:
    """The model that a run ships, or a sentence that says why it cannot be asked.

    It is asked for by its name, since the run of a sweep's trial may itself ship another of its models.
    """
    from whet.workflows.using import kept_models, open_model

    try:
        if not run.folder.shipped.exists() or run.ships not in kept_models(run.folder):
            return f"{run.name} ships {run.ships!r}, which is not kept as a model that could be timed."
        return open_model(run.folder.path, run.ships)
    except (UserError, OSError) as error:
        return f"The model of {run.name} cannot be opened here, so that it was not timed: {error}"


def _seconds(model: InUse, rows: Examples, repeats: int) -> float:
    """The mean over ``repeats``, one right behind the other."""
    start = time.perf_counter()
    for _ in range(repeats):
        model.predict(rows)
    return (time.perf_counter() - start) / repeats
