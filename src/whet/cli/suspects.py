"""``whet suspects``: which labels are doubtful?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Set, changes

SHOWN = 10


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("suspects")(suspects)


def suspects(
    source: Annotated[
        str, typer.Argument(metavar="DATA|RECIPE|RUN", help="Labelled data, a recipe file, or the folder of a run.")
    ],
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    label: Annotated[str | None, typer.Option(help="Column with the label.")] = None,
    base: Annotated[str | None, typer.Option(help="The pretrained model whose vectors judge.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Validation and test rows, too.")] = False,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The CSV to write.")] = Path("suspects.csv"),
    set_: Set = None,
    json: Json = False,
) -> None:
    """Write rows whose label is doubtful to a CSV, the most doubtful first, to be gone through by people.

    Each row is judged by a linear classifier on the base's vectors that did not see it. Fill in the column
    'corrected' where a label is wrong, and fit with --set data.corrections=FILE.
    """
    from whet.cli.screen import ProgressLine, console, print_json, table
    from whet.workflows.suspecting import suspects as look

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    named = {"data.text": text, "data.label": label, "base": base}
    found = look(source, changes(named, set_), out, everything, progress.tell)
    progress.clear()
    told = found["finding"]
    if json:
        print_json({name: found[name] for name in ("out", "num_rows", "num_judged", "finding")})
        return
    screen.print(told["message"], markup=False)
    if not found["rows"]:
        return
    rows = [
        [f"{one['split']}:{one['line']}", one["text"][:70], str(one["given"]), str(one["suggested"])]
        for one in found["examples"][:SHOWN]
    ]
    table(screen, ["row", "text", "label", "suggested"], rows)
    told = f"{len(found['rows']):,} rows: {out}. Fill in 'corrected', then fit with --set data.corrections={out}"
    screen.print(told, markup=False)
