"""What may happen to a process, as patches of its own machine: it is killed at a chosen moment, or slow."""

from __future__ import annotations

import os
import pkgutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def die() -> None:
    """As ``kill -9`` does it: nothing is caught, nothing is tidied up."""
    os.kill(os.getpid(), signal.SIGKILL)


def half(path: Path) -> None:
    """Leave the first half of a file, as a write that was under way."""
    os.truncate(path, path.stat().st_size // 2)


def _replace(place: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    parent, _, name = place.rpartition(".")
    holder = pkgutil.resolve_name(parent)
    setattr(holder, name, wrap(getattr(holder, name)))


@dataclass(frozen=True)
class KilledIn:
    """Killed at the ``nth`` call of the function at ``place``: before it, after it, or half-way through a file."""

    place: str
    nth: int = 1
    when: str = "before"

    def __call__(self) -> None:
        calls = 0

        def wrap(known: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                nonlocal calls
                calls += 1
                if calls == self.nth and self.when == "before":
                    die()
                result = known(*given, **named)
                if calls == self.nth:
                    if self.when == "half":
                        self._tear(given)
                    die()
                return result

            return call

        _replace(self.place, wrap)

    @staticmethod
    def _tear(given: tuple[Any, ...]) -> None:
        """Cut what was just written: a path or an open file stands among the arguments."""
        target = next(one for one in given[1:] if isinstance(one, Path) or hasattr(one, "flush"))
        if not isinstance(target, Path):
            target.flush()
            os.truncate(target.fileno(), target.tell() // 2)
        elif target.is_dir():
            whole = sorted(path for path in target.rglob("*") if path.is_file())
            for path in whole[len(whole) // 2 :]:
                path.unlink()
        else:
            half(target)


@dataclass(frozen=True)
class KilledAtRename:
    """Killed right before or after the ``nth`` rename, by which every file is put in its place."""

    nth: int
    after: bool = False

    def __call__(self) -> None:
        KilledIn("os.replace", self.nth, "after" if self.after else "before")()


@dataclass(frozen=True)
class TornLog:
    """Killed while the ``nth`` row of the events is being written."""

    nth: int

    def __call__(self) -> None:
        from whet.workflows import fit

        known, calls = fit.append_jsonl, 0

        def append(path: Path, rows: list[Any]) -> None:
            nonlocal calls
            calls += 1
            known(path, rows)
            if calls == self.nth:
                with path.open("r+b") as file:
                    file.truncate(path.stat().st_size - 7)
                die()

        fit.append_jsonl = append


@dataclass(frozen=True)
class SlowSteps:
    """Every step of training takes longer, so that there is time for a signal."""

    seconds: float

    def __call__(self) -> None:
        from whet.engine import loop

        known = loop.gradients

        def gradients(*given: Any) -> Any:
            time.sleep(self.seconds)
            return known(*given)

        loop.gradients = gradients


@dataclass(frozen=True)
class SlowReading:
    """Reading takes longer."""

    seconds: float

    def __call__(self) -> None:
        def wrap(known: Callable[..., Any]) -> Callable[..., Any]:
            def call(*given: Any, **named: Any) -> Any:
                time.sleep(self.seconds)
                return known(*given, **named)

            return call

        _replace("whet.data.reading.distribute", wrap)
