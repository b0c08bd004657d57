"""The drawings of the report as Altair charts. Field names are fixed: what users wrote is only ever a value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from whet.report.pictures import FIRST, INK, LINE, PAPER, QUIET, SECOND

OFF_SCALE = 0.25
"""A model this far below the best is told at the edge, so that the others can be told apart."""


def altair() -> Any:
    """The library, imported where something is drawn; it is typed in part only, so its names count as Any."""
    import altair

    return altair


def comparison(
    rows: list[dict[str, Any]],
    title: str,
    reference: float | None,
    width: int,
    whole: float = 100,
    less_is_better: bool = False,
) -> Any:
    """Dot and interval a model.

    :param rows: ``{model, value, low, high, value_shown, ships}``, shares in percent, best first.
    :param reference: value of the best baseline in the same unit, drawn as a dashed line.
    :param whole: 100 where shares are in percent, else 1.
    :param less_is_better: so that the best stands on the left, and nothing lies off the scale.
    """
    alt = altair()

    near, far = split_scale(rows, whole, less_is_better)
    lowest = min(row["low"] for row in near)
    highest = max(row["high"] for row in near)
    room = max(highest - lowest, 0.005 * whole)
    left, right = lowest - 0.08 * room, highest + 0.22 * room  # on the right stands the number
    end = min(right, whole) if highest <= whole and not less_is_better else right
    axis = alt.Axis(values=ticks(left, end), labelExpr="datum.value")
    across = alt.X("value:Q", title=title, scale=alt.Scale(domain=[left, right], nice=False), axis=axis)
    names = [row["model"] for row in rows]
    down = alt.Y("model:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelColor=INK))

    def chart(values: Iterable[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=list(values)))

    layers = []
    if reference is not None and left <= reference <= right:
        layers.append(chart([{"value": reference}]).mark_rule(strokeDash=[4, 3], color=QUIET).encode(x=across))
    layers.append(
        chart(near).mark_rule(strokeWidth=2, color=FIRST).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=down)
    )
    dots = chart(near).mark_point(size=90, strokeWidth=2, stroke=FIRST, opacity=1)
    fill = alt.Fill("ships:N", scale=alt.Scale(domain=[True, False], range=[FIRST, PAPER]), legend=None)
    layers.append(dots.encode(x=across, y=down, fill=fill))
    shown = [row | {"shown": row["value_shown"]} for row in near]
    layers.append(chart(shown).mark_text(align="left", dx=7).encode(x="high:Q", y=down, text="shown:N"))
    if far:
        shown = [row | {"shown": f"◂ {row['value_shown']}", "edge": left} for row in far]
        layers.append(
            chart(shown).mark_text(align="left", dx=3, color=QUIET).encode(x="edge:Q", y=down, text="shown:N")
        )
    return alt.layer(*layers).properties(width=width, height=alt.Step(28))


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``: steps of 1, 2 or 5 times a power of ten."""
    rough = max(high - low, 1e-9) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [round(number * step, 10) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def split_scale(
    rows: list[dict[str, Any]], whole: float = 100, less_is_better: bool = False
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows on the scale and rows told at its edge; everything is on it where fewer than two would stay.

    So it is where less is better: such a metric has no upper end, and the edge is the side of the best.
    """
    if less_is_better:
        return rows, []
    best = max(row["value"] for row in rows)
    near = [row for row in rows if row["value"] >= best - whole * OFF_SCALE]
    if len(near) < 2:
        return rows, []
    return near, [row for row in rows if row not in near]


def curves(
    series: Mapping[str, list[tuple[int, float]]],
    faint: list[tuple[int, float]],
    title: str,
    best_step: int | None,
    percent: bool = False,
) -> Any:
    """Lines of train and validation over the steps; ``faint``: a rugged line behind them."""
    alt = altair()

    factor = 100 if percent else 1
    names = list(series)
    points = [{"step": step, "value": value * factor, "series": name} for name in names for step, value in series[name]]
    across = alt.X("step:Q", title="Step", axis=alt.Axis(grid=False, tickCount=5, tickMinStep=1, format=",d"))
    down = alt.Y("value:Q", title=None, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    layers = []
    if faint:
        rugged = alt.Chart(alt.Data(values=[{"step": step, "value": value} for step, value in faint]))
        layers.append(rugged.mark_line(strokeWidth=1, opacity=0.35, color=SECOND, clip=True).encode(x=across, y=down))
    if best_step is not None:
        rule = alt.Chart(alt.Data(values=[{"step": best_step}]))
        layers.append(rule.mark_rule(strokeDash=[2, 3], color=QUIET).encode(x=across))
    styles = [(FIRST, [1, 0], "circle"), (SECOND, [6, 3], "square")]
    if points:
        layers += lines(points, across, down, dict(zip(names, styles, strict=False)), dots=len(points) <= 80)
    return alt.layer(*layers).properties(width=300, height=190, title=above(title))


def heat_map(labels: list[str], matrix: list[list[int]]) -> Any:
    """Confusion: rows = truth, columns = predicted; the darker, the larger the share of the row."""
    alt = altair()

    cells = []
    for truth, counts in enumerate(matrix):
        total = sum(counts)
        for predicted, times in enumerate(counts):
            share = times / total if total else 0.0
            cells.append(
                {
                    "truth": labels[truth],
                    "predicted": labels[predicted],
                    "shown": str(times) if times else "",
                    # the root makes single mistakes visible beside a full diagonal
                    "shade": round(share**0.5, 3),
                    "right": truth == predicted,
                }
            )
    step = 30 if len(labels) <= 20 else 24
    axis = {"ticks": False, "domain": False, "labelLimit": 180, "labelColor": INK, "labelPadding": 6}
    across = alt.X("predicted:N", sort=labels, title="Predicted", axis=alt.Axis(orient="top", labelAngle=-90, **axis))
    down = alt.Y("truth:N", sort=labels, title="Truth", axis=alt.Axis(**axis))
    grid = alt.Chart(alt.Data(values=cells)).encode(x=across, y=down)
    colours = alt.Scale(domain=[True, False], range=[FIRST, SECOND])
    filled = grid.mark_rect(stroke=LINE, strokeWidth=1).encode(
        fill=alt.Fill("right:N", scale=colours, legend=None),
        fillOpacity=alt.FillOpacity("shade:Q", scale=alt.Scale(domain=[0, 1], range=[0, 1]), legend=None),
    )
    on_dark = alt.Scale(domain=[True, False], range=[PAPER, INK])
    written = grid.transform_calculate(dark="datum.shade > 0.72").mark_text(fontSize=11)
    written = written.encode(text="shown:N", color=alt.Color("dark:N", scale=on_dark, legend=None))
    return (
        alt.layer(filled, written)
        .resolve_scale(color="independent")
        .properties(width=alt.Step(step), height=alt.Step(step))
    )


def reliability(before: list[dict[str, float]], after: list[dict[str, float]]) -> Any:
    """Accuracy against confidence; the diagonal is perfect calibration."""
    alt = altair()

    names = [name for name, bins in (("After temperature", after), ("As trained", before)) if bins]
    points: list[dict[str, Any]] = [
        {"confidence": one["confidence"] * 100, "accuracy": one["accuracy"] * 100, "series": name}
        for name, bins in (("As trained", before), ("After temperature", after))
        for one in bins
    ]
    # confident models crowd at the top right: the axes begin where the points do
    start = max(0.0, 10 * (min(min(point["confidence"], point["accuracy"]) for point in points) // 10))
    scale = alt.Scale(domain=[start, 100], nice=False)
    across = alt.X("confidence:Q", title="Confidence, percent", scale=scale, axis=alt.Axis(tickCount=5))
    down = alt.Y("accuracy:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
    ideal = alt.Chart(alt.Data(values=[{"confidence": end, "accuracy": end} for end in (start, 100)]))
    diagonal = ideal.mark_line(color=QUIET, strokeDash=[2, 3], strokeWidth=1).encode(x=across, y=down)
    looks = {"After temperature": (FIRST, [1, 0], "circle"), "As trained": (SECOND, [6, 3], "square")}
    layers = [diagonal, *lines(points, across, down, {name: looks[name] for name in names}, dots=True)]
    return alt.layer(*layers).properties(width=290, height=290, title=above("Accuracy, percent"))


def lines(
    points: list[dict[str, Any]], across: Any, down: Any, styles: dict[str, tuple[str, list[int], str]], dots: bool
) -> list[Any]:
    """A line a series, told apart by colour, dashes and shape; the legend shows the lines."""
    alt = altair()

    names, looks = list(styles), list(styles.values())
    colours = alt.Scale(domain=names, range=[look[0] for look in looks])
    dashes = alt.Scale(domain=names, range=[look[1] for look in looks])
    legend = alt.Legend(title=None, symbolType="stroke", symbolSize=400)
    chart = alt.Chart(alt.Data(values=points)).encode(x=across, y=down)
    layers = [
        chart.mark_line(strokeWidth=2).encode(
            color=alt.Color("series:N", scale=colours, legend=legend),
            strokeDash=alt.StrokeDash("series:N", scale=dashes, legend=legend),
        )
    ]
    for name, (colour, _, shape) in styles.items() if dots else ():  # constants: an encoding would enter the legend
        mine = [point for point in points if point["series"] == name]
        marks = alt.Chart(alt.Data(values=mine)).mark_point(size=32, strokeWidth=0, opacity=1, fill=colour, shape=shape)
        layers.append(marks.encode(x=across, y=down))
    return layers


def above(text: str) -> Any:
    """What the vertical axis shows, written above it: no turned text."""
    alt = altair()

    return alt.Title(text, anchor="start", frame="group", color=QUIET, fontSize=12, fontWeight="normal", offset=6)
