"""``whet bench``: how fast does it train here, and where does the time go?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json, Set, changes

if TYPE_CHECKING:
    from rich.console import Console


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    what: Annotated[str, typer.Argument(metavar="RECIPE|DATA", help="A recipe (YAML), or a file, folder or data set.")],
    task: Annotated[str | None, typer.Option(help="What to learn, such as question-answering.")] = None,
    model_base: Annotated[str | None, typer.Option("--base", help="minilm, a model folder, or a hub id.")] = None,
    method: Annotated[str | None, typer.Option(help="What is trained; of a probe all weights.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="About as long are steps taken.")] = 60.0,
    set_: Set = None,
    json: Json = False,
) -> None:
    """Take real training steps, in turn with plain ones, and say how fast they are and where the time goes.

    Ways of training that have no room in the seconds are left out, and named. Nothing is kept.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # torch's profiler writes lines of its own else; read with torch
    from whet.cli.screen import ProgressLine, console, print_json
    from whet.workflows.benching import bench as measure
    from whet.workflows.starting import is_recipe, recipe_of, refuse_stages

    screen = console(to_stderr=json)
    file = Path(what) if is_recipe(what) else None
    named = {"data.source": None if file else what, "task": task, "base": model_base, "method": method}
    recipe = recipe_of(changes(named, set_), file)
    refuse_stages(recipe, "bench")
    progress = ProgressLine(screen)
    found = measure(recipe, seconds, progress.tell)
    progress.clear()
    if json:
        print_json(found)
    _show(screen, found)


def _show(screen: Console, found: dict[str, Any]) -> None:
    from whet.cli.screen import table

    subject = found["subject"]
    what = f"{subject['task']} on {subject['base']}, method {subject['method']}: steps of {subject['batch_tokens']:,} "
    what += f"tokens in {subject['precision']}, {subject['threads']} threads"
    screen.print(what, markup=False)
    ways = [{"name": "as decided", **found["training"]}, *found["ways"]]
    rows = [[one["name"], _rate(one["tokens_per_second"]), _spread(one), _times(one)] for one in ways]
    reading = found["reading"]
    rows.append(["reading alone", _rate(reading["tokens_per_second"]), "", ""])
    table(screen, ["training", "tokens/s", "in turns", "times as fast"], rows, right=(1, 2, 3))
    share = f"{found['mfu']:.0%} of the {found['ceiling_flops'] / 1e9:,.0f} GFLOP/s that products reach here"
    screen.print(
        f"Products of training: {share}. Reading: {reading['rows_per_second']:,.0f} rows a second.", markup=False
    )
    parts = [[part, f"{share:.0%}"] for part, share in found["shares"].items()]
    table(screen, ["part of a step", "time"], parts, right=(1,))
    for line in found["advice"]:
        screen.print(line, markup=False)


def _rate(value: float) -> str:
    return f"{value:,.0f}"


def _spread(one: dict[str, Any]) -> str:
    return f"{one['low']:,.0f} to {one['high']:,.0f}"


def _times(one: dict[str, Any]) -> str:
    ratio = one.get("ratio")
    return f"{ratio['value']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" if ratio else ""
