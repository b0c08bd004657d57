"""``whet evaluate``: a run's model on new labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Run


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    run: Run,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled rows: a file, or a folder with a test file.")],
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label, tags, answers or score.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model of the run than the one it ships.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep predictions and scores here.")] = None,
    json: Json = False,
) -> None:
    """Score the model of RUN on DATA, with intervals."""
    from whet.cli.screen import ProgressLine, console, measured, print_json, table
    from whet.data.row_form import Choice
    from whet.evaluation.measures import MEASURES
    from whet.workflows.using import evaluate as score

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    found = score(run, data, Choice(text=text, label=label), out, progress.tell, model)
    progress.clear()
    if "warning" in found:
        console(to_stderr=True).print(found["warning"], markup=False)
    if json:
        print_json(found)
        return
    scores = found["models"][found["model"]]
    rows = []
    for name, value in scores.items():
        known = MEASURES[name]
        percent = known.shown == "points"
        rows.append([f"{known.words}{' (%)' if percent else ''}", measured(value, percent=percent)])
    table(screen, ["metric", f"{found['model']} on {found['num_rows']:,} rows"], rows, right=(1,))
