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


NOTED = "EGW"
"""Findings of a training that the page of the whole shows where there is something to act on; of X it shows all."""
OF_CONTROLS = "X001"
"""The finding that stands above the controls."""


def series_sections(folder: Path) -> list[Section]:
    """The sections of the page."""
    told = read_json(folder / "stages.json")
    findings = read_json(folder / "findings.json") if (folder / "findings.json").is_file() else []
    stages = [one for one in told["stages"] if "." not in one["name"]]
    others = [one for one in told["stages"] if "." in one["name"]]
    content = {
        "table": _table("What came of each stage", stages, folder),
        "findings": [one for one in noted(findings, "X") if one.code != OF_CONTROLS],
        "noticed": _noticed(stages, folder),
    }
    found = [Section("stages", "Stages", content)]
    path = folder / "controls.json"
    if path.is_file():
        content = _controls(read_json(path), others, folder)
        content["findings"] = [one for one in noted(findings, "X") if one.code == OF_CONTROLS]
        found.append(Section("controls", "Controls", content))
    elif others:
        why = "The last stage did not come to its end, so that there is nothing to hold against the controls."
        found.append(Section("controls", "Controls", absent=why))
    return found


def _of_run(name: str, folder: Path) -> list[dict[str, Any]]:
    """The findings of a run that stand on the page of the whole."""
    path = folder / "runs" / name / "findings.json"
    found = read_json(path) if path.is_file() else []
    return [
        one
        for one in found
        if (one["code"][0] == "X" and one["bin"] != "not_applicable")
        or (one["code"][0] in NOTED and one["bin"] == "issue")
    ]


def _noticed(runs: Sequence[Mapping[str, Any]], folder: Path) -> Table:
    """A row for each finding of each run."""
    columns = [Column("Stage"), Column("Finding"), Column("In words", prose=True)]
    rows = [
        Row([words(one["name"]), words(found["code"], str(found.get("title", ""))), words(found["message"])])
        for one in runs
        for found in _of_run(str(one["name"]), folder)
    ]
    return Table("What was noticed in them; all of it is in their own reports", columns, rows, shape="stacked")


def _noticed_in_several(runs: Sequence[Mapping[str, Any]], folder: Path) -> Table:
    """A row for each code, with the runs in which it was found."""
    where: dict[tuple[str, str], list[str]] = {}
    for one in runs:
        for found in _of_run(str(one["name"]), folder):
            names = where.setdefault((str(found["code"]), str(found.get("title", ""))), [])
            names += [] if one["name"] in names else [str(one["name"])]
    columns = [Column("Finding"), Column("Runs", True), Column("Which", prose=True)]
    rows = [
        Row([words(code, title), number(len(names), str(len(names))), words(", ".join(names))])
        for (code, title), names in sorted(where.items())
    ]
    return Table("What was noticed in them; the words are in their own reports", columns, rows, shape="stacked")


def _table(caption: str, rows: Sequence[Mapping[str, Any]], folder: Path) -> Table:
    columns = [
        Column("Stage"),
        Column("Task"),
        Column("Model"),
        Column("Training rows", True),
        Column("Score", hint="On its own test rows"),
        Column("Verdict"),
        Column("Tokens", True, "That its model was trained on"),
        Column("Time", True),
        Column("Size", True),
    ]
    return Table(caption, columns, [_row(one, folder) for one in rows], shape="stacked")


def _row(one: Mapping[str, Any], folder: Path) -> Row:
    name, begins = str(one["name"]), str(one["from"])
    page = f"runs/{name}/report.html"
    link = page if (folder / page).is_file() else ""
    first = Cell(name, f"from {begins if len(begins) < 40 else '...' + begins[-36:]}", name, link=link)
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


def _controls(told: Mapping[str, Any], others: Sequence[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
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
        "irrelevant": told["irrelevant"] if "irrelevant" in held else None,
        "table": Table(f"{told['stage']} on the same test rows", columns, rows, shape="stacked"),
        "runs": _table("Every further run", others, folder),
        "noticed": _noticed_in_several(others, folder),
    }
