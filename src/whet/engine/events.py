"""What the engine says while it works; the caller prints, logs and stores it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened; ``to_json`` is its row in events.jsonl."""

    kind: ClassVar[str] = "event"

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the kind first."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Stepped(Event):
    """An optimiser step was taken; means are over the steps since the last such event."""

    kind: ClassVar[str] = "step"
    step: int
    num_steps: int
    epoch: float
    loss: float  # nats per counted item
    learning_rate: float
    grad_norm: float
    tokens: int  # real tokens since training began
    tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Evaluated(Event):
    """Validation was looked at."""

    kind: ClassVar[str] = "evaluation"
    step: int
    epoch: float
    best: bool
    numbers: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As an event, with the numbers beside the rest."""
        return {"kind": self.kind, "step": self.step, "epoch": self.epoch, "best": self.best, **self.numbers}


@dataclass(frozen=True, slots=True)
class Saved(Event):
    """A checkpoint was written."""

    kind: ClassVar[str] = "checkpoint"
    step: int
    seconds_taken: float


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something worth a finding happened."""

    kind: ClassVar[str] = "note"
    code: str
    message: str
    step: int


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """Training is over; the best state is in the model.

    ``reason``: completed, patience, max_seconds or diverged.
    """

    kind: ClassVar[str] = "end"
    reason: str
    steps: int
    tokens: int
    train_seconds: float  # inside optimiser steps, evaluation and checkpoints not counted
    best_step: int
    best_score: float
