"""The drawing of quality against the time of training, with names that do not lie over each other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from whet.report.charts import altair
from whet.report.pictures import FIRST, INK, SECOND

HEIGHT = 300
LETTER, LINE = 7.0, 15.0
"""Pixels that a letter takes in width, at most on average, and a line of text in height."""
BESIDE = 8.0
"""Pixels from a dot to its name."""
ROOM = 0.06
"""Of either axis, beyond what is drawn."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale whose ends are known, so that a place in pixels can be told before anything is drawn."""

    low: float
    high: float
    pixels: float
    ratios: bool = False

    def place(self, value: float) -> float:
        """Pixels from the low end."""
        low, high, value = (math.log10(one) if self.ratios else one for one in (self.low, self.high, value))
        return self.pixels * (value - low) / (high - low)

    def value(self, place: float) -> float:
        """What stands so many pixels from the low end."""
        low, high = (math.log10(one) if self.ratios else one for one in (self.low, self.high))
        found = low + (high - low) * place / self.pixels
        return float(10**found) if self.ratios else found


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, from the lower left corner of the drawing."""

    left: float
    low: float
    right: float
    high: float

    def meets(self, other: Box) -> bool:
        """Whether the two share any place."""
        apart = self.right <= other.left or other.right <= self.left or self.high <= other.low or other.high <= self.low
        return not apart


def cloud(rows: Sequence[dict[str, Any]], title: str, width: int) -> Any:
    """Dots with intervals and names.

    :param rows: ``{name, kind, seconds, value, low, high}``; ``kind`` is "searched" or "baseline".
    """
    alt = altair()
    across, down = axes(rows, width)
    times = alt.Axis(values=marks(across), grid=False, labelExpr="format(datum.value, '~g')")
    ends = {"x": alt.Scale(type="log", domain=[across.low, across.high], nice=False)}
    ends["y"] = alt.Scale(domain=[down.low, down.high], nice=False)
    x = alt.X("seconds:Q", title="Training, seconds", scale=ends["x"], axis=times)
    y = alt.Y("value:Q", title=title, scale=ends["y"], axis=alt.Axis(tickCount=5))
    colours = alt.Scale(domain=["searched", "baseline"], range=[FIRST, SECOND])
    colour = alt.Color("kind:N", scale=colours, legend=alt.Legend(title=None))
    chart = alt.Chart(alt.Data(values=list(rows))).encode(x=x, color=colour)
    rules = chart.mark_rule(strokeWidth=1.5, opacity=0.5).encode(
        y=alt.Y("low:Q", title=title, scale=ends["y"]), y2="high:Q"
    )
    dots = chart.mark_point(size=70, filled=True, opacity=1).encode(y=y)
    written, texts = names(rows, across, down), []
    for align in ("left", "right"):
        some = alt.Chart(alt.Data(values=[one for one in written if one["align"] == align]))
        texts.append(some.mark_text(align=align, baseline="middle", color=INK).encode(x=x, y=y, text="name:N"))
    return alt.layer(rules, dots, *texts).properties(width=width, height=HEIGHT)


def axes(rows: Sequence[dict[str, Any]], width: int) -> tuple[Axis, Axis]:
    """Time on a scale of ratios, and quality."""
    seconds = [math.log10(row["seconds"]) for row in rows]
    wide = max(max(seconds) - min(seconds), 0.5)
    across = Axis(10 ** (min(seconds) - ROOM * wide), 10 ** (max(seconds) + ROOM * wide), width, ratios=True)
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    tall = max(high - low, 1e-3 * max(abs(high), abs(low), 1e-9))
    return across, Axis(low - ROOM * tall, high + ROOM * tall, HEIGHT)


def marks(across: Axis) -> list[float]:
    """Where the axis of time has numbers: powers of ten, and between them 2 and 5 where there are few of those."""
    powers = range(math.floor(math.log10(across.low)), math.ceil(math.log10(across.high)) + 1)
    for steps in ((1,), (1, 2, 5)):
        found = [round(step * 10.0**power, 10) for power in powers for step in steps]
        found = [one for one in found if across.low <= one <= across.high]
        if len(found) >= 3:
            break
    return found


def names(rows: Sequence[dict[str, Any]], across: Axis, down: Axis) -> list[dict[str, Any]]:
    """Where the name of each dot stands: beside it, or as near as it finds room.

    ``seconds`` and ``value`` are the place of its beginning or, where it is aligned to the right, of its end.
    """
    taken = [_around(across.place(row["seconds"]), down.place(row["value"])) for row in rows]
    taken += [_rule(across.place(row["seconds"]), down.place(row["low"]), down.place(row["high"])) for row in rows]
    found = []
    for row in rows:
        length = LETTER * len(row["name"])
        options = list(_around_dot(across.place(row["seconds"]), down.place(row["value"]), length))
        free = [one for one in options if _inside(one[0], across, down) and not any(one[0].meets(box) for box in taken)]
        box, align = (free or options)[0]
        taken.append(box)
        place = {
            "seconds": across.value(box.left if align == "left" else box.right),
            "value": down.value((box.low + box.high) / 2),
        }
        found.append({"name": row["name"], "align": align, **place})
    return found


def _around(x: float, y: float) -> Box:
    """What a dot takes."""
    return Box(x - BESIDE / 2, y - BESIDE / 2, x + BESIDE / 2, y + BESIDE / 2)


def _rule(x: float, low: float, high: float) -> Box:
    """What an interval takes."""
    return Box(x - 1, low, x + 1, high)


def _around_dot(x: float, y: float, length: float) -> Iterator[tuple[Box, str]]:
    """Places for a name, the best first: to the right, to the left, then further and further up and down."""
    for step in range(20):
        for up in (0.0,) if step == 0 else (step * LINE / 2, -step * LINE / 2):
            low = y + up - LINE / 2
            yield Box(x + BESIDE, low, x + BESIDE + length, low + LINE), "left"
            yield Box(x - BESIDE - length, low, x - BESIDE, low + LINE), "right"


def _inside(box: Box, across: Axis, down: Axis) -> bool:
    return box.left >= 0 and box.right <= across.pixels and box.low >= 0 and box.high <= down.pixels
