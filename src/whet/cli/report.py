"""``whet report``: the page of a run, drawn anew."""

from __future__ import annotations

import typer

from whet.cli.options import Json, Run


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(run: Run, json: Json = False) -> None:
    """Draw report.html of RUN again from the files of its folder."""
    from whet.cli.screen import console, print_json
    from whet.folder import RunFolder
    from whet.report import write_report

    RunFolder(run).read_state()
    path = write_report(run)
    if json:
        print_json({"run": str(run), "report": str(path)})
    else:
        console(to_stderr=False).print(str(path), markup=False)
