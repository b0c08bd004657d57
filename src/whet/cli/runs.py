"""``whet runs``: what was run, newest first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json

if TYPE_CHECKING:
    from whet.store.rows import RunRow


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("runs")(runs)


def runs(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Make the index again from run folders.")] = False,
    roots: Annotated[
        list[Path] | None, typer.Option("--in", metavar="DIR", help="Where to look; ./runs if not given.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.")] = 20,
    json: Json = False,
) -> None:
    """List runs with their verdicts and scores.

    A run whose folder was deleted is gone, one whose process was killed stopped; --rebuild forgets what is gone.
    """
    from whet.cli.screen import console, print_json, table
    from whet.store.listing import list_runs

    screen = console(to_stderr=json)
    if rebuild:
        _rebuild(screen, roots or [Path("runs")])
    found = list_runs(limit)
    if json:
        print_json({"runs": [_object(row) for row in found]})
        return
    if not found:
        screen.print("No runs yet. Start one with: whet fit DATA", markup=False)
        return
    titles = ["run", "state", "data", "ships", "score", "started"]
    table(screen, titles, [_row(one) for one in found], right=(4,))


def _rebuild(screen: Any, roots: list[Path]) -> None:
    from whet.store.index import open_store

    with open_store(repair=True) as store:
        if store.set_aside:
            screen.print(f"The old index was damaged; it lies at {store.set_aside}.", markup=False)
        result = store.rebuild(roots)
    screen.print(f"{result.found} runs found, {result.recorded} recorded, {result.dropped} dropped.", markup=False)
    for problem in result.problems:
        screen.print(str(problem), markup=False)


def _row(one: RunRow) -> list[str]:
    from whet.cli.screen import figure
    from whet.store.standing import standing

    score = "-" if one.score is None else f"{one.metric} {figure(one.score.value, str(one.metric))}"
    started = "-" if one.started_at is None else f"{one.started_at:%m-%d %H:%M}"
    return [one.name, standing(one), one.data or "-", one.ship or "-", score, started]


def _object(one: RunRow) -> dict[str, Any]:
    from whet.store.standing import standing

    score = None if one.score is None else {"value": one.score.value, "low": one.score.low, "high": one.score.high}
    return {
        "id": one.id,
        "folder": str(one.folder),
        "name": one.name,
        "state": standing(one),
        "task": one.task,
        "data": one.data,
        "base": one.base,
        "method": one.method,
        "verdict": one.verdict,
        "ship": one.ship,
        "metric": one.metric,
        "score": score,
        "started_at": None if one.started_at is None else one.started_at.isoformat(),
    }
