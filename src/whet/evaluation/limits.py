"""What a new run may cost at most where it replaces an old one: limits, and what of them holds.

A figure is never alone: it has an interval, which says how far the rows leave it open. A limit is *passed* where the
whole interval lies within it, *failed* where the whole interval lies beyond it, and else nobody can tell. Where both
runs give equal answers to every row, what compares answers is passed whatever the interval: no row speaks against the
change, and a run that is only trained again must not be stopped for having few rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

State = Literal["passed", "failed", "cannot_tell", "not_applicable"]

WORDS: dict[State, str] = {
    "passed": "passed",
    "failed": "failed",
    "cannot_tell": "cannot tell",
    "not_applicable": "not looked at",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The most that is allowed of each; None: it is not looked at.

    - ``max_drop``: loss of quality, in the metric's own unit (0.01 is a point of accuracy).
    - ``max_flips``: share of all rows that the old run had right and the new one has wrong.
    - ``max_slice_flips``: the same share within each part of the rows: a label, long texts, questions.
    - ``max_ece``: gap between stated probabilities and what is right, on average.
    - ``max_forgotten``: what of the base's knowledge may go, in accuracy of probes or nats a token; ``auto``: the
      run's own ``forgetting.limit``, else :data:`FORGOTTEN`.
    - ``max_slower``: times the old run's time for the same rows, measured here and in turn.
    """

    max_drop: float | None = 0.01
    max_flips: float | None = 0.05
    max_slice_flips: float | None = 0.1
    max_ece: float | None = 0.05
    max_forgotten: float | Literal["auto"] | None = "auto"
    max_slower: float | None = 1.2


FORGOTTEN = {"probes": 0.02, "text": 0.1}
"""Accuracy of probes, or nats a token, by the way in which forgetting was measured."""

DEFAULTS = Limits()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one limit. ``value``, ``low``, ``high`` and ``limit`` are in ``unit``."""

    name: str
    state: State
    message: str
    limit: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = "share"
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


def state_of(low: float, high: float, limit: float) -> State:
    """Whether a figure whose interval is ``low`` to ``high`` holds a limit from above."""
    if high <= limit:
        return "passed"
    return "failed" if low > limit else "cannot_tell"


def missing(name: str, why: str, limit: float | None, asked: Collection[str], key: str, unit: str = "share") -> Outcome:
    """A figure that is not there: nobody can tell where its limit was asked for, else it is not looked at.

    :param asked: the limits that somebody set; the others are those of :data:`DEFAULTS`.
    """
    return Outcome(name, "cannot_tell" if key in asked else "not_applicable", why, limit, unit=unit)


def state_of_all(outcomes: Sequence[Outcome]) -> State:
    """The worst of them; where none was looked at, nobody can tell."""
    states = {one.state for one in outcomes}
    order: tuple[State, ...] = ("failed", "cannot_tell", "passed")
    return next((state for state in order if state in states), "cannot_tell")


def holds(state: State, strict: bool) -> bool:
    """Whether a change may go on: what nobody can tell stops it only where ``strict``."""
    return state == "passed" or (state == "cannot_tell" and not strict)
