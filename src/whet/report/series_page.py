"""A series of runs on one page: its stages, and what the controls say. Out of stages.json and controls.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.evaluation.wording import model_words
from whet.files import read_json
from whet.report import numbers
from whet.report.noted import noted
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, number, words

HELD = {
    "adapted": "after the training on texts",
    "none": "the task alone",
    "irrelevant": "after as much training on other text",
    "equal-compute": "the task alone, for as many more tokens",
}
"""Branches of controls in words."""


def series_sections(folder: Path) -> list[Section]:
    """The sections of the page."""
    told = read_json(folder / "stages.json")
    findings = read_json(folder / "findings.json") if (folder / "findings.json").is_file() else []
    stages = [one for one in told["stages"] if "." not in one["name"]]
    others = [one for one in told["stages"] if "." in one["name"]]
    content = {"table": _table("What came of each stage", stages), "findings": noted(findings, "X")}
    found = [Section("stages", "Stages", content)]
    path = folder / "controls.json"
    if path.is_file():
        found.append(Section("controls", "Controls", _controls(read_json(path), others)))
    elif others:
        why = "The last stage did not come to its end, so that there is nothing to hold against the controls."
        found.append(Section("controls", "Controls", absent=why))
    return found


def _table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = [
        Column("Stage"),
        Column("Task"),
        Column("Model"),
        Column("Training rows", True),
        Column("Score on its test rows"),
        Column("Verdict", prose=True),
        Column("Tokens trained", True),
        Column("Time", True),
        Column("Size", True),
    ]
    return Table(caption, columns, [_row(one) for one in rows], shape="stacked")


def _row(one: Mapping[str, Any]) -> Row:
    begins = str(one["from"])
    first = Cell(str(one["name"]), f"from {begins if len(begins) < 40 else '...' + begins[-36:]}", str(one["name"]))
    if "score" not in one:
        state = str(one["why"] or one["state"])
        return Row([first, words(one["task"]), words("-"), *(words("-"),) * 2, words(state), *(words("-"),) * 3])
    value, low, high = numbers.measured(one["score"])
    metric = str(one["metric"])
    score = Cell(
        f"{numbers.spoken(metric)} {numbers.written(value, metric)}",
        numbers.interval(low, high, metric),
        value,
    )
    verdict = words(str(one["verdict"]).replace("_", " "), f"ships {model_words(str(one['ships']))}")
    return Row(
        [
            first,
            words(one["task"]),
            words(one["model"]),
            number(one["rows"]["train"], numbers.count(one["rows"]["train"])),
            score,
            verdict,
            number(one["tokens"], numbers.count(one["tokens"]) if one["tokens"] else "-"),
            number(one["seconds"], numbers.seconds(one["seconds"])),
            number(one["size_bytes"], numbers.size(one["size_bytes"])),
        ]
    )


def _controls(told: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    metric = str(told["metric"])
    held = {one["kind"]: one for one in told["controls"]}
    rows = []
    for branch, values in told["values"].items():
        known = [value for value in values if value is not None]
        mean = sum(known) / len(known) if known else None
        each = ", ".join("failed" if value is None else numbers.written(value, metric) for value in values)
        one = held.get(branch)
        gap = Cell("-", "")
        if one is not None and one["value"] is not None:
            gap = Cell(numbers.difference(one["value"], metric), numbers.interval(one["low"], one["high"], metric))
        rows.append(
            Row(
                [
                    words(HELD.get(branch, branch), branch),
                    number(mean, "-" if mean is None else numbers.written(mean, metric)),
                    words(each),
                    number(told["epochs"].get(branch), numbers.figure(told["epochs"].get(branch))),
                    gap,
                    words("-" if one is None else one["said"]),
                ]
            )
        )
    columns = [
        Column("Branch"),
        Column(numbers.metric(metric).title, True, "Mean over seeds"),
        Column("Each seed"),
        Column("Epochs of the task", True),
        Column("Adapted minus it", False, "95 % interval over seeds and test rows"),
        Column("So adapted is"),
    ]
    return {
        "words": told["words"],
        "irrelevant": told["irrelevant"],
        "table": Table(f"{told['stage']} on the same test rows", columns, rows),
        "runs": _table("Every further run", others),
    }
