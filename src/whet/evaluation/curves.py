"""Over- and underfitting, read off the evaluations of one model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from whet.findings import Finding

FEWEST = 3
"""With fewer evaluations there is no curve."""

RISE = 0.03
"""Share of the lowest validation loss by which a later one must lie above it to count as risen."""

FALL = 0.02
"""Share by which validation loss must still fall between the last two evaluations to count as falling."""

LEARNT = 0.05
"""Share by which training loss must fall over the whole run to count as learnt."""


def read_curves(evaluations: Sequence[Mapping[str, Any]], model: str = "") -> Finding:
    """Finding V005 from the events of kind ``evaluation`` of one model, in any order.

    :param evaluations: objects with ``step``, ``loss`` (validation) and ``train_loss`` in nats, and
        ``best``, whether the state was the best so far; those without finite losses are left out.
    """
    points = sorted((point for point in evaluations if _complete(point)), key=lambda point: int(point["step"]))
    steps = [int(point["step"]) for point in points]
    seen = [float(point["loss"]) for point in points]
    own = [float(point["train_loss"]) for point in points]
    evidence = {"steps": steps, "validation_loss": seen, "train_loss": own}
    if len(points) < FEWEST:
        message = f"Too few evaluations to read a curve ({len(points)}, at least {FEWEST} are needed)."
        return Finding("V005", "not_applicable", message, model)
    lowest = seen.index(min(seen))
    evidence["lowest_at"] = steps[lowest]
    if seen[-1] > seen[lowest] * (1 + RISE) and own[-1] < own[lowest]:
        return _overfits(points, lowest, model, evidence)
    if min(own) > own[0] * (1 - LEARNT) and min(seen) > seen[0] * (1 - LEARNT):
        message = (
            f"Nothing more was learnt after the first evaluation: training loss went from {own[0]:.3g} to "
            f"{own[-1]:.3g}, validation loss from {seen[0]:.3g} to {seen[-1]:.3g}."
        )
        remedy = "Compare with the baselines; if the model is not better, try a higher learning rate or another base."
        return Finding("V005", "tip", message, model, remedy, evidence)
    if lowest == len(points) - 1 and seen[-2] - seen[-1] > FALL * seen[-2]:
        message = (
            f"Underfits: validation loss was still falling when training ended (from {seen[-2]:.3g} to "
            f"{seen[-1]:.3g} in the last {steps[-1] - steps[-2]:,} steps)."
        )
        return Finding("V005", "tip", message, model, "Train for more epochs.", evidence)
    message = f"Fits well: validation loss settled at {seen[lowest]:.3g} (step {steps[lowest]:,}) and did not rise."
    return Finding("V005", "passed", message, model, "", evidence)


def _complete(point: Mapping[str, Any]) -> bool:
    losses = (point.get("loss"), point.get("train_loss"))
    return all(isinstance(loss, int | float) and math.isfinite(loss) for loss in losses)


def _overfits(points: list[Mapping[str, Any]], lowest: int, model: str, evidence: dict[str, Any]) -> Finding:
    here, last = points[lowest], points[-1]
    kept = [int(point["step"]) for point in points if point.get("best")]
    evidence["kept"] = kept[-1] if kept else None
    message = (
        f"Overfits from step {int(here['step']):,} on: validation loss rises from {here['loss']:.3g} to "
        f"{last['loss']:.3g} while training loss falls from {here['train_loss']:.3g} to {last['train_loss']:.3g}."
    )
    if not kept:
        return Finding("V005", "issue", message, model, "Train for fewer epochs, or keep the best state.", evidence)
    message += f" The best state, of step {kept[-1]:,}, was kept."
    if kept[-1] > int(here["step"]):
        message += " Its decisions still got better after that; its probabilities became too sure."
        return Finding("V005", "tip", message, model, "Use the fitted temperature with its probabilities.", evidence)
    return Finding("V005", "tip", message, model, "Fewer epochs would do; more data may help.", evidence)
