"""``whet curve``: would more labels help?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Set, changes


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("curve")(curve)


def curve(
    source: Annotated[
        str, typer.Argument(metavar="DATA|RECIPE|RUN", help="Labelled data, a recipe file, or the folder of a run.")
    ],
    task: Annotated[str | None, typer.Option(help="What the rows are for, as in whet fit.")] = None,
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with what is to be predicted.")] = None,
    base: Annotated[str | None, typer.Option(help="The pretrained model.")] = None,
    method: Annotated[str, typer.Option(help="What is trained on each sample; the probe is quick.")] = "probe",
    sizes: Annotated[int, typer.Option(help="Sizes of samples, five or more.")] = 7,
    draws: Annotated[int, typer.Option(help="Draws of samples, three or more.")] = 5,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where everything goes.")] = None,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Train on growing samples of the rows and say what twice or ten times the labels would gain.

    Says nothing where the interval holds zero, or where the curve misses the largest size. The same command
    goes on where it was stopped.
    """
    from whet.cli.screen import ProgressLine, console, print_json, table
    from whet.workflows.curve import Wanted
    from whet.workflows.curve import curve as learn
    from whet.workflows.curve import table as rows_of

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    named = {"task": task, "data.text": text, "data.label": label, "base": base}
    found, folder = learn(source, changes(named, set_), Wanted(method, draws, sizes), out, progress.tell)
    progress.clear()
    if json:
        print_json({**found, "folder": str(folder)})
        return
    titles, rows = rows_of(found)
    table(screen, titles, rows, right=(0, 1, 2))
    for words in found["words"]:
        screen.print(words, style="bold", markup=False)
    screen.print(f"picture: {folder / 'curve.svg'}", markup=False)
