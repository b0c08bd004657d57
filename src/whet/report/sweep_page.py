"""sweep.html: what came out of a search, out of sweep.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.evaluation.measures import lower_is_better
from whet.files import write_text
from whet.findings import in_words
from whet.recipe.names import LANGUAGE
from whet.recipe.space import base_in_words
from whet.report import numbers
from whet.report.charts import altair
from whet.report.noted import noted
from whet.report.page import page_with
from whet.report.pictures import FIRST, INK, QUIET, Picture, drawn
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, number, plain, words
from whet.report.tradeoff import cloud

FILE = "sweep.html"
Facts = Mapping[str, Any]
DEFAULT = "as the recipe has it"
MEMORY = (
    "The most by which the process grew while it trained, beyond what it held before (the base, for one); mean over "
    "seeds. On a GPU the memory of the device is not in it"
)
"""What is known of memory: the peak of a process that trains one model after the other says nothing of one of them."""


def write(folder: Path, found: Facts) -> Path:
    """Write the page of a sweep into its folder.

    :raises UserError: F001, F002, F003, it cannot be written.
    """
    path = folder / FILE
    sections = [_outcome(found), _tradeoff(found), _choices(found), _trials(found)]
    write_text(path, page_with(f"Search: {folder.resolve().name}", sections))
    return path


def _outcome(found: Facts) -> Section:
    about = (
        f"{numbers.plural(len(found['trials']), 'setting')} of {found['task']} on {base_in_words(str(found['base']))} "
        f"{'was' if len(found['trials']) == 1 else 'were'} tried and chosen by validation alone; the finalists, "
        f"trained with several seeds, and the baselines answered the same {numbers.count(found['num_test_rows'])} "
        f"test rows, which had no say in the choice."
    )
    told = noted(found["findings"], "X")
    content = {"reason": found["verdict"]["reason"], "about": about, "table": table(found), "findings": told}
    content["seeds"] = trainings(found)
    return Section("sweep", "Verdict", content)


def table(found: Facts) -> Table:
    """Every contender, cheapest first: quality, forgetting, sizes and times."""
    metric = str(found["metric"])
    quality = "On test rows; mean over seeds, interval over seeds and rows; of one training, over rows alone"
    columns = [
        Column("Model"),
        Column(numbers.metric(metric).title, True, quality),
        Column("Seeds", True, "Trainings that are judged: beside two others the first, which validation chose, is not"),
        Column("Forgotten", True, "Of what the base knew, by the first seed"),
        Column("Moves", True, "Weights that training moves, of all"),
        Column("Memory added", True, MEMORY),
        Column("Training", True, "Time inside optimiser steps, mean over seeds"),
        Column("Size", True, "Of everything that must be shipped: an adapter is of no use without its base"),
        Column("Latency", True, "Time a row, many rows at once"),
    ]
    rows = [_row(one, metric) for one in found["table"]]
    caption = "Settings that were looked at again, and baselines; cheapest first"
    return Table(caption, columns, rows, sortable=True, shape="stacked")


def _row(one: Facts, metric: str) -> Row:
    value, low, high = numbers.measured(one["value"])
    costs = one["costs"]
    told = "ships" if one["ships"] else ("not worse" if one["near_best"] else "")
    setting = shown(one["setting"]) if one.get("setting") is not None else ""
    rate = costs.get("predict_rows_per_second")
    return Row(
        [
            words(one["words"], "; ".join(filter(None, (told, setting)))),
            number(value, numbers.written(value, metric), numbers.interval(low, high, metric), bool(one["ships"])),
            number(one["num_seeds"], numbers.count(one["num_seeds"]), _missing(one)),
            _forgotten(one.get("forgetting")),
            _moving(costs),
            number(costs.get("added_bytes"), numbers.size(costs.get("added_bytes"))),
            number(costs.get("train_seconds"), numbers.seconds(costs.get("train_seconds"))),
            _size(costs),
            number(1000 / rate if rate else None, milliseconds(rate)),
        ],
        marked=bool(one["ships"]),
    )


def _missing(one: Facts) -> str:
    cut = sum(bool(seed["cut"]) for seed in one.get("seeds", ()))
    counts = {"cut short": cut, "failed": len(one.get("failed", ())), "left out for time": int(one.get("left_out", 0))}
    return ", ".join(f"{count} {how}" for how, count in counts.items() if count)


def trainings(found: Facts) -> Table | None:
    """Every training of the finalists with its own value; None of an older search, which does not tell them."""
    metric = str(found["metric"])
    columns = [
        Column("Model"),
        Column("Seed", True),
        Column(numbers.metric(metric).title, True, "On test rows, of this training alone"),
        Column("What it counts for", prose=True),
    ]
    rows = [
        Row(
            [
                words(row["words"]),
                number(one["seed"], str(one["seed"])),
                number(one["value"], numbers.written(one["value"], metric)),
                words(one["note"] or "judges"),
            ]
        )
        for row in found["table"]
        for one in row.get("seeds", ())
    ]
    return Table("Every training of the finalists", columns, rows, sortable=True, shape="stacked") if rows else None


def _forgotten(told: Facts | None) -> Cell:
    if told is None:
        return number(None, numbers.ABSENT)
    if told["way"] == "probes":
        return number(
            told["value"], numbers.points(told["value"]), numbers.interval(told["low"], told["high"], "accuracy")
        )
    return number(told["value"], numbers.decimal(told["value"]), "nats a token")


def _moving(costs: Facts) -> Cell:
    moved, total = costs.get("trainable_parameters"), costs.get("total_parameters")
    if not moved or not total:
        return number(moved, numbers.magnitude(moved))
    share = numbers.percent(moved / total, 0 if moved > 0.1 * total else 2)
    return number(moved / total, share, numbers.magnitude(moved))


def _size(costs: Facts) -> Cell:
    """Of the model's own files and, where it is an adapter, of the base as well."""
    whole = shipped_bytes(costs)
    own = f"{numbers.size(costs['size_bytes'])} without its base" if costs.get("base_bytes") else ""
    return number(whole, numbers.size(whole), own)


