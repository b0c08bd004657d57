"""The end of the page: settings with their reasons, the environment, how to use the model."""

from __future__ import annotations

import json
import shlex
from typing import Any

from whet.recipe.rules import concerns
from whet.report import markdown, numbers
from whet.report.run_files import RunFiles
from whet.report.section import Section
from whet.report.tables import Cell, Column, Row, Table, words

LONGEST_VALUE = 160


def settings(run: RunFiles) -> Section:
    """Every setting with its value and the reason for it; those of other tasks are left out."""
    if run.resolved:
        columns = [Column("Setting"), Column("Value"), Column("Reason", prose=True)]
        rows = []
        for path, entry in run.resolved.items():
            if run.task and not concerns(path, run.task):
                continue
            known = isinstance(entry, dict) and "value" in entry
            value, reason = (entry["value"], entry.get("reason") or "") if known else (entry, "")
            rows.append(Row([words(path), words(shown(value)), words(reason)]))
        return Section(
            "settings", "Settings", {"table": Table("Settings, values and reasons", columns, rows, shape="stacked")}
        )
    if run.recipe:
        rows = [Row([words(path), words(shown(value))]) for path, value in flattened(run.recipe)]
        table = Table("The recipe as it was given", [Column("Setting"), Column("Value")], rows, shape="stacked")
        return Section("settings", "Settings", {"table": table})
    return Section("settings", "Settings", absent="Neither a recipe nor resolved settings were saved.")


def environment(run: RunFiles) -> Section:
    """Versions and machine."""
    if not run.environment:
        return Section("environment", "Environment", absent="The environment was not recorded.")
    facts = {key: value for key, value in run.environment.items() if not isinstance(value, dict)}
    rows = [Row([words(key.replace("_", " ")), Cell(shown(value))]) for key, value in facts.items()]
    content: dict[str, Any] = {
        "table": Table("Machine and versions", [Column("What"), Column("Value", prose=True)], rows),
        "groups": [],
    }
    for key, group in run.environment.items():
        if isinstance(group, dict) and group:
            rows = [Row([words(path), Cell(shown(value))]) for path, value in flattened(group)]
            title = key.replace("_", " ").capitalize()
            content["groups"].append(Table(title, [Column("Name"), Column("Value")], rows))
    return Section("environment", "Environment", content)


def use(run: RunFiles) -> Section:
    """How to use the model: the words of its card, or our own command where it has none."""
    if not (run.folder / "model").is_dir():
        return Section("use", "Use the model", absent="No model was saved: the run has not come that far.")
    text = markdown.section(run.card, "Use") or f"```\nwhet predict {shlex.quote(run.name)} rows.csv\n```\n"
    return Section("use", "Use the model", {"blocks": markdown.blocks(text)})


def shown(value: Any) -> str:
    """A setting's value on one line, cut where it is very long."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]} … ({numbers.count(len(text))} characters)"


def flattened(values: dict[str, Any], before: str = "") -> list[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` becomes ``[("a.b", 1)]``."""
    rows: list[tuple[str, Any]] = []
    for key, value in values.items():
        path = f"{before}{key}"
        rows += flattened(value, f"{path}.") if isinstance(value, dict) and value else [(path, value)]
    return rows
