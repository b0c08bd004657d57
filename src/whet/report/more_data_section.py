"""Whether more labels would help: errors by size and the curve through them. Out of ``curve/curve.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whet.files import read_json
from whet.report import numbers
from whet.report.charts import above, altair
from whet.report.pictures import FIRST, INK, LINE, PAPER, QUIET, SECOND, Picture, can_draw, drawn, to_svg
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import plain

TITLE = "Would more labels help?"
FILE = "curve.json"
COLOURS = {FIRST: "#2a5db0", SECOND: "#b4572a", QUIET: "#666", LINE: "#ddd", PAPER: "#fff", INK: "#222"}
"""Of the drawing that stands alone, without a page around it."""
Facts = Mapping[str, Any]


def was_drawn(run: RunFiles) -> bool:
    """Whether 'whet curve' was asked of this run."""
    return (run.folder / "curve" / FILE).is_file()


def more_data(run: RunFiles) -> Section:
    """The picture, what it says, and the numbers."""
    found = read_json(run.folder / "curve" / FILE)
    content = {"words": list(found["words"]), "picture": picture(found), "about": about(found)}
    return Section("more_data", TITLE, content)


def about(found: Facts) -> str:
    """What was done for it, in a sentence."""
    sizes = found["sizes"]
    return (
        f"{found['method']} trained on {len(sizes)} sizes from {numbers.count(sizes[0])} to "
        f"{numbers.count(sizes[-1])} rows, {found['draws']} draws each, and asked the same "
        f"{numbers.count(found['num_test_rows'])} test rows."
    )


def picture(found: Facts) -> Picture:
    """Errors with intervals, the curve and its band up to ten times the rows."""
    title = name_of(found)
    sizes = found["sizes"]
    alternative = (
        f"{title} by number of training rows: {shown(found['mean'][0], found)} at {numbers.count(sizes[0])} rows, "
        f"{shown(found['mean'][-1], found)} at {numbers.count(sizes[-1])}. {' '.join(found['words'])}"
    )
    rows = [
        [numbers.count(size), shown(mean, found), f"{shown(low, found)} to {shown(high, found)}"]
        for size, mean, low, high in zip(*(found[name] for name in ("sizes", "mean", "low", "high")), strict=True)
    ]
    data = plain("The numbers of the picture", ["Rows", title, "Interval"], rows)
    caption = (
        "Dots: mean error over draws, with its interval. The line is the curve through them, dashed where it is drawn "
        "beyond what was measured; the band is its interval."
    )
    return Picture(caption, alternative, data, drawn("more-data", alternative, {"any": lambda: chart(found)}))


def name_of(found: Facts) -> str:
    """What the vertical axis shows."""
    known = numbers.metric(str(found["metric"]))
    unit = ", percent" if known.share else ""
    return f"Error by {numbers.spoken(str(found['metric']))}{unit}"


def shown(value: float, found: Facts) -> str:
    """An error as its metric is written."""
    return numbers.percent(value) if numbers.metric(str(found["metric"])).share else numbers.decimal(value)


def chart(found: Facts) -> Any:
    """The Altair chart; sizes on a scale of ratios."""
    alt = altair()
    factor = 100 if numbers.metric(str(found["metric"])).share else 1
    largest = found["sizes"][-1]
    dots = [
        {"rows": size, "error": mean * factor, "low": low * factor, "high": high * factor}
        for size, mean, low, high in zip(*(found[name] for name in ("sizes", "mean", "low", "high")), strict=True)
    ]
    line = [
        {"rows": size, "error": value * factor, "low": low * factor, "high": high * factor}
        for size, value, low, high in found["line"]
    ]
    across = alt.X(
        "rows:Q",
        title="Training rows",
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(grid=False, tickCount=5, format="~s"),
    )
    down = alt.Y("error:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    band = alt.Chart(alt.Data(values=line)).mark_area(opacity=0.15, color=FIRST)
    measured = [one for one in line if one["rows"] <= largest * 1.001]
    beyond = [measured[-1], *(one for one in line if one["rows"] > largest * 1.001)]
    layers = [
        band.encode(x=across, y=alt.Y("low:Q", title=None), y2="high:Q"),
        alt.Chart(alt.Data(values=measured)).mark_line(strokeWidth=2, color=FIRST).encode(x=across, y=down),
        alt.Chart(alt.Data(values=beyond))
        .mark_line(strokeWidth=2, strokeDash=[5, 4], color=FIRST)
        .encode(x=across, y=down),
        alt.Chart(alt.Data(values=dots))
        .mark_rule(color=INK)
        .encode(x=across, y=alt.Y("low:Q", title=None), y2="high:Q"),
        alt.Chart(alt.Data(values=dots))
        .mark_point(filled=True, size=50, color=INK, opacity=1)
        .encode(x=across, y=down),
    ]
    return alt.layer(*layers).properties(width=420, height=260, title=above(name_of(found)))


def drawing(found: Facts) -> str:
    """The picture as an SVG file that stands alone; a note in its place where nothing can be drawn here."""
    if not can_draw():
        return (
            '<svg xmlns="http://www.w3.org/2000/svg"><text>vl-convert-python draws this; see curve.json</text></svg>\n'
        )
    text = to_svg(chart(found), "more-data", picture_words(found))
    for name, colour in COLOURS.items():
        text = text.replace(name, colour)
    text = text.replace(">", f'><rect width="100%" height="100%" fill="{COLOURS[PAPER]}"/>', 1)
    return text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" ', 1) + "\n"


def picture_words(found: Facts) -> str:
    """The picture in words."""
    return f"{name_of(found)} by number of training rows. {' '.join(found['words'])}"
