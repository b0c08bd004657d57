"""``whet compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of two or more runs.")],
    margin: Annotated[float, typer.Option(help="A cheaper model may be this much worse.")] = 0.01,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    json: Json = False,
) -> None:
    """Set the models that runs ship side by side on the same test rows, with paired tests.

    The first run is what the others are held against.
    """
    from whet.cli.screen import console, measured, print_json, table
    from whet.evaluation.measures import MEASURES
    from whet.workflows.comparing import compare as decide

    screen = console(to_stderr=json)
    found = decide(runs, margin, alpha)
    if json:
        print_json(found)
        return
    verdict = found["verdict"]
    names = list(found["scores"])
    known = MEASURES[verdict["metric"]]
    points = known.shown == "points"
    scale, digits = (100, 1) if points else (1, 3)
    rows = [[name, measured(found["scores"][name].get(verdict["metric"]), percent=points)] for name in names]
    table(screen, ["model", known.words], rows, right=(1,))
    tested = [
        [
            f"{one['candidate']} - {one['against']}",
            "{:+.{d}f} ({:+.{d}f} - {:+.{d}f})".format(
                *(scale * one[name] for name in ("difference", "low", "high")), d=digits
            ),
            f"{one['p']:.3g}",
            f"{one['p_holm']:.3g}",
            f"{one['positive_flips']} fixed, {one['negative_flips']} broken",
        ]
        for one in verdict["comparisons"]
    ]
    table(screen, ["difference", "points" if points else known.words, "p", "p (Holm)", "rows"], tested, right=(1, 2, 3))
    for one in found["findings"]:
        screen.print(f"{one['code']} {one['title']}: {one['message']}", markup=False)
    screen.print(f"Verdict ({verdict['code'].replace('_', ' ')}): {verdict['reason']}", style="bold", markup=False)
