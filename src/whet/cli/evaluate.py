"""``whet evaluate``: a run's model on new labelled rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Run

SHARES = ("accuracy", "macro_f1", "micro_f1", "ece")
"""Metrics shown in percent."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("evaluate")(evaluate)


def evaluate(
    run: Run,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled rows: a file, or a folder with a test file.")],
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label.")] = None,
    model: Annotated[str | None, typer.Option(help="Another model of the run than the one it ships.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep predictions and scores here.")] = None,
    json: Json = False,
) -> None:
    """Score the model of RUN on DATA, with intervals."""
    from whet.cli.screen import ProgressLine, console, measured, print_json, table
    from whet.workflows.using import evaluate as score

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    named = {name: value for name, value in {"text": text, "label": label}.items() if value is not None}
    found = score(run, data, named, out, progress.tell, model)
    progress.clear()
    if json:
        print_json(found)
        return
    scores = found["models"][found["model"]]
    rows = [
        [f"{name.replace('_', ' ')}{' (%)' if name in SHARES else ''}", measured(value, percent=name in SHARES)]
        for name, value in scores.items()
    ]
    table(screen, ["metric", f"{found['model']} on {found['num_rows']:,} rows"], rows, right=(1,))