def shipped_bytes(costs: Facts) -> float | None:
    """What must be shipped in all; None where nothing is kept of the model."""
    return costs["size_bytes"] + costs.get("base_bytes", 0.0) if costs.get("size_bytes") else None


def milliseconds(rows_per_second: Any) -> str:
    """Of a row: ``1.4 ms``."""
    return f"{1000 / rows_per_second:.3g}{numbers.GAP}ms" if rows_per_second else numbers.ABSENT


def shown(setting: Mapping[str, Any]) -> str:
    """``lora, training.learning_rate 0.00123``."""
    if not setting:
        return DEFAULT
    named = {name: f"{value:.3g}" if isinstance(value, float) else in_words(value) for name, value in setting.items()}
    if "base" in named:
        named["base"] = base_in_words(named["base"])
    return ", ".join(text if name == "method" else f"{name} {text}" for name, text in named.items())


# --- the trade-off ------------------------------------------------------------------------------------


def _tradeoff(found: Facts) -> Section:
    points = [one for one in found["table"] if one["value"] and one["costs"].get("train_seconds")]
    title = "What quality costs"
    if len(points) < 2:
        return Section("tradeoff", title, absent="Fewer than two models whose training was timed.")
    return Section("tradeoff", title, {"picture": tradeoff(found, points)})


