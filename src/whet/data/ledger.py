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
    """One split: ``read`` = ``kept`` + what was dropped."""

    read: int = 0
    kept: int = 0
    dropped: list[Dropped] = field(default_factory=list)

    def drop(self, code: str, reason: str, file: str, lines: Sequence[int]) -> None:
        """Note rows that are left out; the first of them with their lines."""
        if not lines:
            return
        entry = next((entry for entry in self.dropped if (entry.code, entry.reason) == (code, reason)), None)
        if entry is None:
            entry = Dropped(code, reason)
            self.dropped.append(entry)
        entry.count += len(lines)
        shown = list(lines[: SHOWN_LINES - len(entry.lines)])
        entry.lines += shown
        entry.places += [f"{file}:{line}" for line in shown]

    def to_json(self) -> dict[str, Any]:
        """A JSON object, as it stands in ledger.json."""
        return {"read": self.read, "kept": self.kept, "dropped": [entry.to_json() for entry in self.dropped]}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> SplitLedger:
        """Read what :meth:`to_json` wrote; what other rooms added beside it is left alone."""
        return SplitLedger(value["read"], value["kept"], [Dropped(**entry) for entry in value["dropped"]])


Ledger = dict[str, SplitLedger]
"""Split -> its rows."""


def ledger_json(ledger: Ledger) -> dict[str, Any]:
    """``{"splits": {...}}``, the form of ledger.json."""
    return {"splits": {split: entry.to_json() for split, entry in ledger.items()}}


def ledger_from_json(value: Mapping[str, Any]) -> Ledger:
    """The inverse of :func:`ledger_json`."""
    return {split: SplitLedger.from_json(entry) for split, entry in value["splits"].items()}
