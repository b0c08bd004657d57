"""What the index takes from the files of a run folder.

Only ``state.json`` must be whole: it says which run this is. Any other file may be missing (the
run has not come that far) or damaged (reported, and its columns stay empty).
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError, one_of
from whet.store.rows import RunRow, ScoreRow

STATE_FILE = "state.json"
FILES = (STATE_FILE, "recipe.yaml", "resolved.yaml", "scores.json", "verdict.json", "data/ledger.json")
STATES = ("running", "interrupted", "failed", "finished")
WITHOUT_LEAKS = " without leaks"
LARGEST = 2**63 - 1  # what a BIGINT holds

Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class FolderRecord:
    """One run folder as read: its row, its scores, what could not be read, and when it was."""

    run: RunRow
    scores: tuple[ScoreRow, ...]
    problems: tuple[Problem, ...]
    stamp: Stamp


def whole_path(folder: Path) -> Path:
    """``folder`` as the index names it: absolute, links followed, whether or not it exists.

    :raises UserError: S024, a path that is not valid UTF-8 or holds a NUL.
    """
    if is_storable(str(folder)):
        path = os.path.realpath(folder)
        if is_storable(path):
            return Path(path)
    shown = str(folder).encode(errors="backslashreplace").decode().replace("\0", "\\0")
    raise UserError(Problem("S024", shown, "the path cannot be stored as text.", "Rename the folder."))


def stamp_of(folder: Path) -> Stamp:
    """Changes whenever one of the files that are read here is replaced: (time in ns, size, inode)."""
    stamps: list[tuple[int, int, int] | None] = []
    for name in FILES:
        try:
            status = (folder / name).stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(stamps)


def is_gone(folder: Path) -> bool:
    """Whether there is no run at ``folder`` any more; a folder that is only locked is not gone."""
    try:
        (folder / STATE_FILE).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):
        return False
    return False


def read_folder(folder: Path) -> FolderRecord:
    """Read a run folder.

    :raises UserError: S020 no run there, S021 state.json damaged, S022 state.json is not one of
        this program's, S024 a path that is not valid UTF-8.
    """
    folder = whole_path(folder)
    stamp = stamp_of(folder)  # before reading: a change under way then shows as a newer stamp
    reader = _Reader(folder)
    state = reader.state()
    recipe, scores, verdict = reader.recipe(), reader.json("scores.json"), reader.json("verdict.json")
    run = RunRow(
        id=state["id"],
        folder=folder,
        name=_text(state.get("name")) or folder.name,
        state=state["state"],
        started_at=reader.time(state, "started_at"),
        finished_at=reader.time(state, "finished_at"),
        whet=_text(state.get("whet")),
        split=_text(scores.get("split")),
        metric=_text(scores.get("primary")) or _text(verdict.get("metric")),
        verdict=_text(verdict.get("code")),
        ship=_text(verdict.get("ship")),
        num_train_rows=_whole(_inside(reader.json("data/ledger.json"), "splits", "train", "kept")),
        **recipe,
    )
    return FolderRecord(run, reader.scores(scores), tuple(reader.problems), stamp)


class _Reader:
    """Reads the files of one folder and keeps what went wrong."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []

    def state(self) -> dict[str, Any]:
        """``state.json``; here, and only here, a problem is an error."""
        path = self.folder / STATE_FILE
        state = self.json(STATE_FILE)
        if self.problems:
            raise UserError(self.problems)
        if not path.is_file():
            raise UserError(Problem("S020", str(self.folder), "is not a run folder: it has no state.json."))
        remedy = "Another program's file? Then nothing is wrong with it."
        if not _text(state.get("id")):
            raise UserError(Problem("S022", str(path), "names no run: 'id' is missing.", remedy))
        if state.get("state") not in STATES:
            what = f"'state' is {state.get('state')!r:.80}, expected {one_of(STATES)}."
            raise UserError(Problem("S022", str(path), what, remedy))
        return state

    def json(self, name: str) -> dict[str, Any]:
        """The object in a JSON file; empty where the file is missing or damaged."""
        content = self._content(name)
        if content is None:
            return {}
        try:
            return self._object(name, json.loads(content))
        except (ValueError, RecursionError) as error:
            return self._damaged(name, error)

    def recipe(self) -> dict[str, Any]:
        """The columns that come from the recipe; what it leaves to ``auto`` is taken as resolved."""
        content = self._content("recipe.yaml")
        written, resolved = self._yaml("recipe.yaml", content), self._yaml("resolved.yaml")

        def find(*names: str) -> Any:
            value = _inside(written, *names)
            if value is not None and value != "auto":
                return value
            decided = _inside(resolved, *names)
            if isinstance(decided, dict):
                decided = decided.get("value")
            return value if decided is None else decided

        return {
            "task": _text(find("task")),
            "base": _text(find("base")),
            "method": _text(find("method")),
            "seed": _whole(find("seed")),
            "data": _data_name(find("data", "source")),
            "recipe_hash": None if content is None else _sha256(content),
        }

    def scores(self, value: dict[str, Any]) -> tuple[ScoreRow, ...]:
        """Every score in ``scores.json``: on the test split, without leaked rows, on validation."""
        split = _text(value.get("split")) or "test"
        parts = {
            "validation": value.get("validation"),
            split: value.get("models"),
            split + WITHOUT_LEAKS: _inside(value, "without_leaks", "models"),
        }
        rows: list[ScoreRow] = []
        for part, models in parts.items():
            for model, metrics in _items(models):
                for metric, number in _items(metrics):
                    rows.extend(_score(part, model, metric, number))
        return tuple(rows)

    def time(self, state: dict[str, Any], name: str) -> datetime | None:
        """A time of ``state.json`` (ISO 8601, UTC unless it says otherwise) in UTC."""
        text = state.get(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            what = f"'{name}' is not a time: {text!r:.80}."
            self.problems.append(Problem("S022", str(self.folder / STATE_FILE), what))
            return None

    def _yaml(self, name: str, content: bytes | None = None) -> dict[str, Any]:
        content = self._content(name) if content is None else content
        if content is None:
            return {}
        import yaml

        try:
            return self._object(name, yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # noqa: S506
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            return self._damaged(name, error)

    def _content(self, name: str) -> bytes | None:
        path = self.folder / name
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self.problems.append(Problem("S021", str(path), f"cannot be read: {error.strerror}."))
            return None

    def _object(self, name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        what = f"holds {type(value).__name__} where names and values belong."
        self.problems.append(Problem("S021", str(self.folder / name), what))
        return {}

    def _damaged(self, name: str, error: Exception) -> dict[str, Any]:
        first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        self.problems.append(Problem("S021", str(self.folder / name), f"is damaged: {first}."))
        return {}


def _score(split: str, model: str, metric: str, number: Any) -> list[ScoreRow]:
    """One row, or none: a metric that could not be computed has no value."""
    value = _real(number.get("value") if isinstance(number, dict) else number)
    names = (split, model, metric)
    if value is None or not all(isinstance(name, str) and is_storable(name) for name in names):
        return []
    low, high = (_real(number.get(name)) if isinstance(number, dict) else None for name in ("low", "high"))
    return [ScoreRow(split, model, metric, value, low, high)]


def _items(value: Any) -> list[tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _inside(value: Any, *names: str) -> Any:
    """``value[a][b]...``, or None where a step is missing."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def is_storable(text: str) -> bool:
    """PostgreSQL stores no NUL, and neither database stores lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value and is_storable(value) else None


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > LARGEST:
        return None
    return value


def _real(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _data_name(source: Any) -> str | None:
    """``tickets`` for ``/somewhere/tickets.csv.gz``; the id itself for a data set of the hub."""
    text = _text(source)
    if text is None:
        return None
    name = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    for ending in (".gz", ".zst", ".csv", ".tsv", ".jsonl", ".json", ".parquet", ".arrow"):
        name = name.removesuffix(ending)
    return name or text


def _sha256(content: bytes) -> str:
    import hashlib

    return hashlib.sha256(content).hexdigest()
