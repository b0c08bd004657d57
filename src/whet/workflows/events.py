"""What a workflow says beside the engine's events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from whet.engine.events import Event


@dataclass(frozen=True, slots=True)
class StageStarted(Event):
    """A stage of the run begins."""

    kind: ClassVar[str] = "stage"
    stage: str

    def to_json(self) -> dict[str, Any]:
        """As an event, with its state."""
        return {"kind": self.kind, "stage": self.stage, "state": "started"}


@dataclass(frozen=True, slots=True)
class StageFinished(Event):
    """A stage of the run is done; ``skipped`` where an earlier process had done it."""

    kind: ClassVar[str] = "stage"
    stage: str
    seconds_taken: float
    skipped: bool = False

    def to_json(self) -> dict[str, Any]:
        """As an event, with its state."""
        state = "skipped" if self.skipped else "finished"
        return {"kind": self.kind, "stage": self.stage, "state": state, "seconds_taken": self.seconds_taken}


@dataclass(frozen=True, slots=True)
class Said(Event):
    """A decision of the run, in words, for people to read as it happens."""

    kind: ClassVar[str] = "said"
    message: str


@dataclass(frozen=True, slots=True)
class OfModel(Event):
    """An event of the engine while one model trains; ``attempt`` counts its restarts from 0."""

    kind: ClassVar[str] = "model"
    model: str
    event: Event
    attempt: int = 0

    def to_json(self) -> dict[str, Any]:
        """The engine's event with the model's name and attempt."""
        inner: Mapping[str, Any] = self.event.to_json()
        return {**inner, "model": self.model, "attempt": self.attempt}
