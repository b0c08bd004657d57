"""What people see while a command works: notes, progress with rate and remaining time, tables."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

SILENT_SECONDS = 1.0
"""Progress appears when something takes longer than this."""
MOST_DIGITS = 1e6
"""From here on a number is written with its power of ten."""
LINE_SECONDS = 15.0
"""Without a terminal, progress is a line about this often."""


def console(to_stderr: bool) -> Console:
    """The screen; with ``--json`` everything but the last line goes to standard error."""
    from rich.console import Console

    return Console(stderr=to_stderr, highlight=False, soft_wrap=True)


def print_at_once(screen: Console, text: str) -> None:
    """A line from the handler of a signal, which may have come in the middle of another line: no buffer takes part."""
    before = "\r\x1b[K" if screen.is_terminal else ""
    with contextlib.suppress(OSError, ValueError):  # nobody is there to be told
        os.write(screen.file.fileno(), f"{before}{text}\n".encode())


def print_json(value: Any) -> None:
    """One JSON object as the last line of standard output."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


class ProgressLine:
    """One line that shows how far something is: a bar on a terminal, now and then a line elsewhere."""

    def __init__(self, screen: Console) -> None:
        self.screen = screen
        self._what = ""
        self._since = self._printed = 0.0
        self._status: Any = None

    def tell(self, what: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` things; an empty ``what`` ends the line."""
        now = time.monotonic()
        if what != self._what:
            self.clear()
            self._what, self._since, self._printed = what, now, now
        if not what or now - self._since < SILENT_SECONDS:
            return
        self._show(f"{what}: {_amount(done, total, now - self._since)}", now)

    def say(self, text: str) -> None:
        """Show ``text`` as the progress itself, as a training step words it."""
        now = time.monotonic()
        if self._what != "training":
            self.clear()
            self._what, self._since, self._printed = "training", now, now
        self._show(text, now)

    def _show(self, text: str, now: float) -> None:
        if self.screen.is_terminal:
            if self._status is None:
                self._status = self.screen.status(text)
                self._status.start()
            self._status.update(text)
        elif now - self._printed > LINE_SECONDS:
            self.screen.print(f"  {text}", markup=False)
            self._printed = now

    def clear(self) -> None:
        """Take the line away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
        self._what = ""


def _amount(done: int, total: int | None, seconds: float) -> str:
    rate = done / max(seconds, 1e-9)
    if not total:
        return f"{done:,} ({rate:,.0f} a second)"
    left = (total - done) / max(rate, 1e-9)
    return f"{done:,} of {total:,} ({rate:,.0f} a second, {duration(left)} left)"


def duration(seconds: float) -> str:
    """``75`` as ``1 min 15 s``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def count_of(number: float) -> str:
    """``22713216`` as ``22.7 M``."""
    for size, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.1f} {name}"
    return f"{number:.0f}"


def table(screen: Console, titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """A plain table; columns in ``right`` are aligned to the right."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, title in enumerate(titles):
        grid.add_column(title, justify="right" if number in right else "left", no_wrap=number in right)
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    screen.print(grid)


def figure(value: float, metric: str) -> str:
    """A value as its metric is shown: 93.4, or 0.812; one that is not known, as of a later version, as it is."""
    from whet.evaluation.measures import MEASURES

    known = MEASURES.get(metric)
    return _digits(value, percent=bool(known and known.shown == "points"))


def _digits(value: float, percent: bool) -> str:
    if percent:
        return f"{100 * value:.1f}"
    return f"{value:.3f}" if abs(value) < MOST_DIGITS else f"{value:.3g}"


def measured(value: Mapping[str, Any] | None, percent: bool = True) -> str:
    """``85.5 (82.0 - 88.5)``: a value with its interval, in percent where it is a share."""
    if not value or value.get("value") is None:
        return "-"
    text = _digits(value["value"], percent)
    if value.get("low") is None:
        return text
    return f"{text} ({_digits(value['low'], percent)} - {_digits(value['high'], percent)})"
