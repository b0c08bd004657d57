"""What models learnt beside what they forgot: a picture and a table, of one run or several. Out of forgetting.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from whet.evaluation.measures import MEASURES
from whet.evaluation.wording import model_words
from whet.files import read_json
from whet.report import numbers
from whet.report.charts import above, altair
from whet.report.pictures import FIRST, QUIET, SECOND, Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, words

TITLE = "Learned and forgotten"
FILE = "forgetting.json"
STRENGTH = {"probes": "accuracy of probes, points", "text": "nats a token"}
Ends = tuple[float, float, float]
"""A value with the ends of its interval."""


@dataclass(frozen=True, slots=True)
class Point:
    """A model: what it learnt and what it forgot, in the units of the picture.

    ``path``: (share of the tuned weights, learned, forgotten) from the base to the tuned model, where looked at.
    """

    name: str
    learned: Ends
    forgotten: Ends
    moves: bool = True
    path: tuple[Ends, ...] = ()
    sets: Sequence[Mapping[str, Any]] = field(default=())


def measured(run: RunFiles) -> bool:
    """Whether forgetting was measured in this run."""
    return (run.folder / FILE).is_file()


def forgetting(run: RunFiles) -> Section:
    """Picture, table of models, table of sets."""
    told = read_json(run.folder / FILE)
    content = contents([("", told)])
    if content is None:
        why = next((one["why"] for one in told["models"].values() if one.get("why")), "No model moves the base.")
        return Section("forgetting", TITLE, absent=f"{str(why)[:1].upper()}{str(why)[1:]}")
    return Section("forgetting", TITLE, content)


def contents(runs: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any] | None:
    """What the template shows of runs, each with the name that tells it apart; None where nothing was measured."""
    points = _once([point for name, told in runs for point in points_of(name, told)])
    if not any(point.moves for point in points):
        return None
    told = next(told for _, told in runs if told.get("way"))
    metric, way = str(told["learned"]["metric"]), str(told["way"])
    against = {f"{one['learned']['against']}" for _, one in runs if one.get("learned")}
    return {
        "picture": picture(points, metric, way, sorted(against)),
        "words": _told(told, way),
        "findings": [one["message"] for _, some in runs for one in some["findings"]],
        "table": table(points, metric, way, sorted(against)),
        "sets": sets_table(points) if way == "probes" else None,
        "path": any(point.path for point in points),
    }


def _once(points: Sequence[Point]) -> list[Point]:
    """What several runs have in common, such as their probe on the same rows, is one point without a run's name."""
    alike: dict[Any, list[Point]] = {}
    for place, point in enumerate(points):
        what = place if point.moves else (point.name.rpartition(": ")[2], point.learned)
        alike.setdefault(what, []).append(point)
    return [
        some[0] if len(some) == 1 else replace(some[0], name=some[0].name.rpartition(": ")[2])
        for some in alike.values()
    ]


def points_of(name: str, told: Mapping[str, Any]) -> list[Point]:
    """The models of a run of which both is known."""
    found = []
    for model, entry in told["models"].items():
        learned, lost = entry.get("learned"), entry.get("forgotten")
        if learned is None or (lost is None and entry["moves"]):
            continue
        metric, way = str(told["learned"]["metric"]), str(told.get("way", "probes"))
        gain, loss = scale_of(metric), 100.0 if way == "probes" else 1.0
        ends = (0.0, 0.0, 0.0) if lost is None else tuple(loss * lost[key] for key in ("value", "low", "high"))
        found.append(
            Point(
                model if not name else f"{name}: {model}",
                tuple(gain * learned[key] for key in ("value", "low", "high")),
                ends,
                bool(entry["moves"]),
                _path(entry, told["learned"], gain, loss),
                () if lost is None else lost["sets"],
            )
        )
    return found


def scale_of(metric: str) -> float:
    """100 where a metric is written in points."""
    return 100.0 if MEASURES[metric].shown == "points" else 1.0


def _path(entry: Mapping[str, Any], learned: Mapping[str, Any], gain: float, loss: float) -> tuple[Ends, ...]:
    """Its ends lie where base and tuned model do on the same test rows."""
    metric, start = str(learned["metric"]), learned["value"]
    sign = -1.0 if MEASURES[metric].lower_is_better else 1.0
    some = [one for one in entry.get("path", ()) if one["forgotten"] and metric in one["values"]]
    if start is None:
        return ()
    return tuple(
        (one["share"], gain * sign * (one["values"][metric] - start), loss * one["forgotten"]["value"]) for one in some
    )


def _told(told: Mapping[str, Any], way: str) -> str:
    asked = told.get("asked") or []
    if way == "text":
        return (
            f"Both models read the same {numbers.count(asked[0]['rows'])} pieces of general text, which nobody trained "
            "them on; what these cost the tuned model more than the base was forgotten."
        )
    names = ", ".join(str(one["name"]) for one in asked)
    return (
        f"A linear probe was fitted on the vectors of the base, and another on those of the tuned model, for sets that "
        f"were made without the task in mind ({names}); both answer the same rows, none of which they were fitted on."
    )


# --- the picture --------------------------------------------------------------------------------------


