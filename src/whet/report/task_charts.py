"""The drawings that suit one kind of task: a cloud of values, bars of counts, recall by depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whet.report.charts import above, altair, lines
from whet.report.pictures import FIRST, INK, QUIET, SECOND


def cloud(
    points: Sequence[tuple[float, float]], means: Sequence[tuple[float, float]], titles: tuple[str, str], same: bool
) -> Any:
    """Said against true values, hollow dots, and the mean of what was said along the truth as a line of squares.

    :param points, means: (true, said).
    :param titles: of the axis across (truth) and of the one upwards.
    :param same: both are on one scale; then the diagonal is drawn, where a perfect model would be.
    """
    alt = altair()

    everything = [*points, *means]
    true, said = [point[0] for point in everything], [point[1] for point in everything]
    if same:
        true = said = true + said
    across = _axis(alt, alt.X, "true", titles[0], true)
    down = _axis(alt, alt.Y, "said", None, said)
    layers = []
    if same:
        ends = [{"true": end, "said": end} for end in (min(true), max(true))]
        diagonal = alt.Chart(alt.Data(values=ends)).mark_line(color=QUIET, strokeDash=[2, 3], strokeWidth=1)
        layers.append(diagonal.encode(x=across, y=down))
    dots = alt.Chart(alt.Data(values=[{"true": x, "said": y} for x, y in points]))
    layers.append(
        dots.mark_point(size=22, strokeWidth=1, stroke=FIRST, fill="none", opacity=0.55).encode(x=across, y=down)
    )
    if len(means) > 1:
        line = alt.Chart(alt.Data(values=[{"true": x, "said": y} for x, y in means]))
        layers.append(line.mark_line(strokeWidth=2, color=SECOND).encode(x=across, y=down))
        layers.append(
            line.mark_point(size=36, shape="square", strokeWidth=0, opacity=1, fill=SECOND).encode(x=across, y=down)
        )
    return alt.layer(*layers).properties(width=290, height=290, title=above(titles[1]))


def _axis(alt: Any, channel: Any, field: str, title: str | None, values: Sequence[float]) -> Any:
    """An axis with a little room around the values, not forced to hold zero."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.5
    scale = alt.Scale(domain=[low - room, high + room], nice=False)
    return channel(f"{field}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))


def histogram(counts: Sequence[tuple[float, float, int]], title: str, zero: bool = True, above_it: str = "Rows") -> Any:
    """Bars of counts between edges; a dashed line at zero.

    :param counts: (from, to, how many).
    :param above_it: what is counted.
    """
    alt = altair()

    bars = alt.Chart(alt.Data(values=[{"low": low, "high": high, "count": count} for low, high, count in counts]))
    bound = alt.Scale(domain=[counts[0][0], counts[-1][1]], nice=False)
    across = alt.X("low:Q", bin="binned", title=title, scale=bound, axis=alt.Axis(grid=False, tickCount=6))
    down = alt.Y("count:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1))
    layers = [bars.mark_bar(color=FIRST, opacity=0.85).encode(x=across, x2="high:Q", y=down)]
    if zero and counts[0][0] < 0 < counts[-1][1]:
        rule = alt.Chart(alt.Data(values=[{"low": 0}])).mark_rule(color=INK, strokeDash=[4, 3])
        layers.append(rule.encode(x=across))
    return alt.layer(*layers).properties(width=290, height=190, title=above(above_it))


def bars(counts: Sequence[tuple[str, int, bool]], title: str, above_it: str) -> Any:
    """A bar a name with its count on top; bars whose third entry is true are in the second colour."""
    alt = altair()

    names = [name for name, _, _ in counts]
    values = [{"name": name, "count": count, "shown": f"{count:,}", "other": other} for name, count, other in counts]
    chart = alt.Chart(alt.Data(values=values))
    axis = alt.Axis(labelAngle=0, ticks=False, domain=False, labelColor=INK)
    across = alt.X("name:N", sort=names, title=title, axis=axis, scale=alt.Scale(paddingInner=0.25))
    down = alt.Y("count:Q", title=None, axis=alt.Axis(tickCount=4, tickMinStep=1))
    fill = alt.Fill("other:N", scale=alt.Scale(domain=[False, True], range=[FIRST, SECOND]), legend=None)
    boxes = chart.mark_bar(opacity=0.85).encode(x=across, y=down, fill=fill)
    written = chart.mark_text(dy=-7, fontSize=11).encode(x=across, y=down, text="shown:N")
    return alt.layer(boxes, written).properties(width=alt.Step(46), height=190, title=above(above_it))


def by_depth(series: Mapping[str, Sequence[tuple[int, float]]], title: str) -> Any:
    """Shares in percent by how many passages are read, each doubling as wide as the last."""
    alt = altair()

    points: list[dict[str, Any]] = [
        {"depth": depth, "share": 100 * share, "series": name} for name in series for depth, share in series[name]
    ]
    deepest = max(point["depth"] for point in points)
    ticks = [depth for depth in (1, 2, 5, 10, 20, 50, 100) if depth <= deepest]
    scale = alt.Scale(type="log", domain=[1, max(deepest, 2)], nice=False)
    across = alt.X("depth:Q", title="Passages read", scale=scale, axis=alt.Axis(grid=False, values=ticks, format="d"))
    down = alt.Y("share:Q", title=None, scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5))
    looks = [(FIRST, [1, 0], "circle"), (SECOND, [6, 3], "square")]
    layers = lines(points, across, down, dict(zip(series, looks, strict=False)), dots=True)
    return alt.layer(*layers).properties(width=300, height=190, title=above(title))
