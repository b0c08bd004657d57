"""``whet audit``: what is the data like?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from whet.cli.options import Json, Set, changes
from whet.findings import parts_in_words

MARKS = {"issue": "!", "tip": "-", "passed": "ok", "not_applicable": "n/a"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File, folder of splits, or hub data set id.")],
    task: Annotated[str | None, typer.Option(help="What the rows are for, as in whet fit.")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label, tags, answers or score.")] = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Read every row of DATA and report duplicates, leaks, imbalance, broken text and more."""
    from whet.cli.screen import ProgressLine, console, print_json, table
    from whet.workflows.inspecting import audit_data

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    named = {"data.source": data, "task": task, "data.text": text, "data.label": label}
    found, audited = audit_data(changes(named, set_), progress.tell)
    progress.clear()
    if json:
        findings = [finding.to_json() for finding in audited.findings]
        print_json({"data": data, "splits": audited.splits, "findings": findings})
        return
    for reason in (*found.columns.reasons.values(), *found.notes):
        screen.print(f"  {reason}", markup=False)
    table(screen, *_splits(audited.splits), right=(1, 2) if found.labels else (1,))
    order = list(MARKS)
    for finding in sorted(audited.findings, key=lambda one: (order.index(one.bin), one.code)):
        screen.print(f"{MARKS[finding.bin]:>3} {finding.code} {finding.title}: {finding.message}", markup=False)
        if finding.bin == "issue":
            for example in finding.evidence.get("examples", [])[:3]:
                screen.print(f"      {_example(example)}", style="dim", markup=False)
            if finding.remedy:
                screen.print(f"      {finding.remedy}", markup=False)


def _splits(splits: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the table of splits: how many rows, and how many labels occur, where rows have any."""
    rows = [[split, f"{about['rows']:,}"] for split, about in splits.items()]
    if not any(about["labels"] for about in splits.values()):
        return ["split", "rows"], rows
    occurring = [str(sum(count > 0 for count in about["labels"].values())) for about in splits.values()]
    return ["split", "rows", "labels"], [[*row, number] for row, number in zip(rows, occurring, strict=True)]


def _example(example: object) -> str:
    if not isinstance(example, dict):
        return str(example)
    return "  ".join(
        f"{name}: {text[:100]!r}" if name == "text" else f"{name} {text}"
        for name, text in parts_in_words(example).items()
    )
