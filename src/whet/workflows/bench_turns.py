"""The time of ``whet bench``: which ways are compared in the seconds that there are, and what their turns show.

The first way is measured whatever it takes. Every other is foreseen from it, then from a step of its own, and is left
out, on record, where the seconds have no room for its turns or the machine none for its model.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from whet.engine.step import is_out_of_memory
from whet.errors import ModelTooLarge
from whet.workflows.bench_ways import Way
from whet.workflows.rows import Tell

ROUNDS, FEWEST_ROUNDS = 3, 2
"""Turns in which each way is timed once; turns without which no way is compared, for one alone shows no spread."""
WARM, FEWEST = 2, 3
"""Steps that make room and code before anything is timed; steps of a turn at least, where they are not long."""
COLD, COLD_SHARE = 2.0, 0.05
"""Seconds, or a share of all, after which warming up ends: what a first step takes beside the step itself is less."""
MOST = 1.4
"""So many times the seconds may become, rather than that a turn has fewer than FEWEST steps, or that a way of which a
step was measured is left out."""
MARGIN = 1.1
"""The seconds that are named for ways that are left out have room for so many times what is foreseen."""

TIME, MEMORY = "time", "memory"
"""What there is too little of for a way."""


class Taking(Protocol):
    """What takes real steps, as :class:`whet.workflows.bench_ways.Trained` does."""

    def take(self, steps: int, untimed: int = 1) -> tuple[int, float]:
        """Tokens and seconds of so many steps, with others before them."""

    def shares(self, steps: int, untimed: int = 1) -> dict[str, float]:
        """What each part takes of the time of such steps."""


Model = TypeVar("Model", bound=Taking)


@dataclass
class _Compared(Generic[Model]):
    """A way with its model, the seconds of a ``step``, and tokens a second: of that step, and of each turn."""

    name: str
    model: Model
    step: float
    rate: float
    rates: list[float] = field(default_factory=list)


class Turns(Generic[Model]):
    """Models that ``make`` makes, one after the other, timed in turn for about ``seconds``.

    ``rounds``: turns that were taken; ``left_out``: the ways that were not compared, what they lack, and the seconds
    that would have had room for each with those before it; None where it lacks memory.
    """

    def __init__(self, make: Callable[[Way], Model], seconds: float, tell: Tell) -> None:
        self.seconds = seconds
        self.rounds = 0
        self.left_out: list[dict[str, Any]] = []
        self._make, self._tell = make, tell
        self._compared: list[_Compared[Model]] = []
        self._spent = 0.0

    @property
    def first(self) -> Model:
        """The model of the first way."""
        return self._compared[0].model

    @property
    def rates(self) -> dict[str, list[float]]:
        """Tokens a second of each way that was compared, of each turn."""
        return {one.name: one.rates for one in self._compared}

    # --- which ways ---------------------------------------------------------------------------------

    def choose(self, ways: Sequence[Way]) -> None:
        """Measure a step of the first of ``ways``, and of every other that there is room for in their order."""
        lacking: list[tuple[str, float]] = []
        for number, way in enumerate(ways):
            self._tell("warming up", number, len(ways))
            step = self._compared[0].step * way.times if self._compared else 0.0
            if self._compared and self._until(step) + step > self.seconds:
                lacking.append((way.name, step))
            elif (one := self._measured(way)) is None:
                self._left_out(way.name, MEMORY, None)
                gc.collect()  # models know themselves in circles
            elif self._compared and self._until(one.step) > MOST * self.seconds:
                lacking.append((way.name, one.step))
                del one
                gc.collect()
            else:
                self._compared.append(one)
        needed = self._until()
        for name, step in lacking:
            needed += step * (1 + FEWEST_ROUNDS)
            self._left_out(name, TIME, 10 * math.ceil(needed * MARGIN / 10))

    def _measured(self, way: Way) -> _Compared[Model] | None:
        """A way with its model, once a step of it was measured; None where memory runs out, but of the first way."""
        try:
            model = self._make(way)
            return _Compared(way.name, model, *self._warmed(model))
        except Exception as error:
            if not self._compared or not _lacks_memory(error):
                raise
        return None

    def _warmed(self, model: Model) -> tuple[float, float]:
        """Seconds of a step and tokens a second, once room and code are made; a long step is measured by its first."""
        begun = self._spent
        for _ in range(WARM + 1):
            tokens, took = self._take(model, 1, 0)
            if self._spent - begun > max(COLD, COLD_SHARE * self.seconds):
                return took, tokens / took
        tokens, took = self._take(model, 1, 1)
        return took, tokens / took

    def _until(self, step: float = 0.0) -> float:
        """Seconds in all with the fewest turns of what is compared, and of another way of such a ``step``."""
        return self._spent + FEWEST_ROUNDS * (self._round + step) + self._compared[0].step

    def _left_out(self, name: str, lacks: str, seconds: int | None) -> None:
        self.left_out.append({"name": name, "lacks": lacks, "seconds": seconds})

    # --- turns --------------------------------------------------------------------------------------

    def take(self) -> dict[str, float]:
        """Take the turns; where there is room for none, the step that was measured stands for them.

        :returns: what each part takes of the time of a step, of the first way.
        """
        self.rounds = rounds = self._rounds()
        least = self._least()
        share = _even([least * one.step for one in self._compared], rounds, self.seconds - self._spent)
        for number in range(rounds):
            for place, one in enumerate(list(self._compared)):
                self._tell("turns", number * len(self._compared) + place, rounds * len(self._compared))
                self._turn(one, *_steps(share, one.step, least))
        for one in self._compared:
            one.rates = one.rates or [one.rate]
        steps, untimed = _steps(share, self._compared[0].step, least)
        return self.first.shares(min(FEWEST, steps), untimed)

    def _turn(self, one: _Compared[Model], steps: int, untimed: int) -> None:
        try:
            tokens, took = self._take(one.model, steps, untimed)
        except Exception as error:
            if one is self._compared[0] or not _lacks_memory(error):
                raise
            self._compared.remove(one)
            self._left_out(one.name, MEMORY, None)
        else:
            one.rates.append(tokens / took)

    @property
    def _round(self) -> float:
        """Seconds of a turn in which every way takes a step."""
        return sum(one.step for one in self._compared)

    def _rounds(self) -> int:
        """As many turns as have room; a way alone may have none, others were chosen for as many as they need."""
        room = (self.seconds - self._spent - self._compared[0].step) / self._round
        return max(FEWEST_ROUNDS if len(self._compared) > 1 else 0, min(ROUNDS, round(room)))

    def _least(self) -> int:
        """Steps of a turn: FEWEST and one before them that is not timed, or a single one where steps are long."""
        whole = self._spent + (FEWEST + 1) * (ROUNDS * self._round + self._compared[0].step)
        return FEWEST + 1 if whole <= MOST * self.seconds else 1

    def _take(self, model: Model, steps: int, untimed: int) -> tuple[int, float]:
        """As the model does it; the time counts, that of untimed steps too."""
        begun = time.perf_counter()
        tokens, took = model.take(steps, untimed)
        self._spent += time.perf_counter() - begun
        return tokens, max(1e-6, took)


def _even(needs: Sequence[float], rounds: int, seconds: float) -> float:
    """Seconds of a turn of each way, and of what is profiled at the end: who needs more has it, others share the rest.

    :param needs: seconds of the shortest turn of each way.
    """
    parts = rounds * len(needs) + 1
    for need in sorted(needs, reverse=True):
        if need <= seconds / parts:
            break
        seconds, parts = seconds - rounds * need, parts - rounds
    return seconds / parts


def _steps(share: float, step: float, least: int) -> tuple[int, int]:
    """Steps that are timed in a ``share`` of the time, and those before them that are not."""
    number = max(least, int(share / step))
    return (number - 1, 1) if number > FEWEST else (number, 0)


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, ModelTooLarge) or is_out_of_memory(error)
