"""Several runs on one page: scores and costs, the rows that changed, slices, and how their recipes differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from whet.evaluation.changed import CHANGES
from whet.files import write_text
from whet.findings import in_words
from whet.report import kinds, numbers
from whet.report.mistakes import shortened
from whet.report.noted import noted
from whet.report.page import page_with
from whet.report.score_tables import comparisons_table, costs_table, heading, metric_names, models_table, ranked
from whet.report.section import Section
from whet.report.tables import Column, Row, Table, number, words
from whet.report.visible import visible

TITLE = "Runs side by side"
ROWS_SHOWN = 100
"""Rows of each sort of change on the page; the file of --rows has them all."""
LONGEST_TEXT = 400
LONG_ANSWER = 40
"""Characters from which on answers get room as texts do."""
Told = Mapping[str, Any]


def write_side_by_side(path: Path, told: Told, changed: Mapping[str, Sequence[Told]], kind: str) -> None:
    """Write the page of a comparison.

    :param told: what ``whet compare --json`` prints.
    :param changed: every row that changed, of each run beside the first.
    :raises UserError: F001, F002, F003, it cannot be written.
    """
    write_text(path, side_by_side(told, changed, kind))


def side_by_side(told: Told, changed: Mapping[str, Sequence[Told]], kind: str) -> str:
    """The page as text."""
    sections = [_together(told, kind), _changed(told, changed), _slices(told), _differences(told)]
    return page_with(TITLE, sections)


def _together(told: Told, kind: str) -> Section:
    verdict, scores, row = told["verdict"], told["scores"], kinds.words(kind)
    metric = str(verdict["metric"])
    rows = numbers.plural(told["num_test_rows"], row.row, row.rows)
    content = {
        "reason": verdict["reason"],
        "code": str(verdict["code"]).replace("_", " "),
        "runs": list(told["runs"].items()),
        "table": models_table(f"What the runs ship, on the same {rows} of test", scores, metric, {}, verdict["ship"]),
        "meanings": [(heading(name), numbers.metric(name).meaning) for name in metric_names(scores, metric)],
        "comparisons": comparisons_table(f"Compared {row.row} by {row.row}", list(verdict["comparisons"]), row.rows),
        "costs": costs_table("What each run noted that it cost", told["costs"], ranked(scores, metric)),
        "findings": noted(told["findings"], "W"),
    }
    return Section("together", "Which run is better", content)


def _changed(told: Told, changed: Mapping[str, Sequence[Told]]) -> Section:
    runs = []
    for name, one in told["beside"].items():
        rows = changed[name]
        tables = [_rows(change, [row for row in rows if row["change"] == change]) for change in CHANGES]
        counts = [(change, one["changed"].get(change, 0), meaning) for change, meaning in CHANGES.items()]
        runs.append(
            {
                "name": name,
                "counts": [(change, numbers.count(count), meaning) for change, count, meaning in counts if count],
                "tables": [table for table in tables if table is not None],
            }
        )
    return Section("changed", "Row by row", {"runs": runs, "against": told["against"]})


def _rows(change: str, rows: Sequence[Told]) -> dict[str, Any] | None:
    if not rows:
        return None
    shown = rows[:ROWS_SHOWN]
    pairs = any("text_pair" in row for row in shown)
    columns = [Column("Row"), Column("Text", prose=True)]
    columns += [Column("Second text", prose=True)] if pairs else []
    long = any(len(str(row[name])) > LONG_ANSWER for row in shown for name in ("truth", "was", "is"))
    columns += [Column(title, prose=long) for title in ("Truth", "Was", "Is")]
    names = ["text", *(["text_pair"] if pairs else []), "truth", "was", "is"]
    made = [
        Row(
            [words(row["place"] or row["id"])]
            + [words(shortened(visible(str(row.get(name) or "")), LONGEST_TEXT)) for name in names]
        )
        for row in shown
    ]
    more = len(rows) - len(shown)
    caption = f"{change.capitalize()}: {numbers.plural(len(rows), 'row')}"
    return {
        "table": Table(caption, columns, made, sortable=len(made) > 2, shape="stacked"),
        "more": f"{numbers.plural(more, 'more row')}: whet compare --rows FILE writes all of them." if more else "",
        "open": change == "broke",
    }


def _slices(told: Told) -> Section:
    runs = [
        {"name": name, "said": one["slices"]["said"], "table": _slices_table(one["slices"])}
        for name, one in told["beside"].items()
    ]
    return Section("slices", "Where they differ", {"runs": runs, "against": told["against"]})


def _slices_table(found: Told) -> Table | None:
    if not found["found"]:
        return None
    columns = [
        Column("Rows"),
        Column("Confirmed"),
        Column("How many", True),
        Column("Gain here", True, "By how much less wrong the run decides a row than the other, on average."),
        Column("Gain elsewhere", True),
        Column("Apart, first half", True, "Gain here minus gain elsewhere, on the half on which the part was found."),
        Column("Apart, second half", True, "The same on the other half, which had no say in finding it."),
        Column("p, Holm", True, "How often chance alone would set the second half so far apart."),
    ]
    rows = [
        Row(
            [
                words(one["rows"]),
                words("yes" if one["confirmed"] else "no"),
                number(one["num_rows"], numbers.count(one["num_rows"])),
                *(number(one[name], _signed(one[name])) for name in ("inside", "rest", "first", "second")),
                number(one["p_holm"], numbers.probability(one["p_holm"])),
            ],
            marked=bool(one["confirmed"]),
        )
        for one in found["found"]
    ]
    return Table("Parts that stood out on the first half", columns, rows, sortable=len(rows) > 2)


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + numbers.decimal(value)


def _differences(told: Told) -> Section:
    names = list(told["runs"])
    content = {
        "options": _values("Options that differ", names, told["differences"]),
        "machines": _values("Machine and versions that differ", names, told["machines"]),
    }
    return Section("differences", "How the recipes differ", content)


def _values(caption: str, names: Sequence[str], differences: Sequence[Told]) -> Table | None:
    if not differences:
        return None
    columns = [Column("Option" if "Option" in caption else ""), *(Column(name, prose=True) for name in names)]
    rows = [
        Row([words(one["name"]), *(words(_value(value), why) for value, why in _pairs(one))]) for one in differences
    ]
    return Table(caption, columns, rows)


def _pairs(one: Told) -> list[tuple[Any, str]]:
    return list(zip(one["values"], one["reasons"], strict=True))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else visible(shortened(in_words(value), LONGEST_TEXT)) or "none"
