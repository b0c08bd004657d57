"""``whet audit``: what is the data like?"""

from __future__ import annotations

from typing import Annotated

import typer

from whet.cli.options import Json

MARKS = {"issue": "!", "tip": "-", "passed": "ok", "not_applicable": "n/a"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("audit")(audit)


def audit(
    data: Annotated[str, typer.Argument(metavar="DATA", help="File, folder of splits, or hub data set id.")],
    task: Annotated[str | None, typer.Option(help="What the rows are for, as in whet fit.")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label, tags, answers or score.")] = None,
    json: Json = False,
) -> None:
    """Read every row of DATA and report duplicates, leaks, imbalance, broken text and more."""
    from whet.cli.screen import ProgressLine, console, print_json, table
    from whet.workflows.inspecting import audit_data

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    named = {"data.source": data, "task": task, "data.text": text, "data.label": label}
    found, audited = audit_data({name: value for name, value in named.items() if value}, progress.tell)
    progress.clear()
    if json:
        findings = [finding.to_json() for finding in audited.findings]
        print_json({"data": data, "splits": audited.splits, "findings": findings})
        return
    for reason in (*found.columns.reasons.values(), *found.notes):
        screen.print(f"  {reason}", markup=False)
    rows = [[split, f"{about['rows']:,}", str(len(about["labels"]))] for split, about in audited.splits.items()]
    table(screen, ["split", "rows", "labels"], rows, right=(1, 2))
    order = list(MARKS)
    for finding in sorted(audited.findings, key=lambda one: (order.index(one.bin), one.code)):
        screen.print(f"{MARKS[finding.bin]:>3} {finding.code} {finding.title}: {finding.message}", markup=False)
        if finding.bin == "issue":
            for example in finding.evidence.get("examples", [])[:3]:
                screen.print(f"      {_example(example)}", style="dim", markup=False)
            if finding.remedy:
                screen.print(f"      {finding.remedy}", markup=False)


def _example(example: object) -> str:
    if not isinstance(example, dict):
        return str(example)
    return "  ".join(
        f"{name}: {str(value)[:100]!r}" if name == "text" else f"{name} {value}" for name, value in example.items()
    )