def tradeoff(found: Facts, points: Sequence[Facts]) -> Picture:
    """Quality with its interval against the time of training, on a scale of ratios."""
    metric = str(found["metric"])
    factor = 100 if numbers.metric(metric).share else 1
    rows = [
        {
            "name": one["name"] if one["is_baseline"] else f"{one['name']}, {one['kind']}",
            "seconds": max(float(one["costs"]["train_seconds"]), 0.01),
            **{name: float(one["value"][name]) * factor for name in ("value", "low", "high")},
            "kind": "baseline" if one["is_baseline"] else "searched",
        }
        for one in points
    ]
    spoken = "; ".join(
        f"{one['words']} {numbers.written(one['value']['value'], metric)} in "
        f"{numbers.seconds(one['costs']['train_seconds'])}"
        for one in points
    )
    alternative = f"{numbers.metric(metric).title} against time of training: {spoken}."
    data = plain(
        "The numbers of the picture",
        ["Model", numbers.metric(metric).title, "Interval", "Training"],
        [
            [
                one["words"],
                numbers.written(one["value"]["value"], metric),
                numbers.interval(one["value"]["low"], one["value"]["high"], metric),
                numbers.seconds(one["costs"]["train_seconds"]),
            ]
            for one in points
        ],
    )
    better = "higher" if numbers.metric(metric).higher_is_better else "lower"
    caption = f"Dots are models with their intervals; the {better} and the further to the left, the better."
    title = numbers.metric(metric).title + (", percent" if numbers.metric(metric).share else "")
    charts = {"wide": lambda: cloud(rows, title, 620), "narrow": lambda: cloud(rows, title, 300)}
    return Picture(caption, alternative, data, drawn("tradeoff", alternative, charts))


# --- which choices mattered ---------------------------------------------------------------------------


def _choices(found: Facts) -> Section:
    title = "Which choices mattered"
    told = next(one for one in found["findings"] if one["code"] == "X032")
    known = told["evidence"].get("groups", {})
    groups = {name: one for name, one in known.items() if name in told["evidence"]["told"]} if known else {}
    if not groups:
        return Section("choices", title, absent=told["message"])
    return Section("choices", title, {"pictures": [importance(name, one) for name, one in groups.items()]})


def importance(name: str, weighed: Facts) -> Picture:
    """How what the choices tell of validation is shared between them, as bars."""
    shares = sorted(weighed["importance"].items(), key=lambda one: -one[1])
    spoken = ", ".join(f"{option} {numbers.percent(share, 0)}" for option, share in shares)
    trials = numbers.plural(weighed["num_trials"], "trial")
    alternative = f"Choices {name}, {trials}: {spoken}."
    data = plain("The numbers of the picture", ["Option", "Share"], [[a, numbers.percent(b, 0)] for a, b in shares])
    caption = (
        f"Shares of what choices tell of validation, {name} ({trials}), by functional analysis of variance; of another "
        f"trial they foretell {numbers.percent(weighed['foretold'], 0)}."
    )
    rows = [{"option": option, "share": 100 * share} for option, share in shares]
    slug = "".join(letter if letter.isalnum() else "-" for letter in name)
    return Picture(caption, alternative, data, drawn(f"choices-{slug}", alternative, {"any": lambda: _bars(rows)}))


def _bars(rows: list[dict[str, Any]]) -> Any:
    alt = altair()
    across = alt.X("share:Q", title="Share, percent", scale=alt.Scale(domain=[0, 100]), axis=alt.Axis(tickCount=5))
    names = [row["option"] for row in rows]
    down = alt.Y("option:N", sort=names, title=None, axis=alt.Axis(ticks=False, domain=False, labelColor=INK))
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(color=FIRST)
        .encode(x=across, y=down)
        .properties(width=360, height=alt.Step(24))
    )


# --- all trials ---------------------------------------------------------------------------------------


def _trials(found: Facts) -> Section:
    ended = [one for one in found["trials"] if one["curve"]]
    content = {
        "about": _counted(found),
        "picture": curves(found, ended) if len(ended) > 1 else None,
        "table": _all(found),
    }
    return Section("trials", "Trials", content)


def looks_by(found: Facts) -> str:
    """The metric of what validation gave to trials; "" where an older search does not say."""
    wanted = str(found["search"]["metric"])
    return wanted if wanted != "auto" else str(found.get("validation_metric", ""))


