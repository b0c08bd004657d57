"""The ledger of rows: how many were read, kept and dropped, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SHOWN_LINES = 20


@dataclass(slots=True)
class Dropped:
    """Rows of one split that one reason kept out."""

    code: str
    reason: str
    count: int = 0
    lines: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``Dropped(**value)`` is the inverse."""
        return {name: getattr(self, name) for name in ("code", "reason", "count", "lines", "places")}


@dataclass(slots=True)
class SplitLedger:
    """One split: ``read`` = ``kept`` + what was dropped; ``changed`` are kept rows that do not stand as read."""

    read: int = 0
    kept: int = 0
    dropped: list[Dropped] = field(default_factory=list)
    changed: list[Dropped] = field(default_factory=list)

    def drop(self, code: str, reason: str, file: str, lines: Sequence[int]) -> None:
        """Note rows that are left out; the first of them with their lines."""
        _note(self.dropped, code, reason, file, lines)

    def change(self, code: str, reason: str, file: str, lines: Sequence[int]) -> None:
        """Note rows that are kept, but not as they stand in the file."""
        _note(self.changed, code, reason, file, lines)

    def to_json(self) -> dict[str, Any]:
        """A JSON object, as it stands in ledger.json."""
        found = {"read": self.read, "kept": self.kept, "dropped": [entry.to_json() for entry in self.dropped]}
        return {**found, "changed": [entry.to_json() for entry in self.changed]} if self.changed else found

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> SplitLedger:
        """Read what :meth:`to_json` wrote; what other rooms added beside it is left alone."""
        dropped, changed = ([Dropped(**entry) for entry in value.get(name, [])] for name in ("dropped", "changed"))
        return SplitLedger(value["read"], value["kept"], dropped, changed)


def _note(entries: list[Dropped], code: str, reason: str, file: str, lines: Sequence[int]) -> None:
    if not lines:
        return
    entry = next((entry for entry in entries if (entry.code, entry.reason) == (code, reason)), None)
    if entry is None:
        entry = Dropped(code, reason)
        entries.append(entry)
    entry.count += len(lines)
    shown = list(lines[: SHOWN_LINES - len(entry.lines)])
    entry.lines += shown
    entry.places += [f"{file}:{line}" for line in shown]


Ledger = dict[str, SplitLedger]
"""Split -> its rows."""


def ledger_json(ledger: Ledger) -> dict[str, Any]:
    """``{"splits": {...}}``, the form of ledger.json."""
    return {"splits": {split: entry.to_json() for split, entry in ledger.items()}}


def ledger_from_json(value: Mapping[str, Any]) -> Ledger:
    """The inverse of :func:`ledger_json`."""
    return {split: SplitLedger.from_json(entry) for split, entry in value["splits"].items()}
