"""``whet adapters``: what adapters of runs hold; mixed, merged, taken out again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("adapters")(adapters)


def adapters(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Runs, or folders of adapters; to be mixed as RUN:WEIGHT.")
    ],
    mix: Annotated[bool, typer.Option("--mix", help="Write one adapter of several, each by its weight.")] = False,
    way: Annotated[
        str,
        typer.Option(
            help="Of --mix: cat (side by side, exact), svd (the same at a smaller rank), or of factors: linear, ties, "
            "dare_linear."
        ),
    ] = "cat",
    density: Annotated[float, typer.Option(help="Of ties and dare_linear: share of each factor that is kept.")] = 0.5,
    merge: Annotated[bool, typer.Option("--merge", help="Write base and adapter as one whole model.")] = False,
    unmerge: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="Take the adapter out of this model, which it was merged into.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Where to write.")] = None,
    json: Json = False,
) -> None:
    """Say what adapters hold; mix several of one base, merge one into its base, or take it out again.

    What is written is a model folder that whet, PEFT or transformers load.
    """
    from whet.cli.screen import console, print_json, table
    from whet.errors import Problem, UserError
    from whet.workflows import adapters as work

    screen = console(to_stderr=json)
    if sum((mix, merge, unmerge is not None)) > 1:
        raise UserError(Problem("M068", "adapters", "--mix, --merge and --unmerge exclude each other.", "Name one."))
    if mix or merge or unmerge is not None:
        if out is None:
            raise UserError(Problem("M068", "--out", "is missing.", "Say where to write: --out FOLDER."))
        if not mix and len(runs) > 1:
            raise UserError(Problem("M068", "RUN", "names several adapters.", "Name one, or mix them with --mix."))
        if mix:
            found = work.mix(runs, way, density, out)
        else:
            found = work.merge(Path(runs[0]), out) if unmerge is None else work.unmerge(Path(runs[0]), unmerge, out)
        if json:
            print_json(found)
            return
        screen.print(f"written: {out}", markup=False)
        if left := found.get("not_fitted"):
            words = f"{' and '.join(left)}: fitted on validation to one adapter alone, so the mixture has none"
            screen.print(words.replace("_", " "), markup=False)
        return
    several = work.listed([Path(run) for run in runs])
    if json:
        print_json({"adapters": several})
        return
    rows = [
        [
            one["run"],
            one["kind"].lower() + (f", rank {one['rank']}" if one["rank"] else ""),
            str(one["layers"] or ""),
            one["base"] + (f" in {one['quantised']}" if one["quantised"] else ""),
            one["task"],
            f"{one['bytes'] / 1e6:.2f} MB",
        ]
        for one in several
    ]
    table(screen, ["adapter", "kind", "layers", "base", "task", "size"], rows, right=(2, 5))
