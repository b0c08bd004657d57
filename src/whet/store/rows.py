"""What the index answers with: a run, a score, the outcome of a rebuild, what an endpoint said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whet.errors import Problem


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One number of one model on one split, with its interval where there is one.

    ``split`` is ``test``, ``validation`` or, without the rows that leaked, ``test without leaks``.
    """

    split: str
    model: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as its folder tells it. None: the folder does not say (yet).

    - ``state``: ``running``, ``interrupted``, ``failed`` or ``finished``, as the folder says; a
      process that was killed could not change it from ``running``.
    - ``started_at``, ``finished_at``: UTC.
    - ``method``, ``base``: as resolved where the recipe says ``auto``.
    - ``split``, ``metric``: what the verdict speaks of; ``score``: that metric of the model
      ``ship`` on that split. Filled when rows are read from the index.
    - ``recipe_hash``: SHA-256 of recipe.yaml, hexadecimal.
    """

    id: str
    folder: Path
    name: str
    state: str
    machine: str = ""
    task: str | None = None
    base: str | None = None
    method: str | None = None
    data: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seed: int | None = None
    num_train_rows: int | None = None
    split: str | None = None
    metric: str | None = None
    verdict: str | None = None
    ship: str | None = None
    recipe_hash: str | None = None
    whet: str | None = None
    score: ScoreRow | None = None


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """What a rebuild did.

    ``found`` run folders on disk, ``recorded`` rows written, ``dropped`` rows whose folder is
    gone; ``problems`` names every folder or file that could not be read.
    """

    found: int
    recorded: int
    dropped: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class ReplyRow:
    """What an endpoint said once.

    - ``hash``: SHA-256 of what was asked, of whom and how, hexadecimal.
    - ``finish``: why it ended, in the service's word: ``stop``, ``length``, ...
    - ``seconds``: the request took.
    """

    hash: str
    text: str
    tokens_in: int
    tokens_out: int
    finish: str
    seconds: float


def to_run(values: dict[str, Any]) -> RunRow:
    """A row of the table of runs, with ``score_value``, ``score_low`` and ``score_high`` beside it."""
    value, low, high = (values.pop(name) for name in ("score_value", "score_low", "score_high"))
    values["folder"] = Path(values["folder"])
    for name in ("started_at", "finished_at"):
        values[name] = _utc(values[name])
    if value is not None:
        values["score"] = ScoreRow(values["split"], values["ship"], values["metric"], value, low, high)
    return RunRow(**values)


def _utc(moment: datetime | str | None) -> datetime | None:
    """SQLite keeps text and no time zone, PostgreSQL answers in the session's; both mean the same moment."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