def picture(points: Sequence[Point], metric: str, way: str, against: Sequence[str]) -> Picture:
    """Learned to the right, forgotten upwards; the best place is at the bottom right."""
    unit = "points" if scale_of(metric) == 100 else MEASURES[metric].unit
    across = f"Learned: gain in {MEASURES[metric].words} over {_named(against)}{f', {unit}' if unit else ''}"
    up = f"Forgotten: {STRENGTH[way]}"
    spoken = "; ".join(
        f"{one.name} learned {one.learned[0]:.3g} ({one.learned[1]:.3g} to {one.learned[2]:.3g}) and forgot "
        f"{one.forgotten[0]:.3g} ({one.forgotten[1]:.3g} to {one.forgotten[2]:.3g})"
        for one in points
    )
    legend = ["Dots are models, lines their 95 % intervals; the further down and to the right, the better."]
    if any(one.path for one in points):
        legend.append("The dashed line goes from the base to the tuned weights, with dots for weights between them.")
    charts = {
        "wide": lambda: _chart(points, across, up, 520),
        "narrow": lambda: _chart(points, across, up, 230),
    }
    alternative = f"{across}; {up.lower()}: {spoken}."
    return Picture(
        " ".join(legend), alternative, table(points, metric, way, against), drawn("forgetting", alternative, charts)
    )


def _named(against: Sequence[str]) -> str:
    return " or ".join(model_words(one) for one in against)


def _chart(points: Sequence[Point], across: str, up: str, width: int) -> Any:
    alt = altair()

    def chart(values: list[dict[str, Any]]) -> Any:
        return alt.Chart(alt.Data(values=values))

    x = alt.X("x:Q", title=across, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5))
    y = alt.Y("y:Q", title=None, scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(tickCount=5))
    zero = [chart([{"y": 0.0}]).mark_rule(strokeDash=[4, 3], color=QUIET).encode(y=y)]
    zero.append(chart([{"x": 0.0}]).mark_rule(strokeDash=[4, 3], color=QUIET).encode(x=x))
    layers = list(zero)
    for point in points:
        way = [{"x": learned, "y": lost, "share": share} for share, learned, lost in point.path]
        if way:
            line = chart(way).mark_line(color=SECOND, strokeDash=[3, 3], strokeWidth=1.5)
            layers.append(line.encode(x=x, y=y, order="share:Q"))
            dots = chart(way).mark_point(size=18, strokeWidth=0, fill=SECOND, opacity=1)
            layers.append(dots.encode(x=x, y=y))
    rows = [
        {
            "name": one.name,
            "x": one.learned[0],
            "x0": one.learned[1],
            "x1": one.learned[2],
            "y": one.forgotten[0],
            "y0": one.forgotten[1],
            "y1": one.forgotten[2],
        }
        for one in points
    ]
    layers.append(
        chart(rows).mark_rule(color=FIRST, strokeWidth=2).encode(x=alt.X("x0:Q", title=across), x2="x1:Q", y=y)
    )
    layers.append(chart(rows).mark_rule(color=FIRST, strokeWidth=2).encode(x=x, y=alt.Y("y0:Q", title=None), y2="y1:Q"))
    layers.append(chart(rows).mark_point(size=70, fill=FIRST, strokeWidth=0, opacity=1).encode(x=x, y=y))
    layers.append(chart(rows).mark_text(align="left", dx=8, dy=-9).encode(x=x, y=y, text="name:N"))
    return alt.layer(*layers).properties(width=width, height=260, title=above(up))


# --- tables -------------------------------------------------------------------------------------------


def table(points: Sequence[Point], metric: str, way: str, against: Sequence[str]) -> Table:
    """A row a model."""
    known = MEASURES[metric]
    columns = [
        Column("Model"),
        Column(f"Learned ({known.words})", True, f"gain over {_named(against)} on the test rows"),
        Column(f"Forgotten ({STRENGTH[way].split(',')[0]})", True, "what the base did better than the tuned model"),
    ]
    digits = (1 if scale_of(metric) == 100 else 3), (1 if way == "probes" else 3)
    rows = [
        Row(
            [
                words(one.name, "" if one.moves else "the base stays as it is"),
                _ends(one.learned, digits[0]),
                _ends(one.forgotten, digits[1]) if one.moves else number(0.0, numbers.decimal(0.0, digits[1])),
            ]
        )
        for one in points
    ]
    return Table("What every model learned, and what it forgot", columns, rows)


def _ends(ends: Ends, digits: int) -> Any:
    value, low, high = (numbers.decimal(one, digits) for one in ends)
    return number(ends[0], value, f"{low} to {high}")


def sets_table(points: Sequence[Point]) -> Table:
    """A row a set and model."""
    columns = [
        Column("Set"),
        Column("Model"),
        Column("Rows", True),
        Column("Base", True, "accuracy of the probe on the base"),
        Column("Tuned", True),
        Column("Forgotten", True),
        Column("p", True, "McNemar, after Holm's correction over sets"),
    ]
    rows = []
    for point in points:
        for one in point.sets:
            lost = tuple(100 * float(one[key]) for key in ("forgotten", "low", "high"))
            shown = numbers.decimal(float(one["p_holm"]), 3) if one["known"] else "not counted"
            rows.append(
                Row(
                    [
                        words(one["name"], "" if one["known"] else "the base does not know it"),
                        words(point.name),
                        number(one["num_rows"], numbers.count(one["num_rows"])),
                        number(one["base"], numbers.decimal(100 * float(one["base"]), 1)),
                        number(one["tuned"], numbers.decimal(100 * float(one["tuned"]), 1)),
                        _ends(lost, 1),  # type: ignore[arg-type]
                        number(one["p_holm"], shown),
                    ]
                )
            )
    return Table("Set by set: accuracy in percent", columns, rows)
