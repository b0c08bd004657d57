"""The time of a sweep: what was spent over all its resumptions, and whether there is room for another trial."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from whet.files import read_json, write_json
from whet.folder import RunFolder
from whet.recipe.search import SearchRecipe
from whet.workflows.sweep_study import Tried

NOTE_SECONDS = 5.0
"""What was spent is written down about this often; so much is lost to a kill."""
MOST_RESERVED = 1 / 3
"""Of the whole time, for further seeds: trials would have none left otherwise."""


class Clock:
    """Counts while a sweep is at work.

    :param leads: whether this process writes down what was spent; helpers read when the time is over.
    """

    def __init__(self, folder: RunFolder, search: SearchRecipe, *, leads: bool) -> None:
        self.path = folder.path / "clock.json"
        self.search, self.leads = search, leads
        known: dict[str, Any] = read_json(self.path) if self.path.exists() else {"spent": 0.0, "until": None}
        self.before = float(known["spent"])
        self.since = self.noted = time.monotonic()
        self.until = known["until"]
        if leads:
            left = None if search.minutes is None else 60 * search.minutes - self.before
            self.until = None if left is None else time.time() + left
            self._note()

    @property
    def spent(self) -> float:
        """Seconds since the sweep began, pauses between processes not counted."""
        return self.before + time.monotonic() - self.since

    def beat(self) -> None:
        """Write down what was spent, now and then."""
        if self.leads and time.monotonic() - self.noted > NOTE_SECONDS:
            self._note()

    def _note(self) -> None:
        self.noted = time.monotonic()
        write_json(self.path, {"spent": round(self.spent, 3), "until": self.until})

    def left(self) -> float:
        """Seconds until all of it is to end."""
        return float("inf") if self.until is None else float(self.until) - time.time()

    def has_time_for(self, seconds: float) -> bool:
        """Whether a further seed that is likely to take so long is to be begun."""
        self.beat()
        return self.left() > seconds

    def has_room(self, trials: Sequence[Tried]) -> bool:
        """Whether a trial that is begun now is likely to end, by what others took."""
        self.beat()
        return self.left() - self.reserved(trials) > _usual(trials)

    def is_over(self) -> bool:
        """Whether a further seed that is under way has to end."""
        self.beat()
        return self.left() <= 0

    def is_late(self, trials: Sequence[Tried]) -> bool:
        """Whether a trial that is under way has to end."""
        self.beat()
        return self.left() <= self.reserved(trials)

    def reserved(self, trials: Sequence[Tried]) -> float:
        """Seconds that further seeds of the best will take; the most that may be kept where no trial has ended yet."""
        if self.search.minutes is None or self.search.seeds == 1:
            return 0.0
        most, usual = MOST_RESERVED * 60 * self.search.minutes, _usual(trials)
        more = min(self.search.finalists, max(1, len(trials))) * (self.search.seeds - 1)
        return min(more * usual, most) if usual else most


def seconds_each(search: SearchRecipe, trials: int, left: float | None = None) -> float | None:
    """What a trial may take so that all that are wanted end in time; None: there is no limit.

    Several workers share the machine, so that all of them together do no more than one.

    :param trials: so many are wanted. :param left: seconds of the search that are left; None: all of them.
    """
    if search.minutes is None:
        return None
    whole = 60 * search.minutes if left is None else max(0.0, left)
    return (1.0 if search.seeds == 1 else 1 - MOST_RESERVED) * whole / max(1, trials)


def _usual(trials: Sequence[Tried]) -> float:
    """What a trial that ended took, on the mean; 0 where none has."""
    took = [one.seconds for one in trials if one.state == "complete"]
    return sum(took) / len(took) if took else 0.0
