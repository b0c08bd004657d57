"""Learning curves out of the events of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from whet.report.numbers import METRICS, is_number

STEPS_DRAWN = 200
"""Points of the loss per step on one curve; longer runs are averaged in blocks."""


@dataclass(slots=True)
class Curves:
    """What happened to one model: (step, value) points per measure, and the step of the best state."""

    model: str
    step_loss: list[tuple[int, float]] = field(default_factory=list)
    measures: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    best_step: int | None = None

    @property
    def score(self) -> str | None:
        """The quick score that was looked at beside the loss: a known metric if there is one."""
        names = [name for name in self.measures if name != "loss" and not name.startswith("train_")]
        known = [name for name in METRICS if name in names]
        return next(iter(known or names), None)

    @property
    def has_evaluations(self) -> bool:
        """Whether the model was measured while it trained."""
        return any(self.measures.values())


NO_MEASURES = {"step", "num_steps", "epoch", "seconds", "seconds_taken", "tokens", "tokens_per_second", "num_rows"}
"""Numbers of an evaluation that are no scores."""


def learning_curves(events: Iterable[Mapping[str, Any]]) -> list[Curves]:
    """One :class:`Curves` a trained model, in order of appearance.

    A run that was resumed repeats the steps since its last checkpoint, and one that was restarted
    begins again: from a repeated step on, only the last account counts.
    """
    found: dict[str, Curves] = {}
    for event in events:
        step = event.get("step")
        if event.get("kind") not in ("step", "evaluation") or not is_number(step) or step is None:
            continue
        curves = found.setdefault(str(event.get("model", "model")), Curves(str(event.get("model", "model"))))
        if event["kind"] == "step":
            _note_step(curves, int(step), event.get("loss"))
        else:
            _note_evaluation(curves, int(step), event)
    return [curves for curves in found.values() if curves.has_evaluations or len(curves.step_loss) > 1]


def _note_step(curves: Curves, step: int, loss: Any) -> None:
    if curves.step_loss and step <= curves.step_loss[-1][0]:
        _forget_from(curves, step)
    if is_number(loss):  # a non-finite loss is written as null: the step was skipped
        curves.step_loss.append((step, float(loss)))


def _note_evaluation(curves: Curves, step: int, event: Mapping[str, Any]) -> None:
    for points in curves.measures.values():
        while points and points[-1][0] >= step:
            points.pop()
    for name, value in event.items():
        if name not in NO_MEASURES and is_number(value):
            curves.measures.setdefault(name, []).append((step, float(value)))
    if event.get("best"):
        curves.best_step = step


def _forget_from(curves: Curves, step: int) -> None:
    """Drop what was told of ``step`` and later; an evaluation belongs to the step before it goes on."""
    curves.step_loss = [point for point in curves.step_loss if point[0] < step]
    for name, points in curves.measures.items():
        curves.measures[name] = [point for point in points if point[0] < step]
    if curves.best_step is not None and curves.best_step >= step:
        curves.best_step = None


def averaged(points: list[tuple[int, float]], at_most: int = STEPS_DRAWN) -> list[tuple[int, float]]:
    """At most ``at_most`` points: blocks of neighbours become their mean, placed at the block's last step."""
    block = -(-len(points) // at_most) if points else 1
    if block <= 1:
        return points
    blocks = [points[start : start + block] for start in range(0, len(points), block)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in blocks]