def seen(value: float, found: Facts) -> float:
    """What validation gave, as people know it; trials keep it so that more is better, losses below zero."""
    return turned(value, str(found["task"]), str(found["search"]["metric"]))


def turned(value: float, task: str, metric: str) -> float:
    """The same of a search that is under way."""
    return -value if task in LANGUAGE or (metric != "auto" and lower_is_better(metric)) else value


def look(value: float | None, found: Facts) -> str:
    """What validation gave, written as on test rows; of a measure that only training knows, with four digits."""
    if value is None:
        return numbers.ABSENT
    metric = looks_by(found)
    shown = seen(value, found)
    return numbers.written(shown, metric) if metric in numbers.METRICS else numbers.decimal(shown, 4)


def _counted(found: Facts) -> str:
    counts = found["counts"]
    named = {"complete": "trained to their end or to that of the time", "pruned": "given up before", "failed": "failed"}
    return f"{'; '.join(f'{counts[state]} {text}' for state, text in named.items())}."


def _all(found: Facts) -> Table:
    columns = [Column("Trial", True), Column("Setting", prose=True), Column("Validation", True), Column("Time", True)]
    columns.append(Column("How it ended", prose=True))
    rows = []
    for one in found["trials"]:
        how = {"complete": "completed", "pruned": "given up", "failed": "failed", "running": "under way"}[one["state"]]
        why = one["why"] or (one["ended"] if one["ended"] not in ("", "completed") else "")
        rows.append(
            Row(
                [
                    number(one["number"], numbers.count(one["number"])),
                    words(DEFAULT if not one["setting"] else shown(one["setting"])),
                    number(one["value"], look(one["value"], found)),
                    number(one["seconds"], numbers.seconds(one["seconds"])),
                    words(": ".join(filter(None, (how, why)))),
                ]
            )
        )
    return Table("Every setting that was tried", columns, rows, sortable=True, shape="stacked")


def curves(found: Facts, trials: Sequence[Facts]) -> Picture:
    """The best look at validation of every trial by the share of its training."""
    percent = numbers.metric(looks_by(found)).share
    rows = [
        {
            "trial": f"trial {one['number']}",
            "share": 100 * share,
            "value": seen(value, found) * (100 if percent else 1),
            "state": one["state"],
        }
        for one in trials
        for share, value in one["curve"]
    ]
    best = max(trials, key=lambda one: one["curve"][-1][1])
    alternative = (
        f"Best look at validation by the share of training, of {numbers.plural(len(trials), 'trial')}; the best is "
        f"trial {best['number']} with {look(best['curve'][-1][1], found)}."
    )
    data = plain(
        "The numbers of the picture",
        ["Trial", "Last look", "Share of training"],
        [[one["number"], look(one["curve"][-1][1], found), numbers.percent(one["curve"][-1][0], 0)] for one in trials],
    )
    caption = "A line is a trial: its best look at validation so far. Quiet lines were given up."
    title = f"Validation{', percent' if percent else ''}"
    return Picture(caption, alternative, data, drawn("trials", alternative, {"any": lambda: _lines(rows, title)}))


def _lines(rows: list[dict[str, Any]], title: str) -> Any:
    alt = altair()
    across = alt.X("share:Q", title="Share of training, percent", axis=alt.Axis(grid=False, tickCount=5))
    down = alt.Y("value:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
    colours = alt.Scale(domain=["complete", "pruned", "failed", "running"], range=[FIRST, QUIET, QUIET, QUIET])
    colour = alt.Color("state:N", scale=colours, legend=None)
    chart = alt.Chart(alt.Data(values=rows)).encode(x=across, y=down, color=colour, detail="trial:N")
    lines = chart.mark_line(strokeWidth=1.5, opacity=0.7, interpolate="step-after")
    return alt.layer(lines, chart.mark_point(size=12, filled=True)).properties(width=420, height=240)
