"""Over- and underfitting, and a rate too high, read off the evaluations of one model.

The training loss of an evaluation is that of fixed training rows without dropout, so that its steps are those
of the model and not of the batches. W001 to W003 say what is seen; V005 is the gravest of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
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

JUMP, JUMP_NATS = 0.2, 0.15
"""Share of the lowest training loss so far, and nats beside it, by which a later one must lie above it to count as
thrown back; that of validation must lie above its own by the share, too. A head that was fitted to the training rows
before any step is nowhere lower on them, and leaves that without harm: until then the loss on validation counts. The
nats are more than label smoothing alone can raise a loss that began at nothing."""

LESS = "regularisation.dropout, regularisation.r_drop or training.weight_decay"
IN_SHORT = {"W001": "It overfits", "W002": "It underfits", "W003": "The rate looks too high"}
BINS = ("issue", "tip", "passed", "not_applicable")


def read_curves(
    evaluations: Sequence[Mapping[str, Any]], model: str = "", *, ended: str = "", lowered: int = 0
) -> Finding:
    """Finding V005: the gravest of what :func:`diagnose_curves` finds, the rate before the fit.

    :param evaluations: as there.
    """
    found = diagnose_curves(evaluations, model, ended=ended, lowered=lowered)
    told = min((found[2], found[0], found[1]), key=lambda one: BINS.index(one.bin))
    if told.bin == "not_applicable":
        return replace(told, code="V005")
    if told.bin != "passed":
        return replace(told, code="V005", message=f"{IN_SHORT[told.code]}; {told.code} says how.", remedy="")
    evidence = _evidence(_points(evaluations))
    seen, steps = evidence["validation_loss"], evidence["steps"]
    lowest = seen.index(min(seen))
    message = f"Fits well: validation loss settled at {seen[lowest]:.3g} (step {steps[lowest]:,}) and did not rise."
    return Finding("V005", "passed", message, model, "", evidence | {"lowest_at": steps[lowest]})


def diagnose_curves(
    evaluations: Sequence[Mapping[str, Any]], model: str = "", *, ended: str = "", lowered: int = 0
) -> list[Finding]:
    """W001 overfits, W002 underfits, W003 rate too high; in this order.

    :param evaluations: the events of kind ``evaluation`` of one training, in any order: objects with ``step``,
        ``loss`` (validation) and ``train_loss`` in nats, and ``best``, whether the state was the best so far;
        those without finite losses are left out.
    :param ended: why training ended, as the engine says it.
    :param lowered: how often the rate was halved after steps that were not finite.
    """
    points = _points(evaluations)
    evidence = _evidence(points)
    rate = _rate(points, model, evidence | {"ended": ended, "times_lowered": lowered})
    if len(points) < FEWEST:
        message = f"Too few evaluations to read a curve ({len(points)}, at least {FEWEST} are needed)."
        remedy = "Look more often with training.evaluations_per_epoch."
        none = [Finding(code, "not_applicable", message, model, remedy) for code in ("W001", "W002")]
        return [*none, rate if rate.bin == "issue" else Finding("W003", "not_applicable", message, model, remedy)]
    return [_overfitting(points, model, evidence), _underfitting(points, model, evidence, ended), rate]


def _points(evaluations: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted((point for point in evaluations if _complete(point)), key=lambda point: int(point["step"]))


def _complete(point: Mapping[str, Any]) -> bool:
    losses = (point.get("loss"), point.get("train_loss"))
    return all(isinstance(loss, int | float) and math.isfinite(loss) for loss in losses)


def _evidence(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "steps": [int(point["step"]) for point in points],
        "validation_loss": [float(point["loss"]) for point in points],
        "train_loss": [float(point["train_loss"]) for point in points],
    }


def _overfitting(points: Sequence[Mapping[str, Any]], model: str, evidence: dict[str, Any]) -> Finding:
    """W001: validation loss rises while training loss falls on."""
    steps, seen, own = evidence["steps"], evidence["validation_loss"], evidence["train_loss"]
    lowest = seen.index(min(seen))
    evidence = evidence | {"lowest_at": steps[lowest]}
    if not (seen[-1] > seen[lowest] * (1 + RISE) and own[-1] < own[lowest]):
        message = (
            f"Validation loss was lowest at step {steps[lowest]:,} ({seen[lowest]:.3g}) and ended at {seen[-1]:.3g}."
        )
        return Finding("W001", "passed", message, model, "", evidence)
    kept = [int(point["step"]) for point in points if point.get("best")]
    evidence["kept"] = kept[-1] if kept else None
    message = (
        f"Overfits from step {steps[lowest]:,} on: validation loss rises from {seen[lowest]:.3g} to "
        f"{seen[-1]:.3g} while training loss falls from {own[lowest]:.3g} to {own[-1]:.3g}."
    )
    if not kept:
        remedy = f"Train for fewer epochs (training.epochs), or keep the best state; then {LESS}."
        return Finding("W001", "issue", message, model, remedy, evidence)
    message += f" The best state, of step {kept[-1]:,}, was kept."
    if kept[-1] > steps[lowest]:
        message += " Its decisions still got better after that; its probabilities became too sure."
        remedy = "Use the fitted temperature with its probabilities, or raise training.label_smoothing."
        return Finding("W001", "tip", message, model, remedy, evidence)
    remedy = (
        "Fewer epochs would do (training.epochs); more data may help ('whet curve' tells). Against it are "
        f"{LESS}, and methods by which fewer weights move."
    )
    return Finding("W001", "tip", message, model, remedy, evidence)


def _underfitting(points: Sequence[Mapping[str, Any]], model: str, evidence: dict[str, Any], ended: str) -> Finding:
    """W002: nothing was learnt, or learning was cut short."""
    steps, seen, own = evidence["steps"], evidence["validation_loss"], evidence["train_loss"]
    lowest = seen.index(min(seen))
    if min(own) > own[0] * (1 - LEARNT) and min(seen) > seen[0] * (1 - LEARNT):
        message = (
            f"Nothing more was learnt after the first evaluation: training loss went from {own[0]:.3g} to "
            f"{own[-1]:.3g}, validation loss from {seen[0]:.3g} to {seen[-1]:.3g}."
        )
        remedy = (
            "Compare with the baselines; if the model is not better, find a rate with "
            "training.learning_rate=range-test, let more weights move (method full), or take another base."
        )
        return Finding("W002", "tip", message, model, remedy, evidence)
    if lowest == len(points) - 1 and seen[-2] - seen[-1] > FALL * seen[-2]:
        message = (
            f"Underfits: validation loss was still falling when training ended (from {seen[-2]:.3g} to "
            f"{seen[-1]:.3g} in the last {steps[-1] - steps[-2]:,} steps)."
        )
        remedy = "Train for more epochs (training.epochs)."
        if ended == "max_seconds":
            remedy = "Raise training.max_seconds."
        elif ended == "patience":
            remedy = "Raise training.patience: the loss still fell when the score did not get better."
        return Finding("W002", "tip", message, model, remedy, evidence)
    message = (
        f"Training loss fell from {own[0]:.3g} to {min(own):.3g}, and validation loss had come to rest when training "
        "ended."
    )
    return Finding("W002", "passed", message, model, "", evidence)


def _rate(points: Sequence[Mapping[str, Any]], model: str, evidence: dict[str, Any]) -> Finding:
    """W003: losses that are no longer finite, or training rows that the model does worse on than before."""
    steps, seen, own = evidence["steps"], evidence["validation_loss"], evidence["train_loss"]
    remedy = (
        "Lower training.learning_rate to about a third, or let training.learning_rate=range-test find one; raise "
        "training.warmup_share where it is the first steps that throw it back."
    )
    if evidence["ended"] == "diverged" or evidence["times_lowered"]:
        times = evidence["times_lowered"]
        how = f"the rate was halved {times} time{'s' if times != 1 else ''}" if times else "training was given up"
        message = f"The rate was too high: losses were no longer finite, and {how}."
        return Finding("W003", "issue", message, model, remedy, evidence)
    known = [max(own[0], seen[0]), *own[1:]] if steps and steps[0] == 0 else own  # before any step it knows no row
    back = [
        place
        for place, (lowest, best) in enumerate(
            zip(accumulate(known[:-1], min), accumulate(seen[:-1], min), strict=True), start=1
        )
        if own[place] > lowest * (1 + JUMP) + JUMP_NATS and seen[place] > best * (1 + JUMP)
    ]
    if not back:
        message = "The losses on training rows and validation never rose by much together from one look to a later one."
        return Finding("W003", "passed", message, model, "", evidence)
    worst = max(back, key=lambda place: own[place])
    before = min(range(worst), key=lambda place: known[place])
    rose = f"rose from {known[before]:.3g} (step {steps[before]:,}) to"
    if steps[before] == 0:
        rose = f"came above that of validation before any step, from {known[before]:.3g} to"
    message = (
        f"The rate looks too high: the loss on the same training rows {rose} {own[worst]:.3g} (step {steps[worst]:,})"
    )
    lost = own[-1] > known[before]
    message += f", and ended at {own[-1]:.3g}." if lost else f"; by the end it was back, at {own[-1]:.3g}."
    evidence = evidence | {"before": steps[before], "worst": steps[worst]}
    return Finding("W003", "issue" if lost else "tip", message, model, remedy, evidence)
