"""What one part of a run has spent at endpoints, in a file: a run that goes on, goes on counting."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from whet.files import read_json, write_json
from whet.prompting.budget import Prices
from whet.prompting.speaker import Spent

UNSURE = "unsure"
DIGITS = 12
"""Of amounts in the file, behind the point: less than a token costs anywhere."""


class Ledger:
    """A JSON object: of each name of a model, the fields of :class:`~whet.prompting.speaker.Spent`, and ``unsure``.

    ``unsure`` is what requests may have cost, at most, of which no reply is on record: those that were lost, and
    those that were under way when the file was written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[str, dict[str, Any]] = read_json(path) if path.exists() else {}

    def spent(self, name: str) -> tuple[Spent, float]:
        """What a model has cost for sure, and what else it may have cost."""
        known = dict(self._known.get(name, {}))
        unsure = float(known.pop(UNSURE, 0.0))
        return Spent(**known), unsure

    def others(self, name: str, prices: Prices) -> float:
        """What all other models have cost, at most; at ``prices`` where theirs were not known."""
        return sum(priced(*self.spent(one), prices) for one in self._known if one != name)

    def note(self, name: str, spent: Spent, unsure: float) -> None:
        """Keep what a model has cost so far, whole or not at all.

        :raises UserError: F001 to F003, the file cannot be written.
        """
        told = asdict(spent)
        told["price"] = None if spent.price is None else round(spent.price, DIGITS)
        self._known[name] = {**told, UNSURE: round(unsure, DIGITS)}
        write_json(self._path, self._known)


def priced(spent: Spent, unsure: float, prices: Prices) -> float:
    """What was spent, with what may have been; at ``prices`` where none were known."""
    paid = prices.of(spent.tokens_in, spent.tokens_out) if spent.price is None else spent.price
    return paid + unsure
