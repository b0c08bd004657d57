"""``whet gate``: an exit code for continuous integration, with its reasons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json, Run

if TYPE_CHECKING:
    from rich.console import Console

STOP = 1
"""The exit code where a limit does not hold."""
EQUAL = "equal answers"
"""In the place of what the rows leave open, where both runs say the same of every row."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gate")(gate)


def gate(
    run: Run,
    against: Annotated[Path, typer.Option(metavar="RUN", help="The run that it would replace.")],
    limits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Limits in YAML by the names below; null: not looked at.")
    ] = None,
    max_drop: Annotated[float | None, typer.Option(help="Loss of quality, in the metric's unit (0.01).")] = None,
    max_flips: Annotated[float | None, typer.Option(help="Share of rows from right to wrong (0.05).")] = None,
    max_slice_flips: Annotated[float | None, typer.Option(help="The same in every part of the rows (0.1).")] = None,
    max_ece: Annotated[float | None, typer.Option(help="Error of the stated probabilities (0.05).")] = None,
    max_forgotten: Annotated[
        float | None, typer.Option(help="What the base knew and is gone (the run's limit, or 0.02; nats: 0.1).")
    ] = None,
    max_slower: Annotated[float | None, typer.Option(help="Times the other's time for the same rows (1.2).")] = None,
    metric: Annotated[str | None, typer.Option(help="What quality is; that of the verdict if not given.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop where nobody can tell, too.")] = False,
    json: Json = False,
) -> None:
    """May RUN take the other's place? Exit code 0: yes; 1: a limit does not hold; 2: the question was wrong.

    Each limit is passed where all that the rows leave open lies within it, failed where all lies beyond it, and
    else nobody can tell, which stops nothing unless --strict. Runs that give equal answers to every row pass what
    compares answers, however few rows there are. Both must have been tested on the same rows.
    """
    from whet.cli.screen import ProgressLine, console, print_json
    from whet.workflows.gating import gate as hold
    from whet.workflows.limits_file import wanted

    given = {
        "max_drop": max_drop,
        "max_flips": max_flips,
        "max_slice_flips": max_slice_flips,
        "max_ece": max_ece,
        "max_forgotten": max_forgotten,
        "max_slower": max_slower,
        "metric": metric,
        "strict": True if strict else None,
    }
    progress = ProgressLine(console(to_stderr=True))
    found = hold(run, against, wanted(limits, given), progress.tell)
    progress.clear()
    if json:
        print_json(found)
    _show(console(to_stderr=json), found)
    if not found["go_on"]:
        raise typer.Exit(STOP)


def _show(screen: Console, found: dict[str, Any]) -> None:
    from whet.cli.screen import table
    from whet.evaluation.limits import WORDS

    rows = [
        [one["name"], WORDS[one["state"]], _figure(one["value"], one), _spread(one), _figure(one["limit"], one)]
        for one in found["outcomes"]
    ]
    table(screen, ["limit on", "", "found", "left open", "limit"], rows, right=(2, 3, 4))
    for one in found["outcomes"]:
        screen.print(f"{one['name']}: {one['message']}", markup=False)
    screen.print(_last_line(found), style="bold", markup=False)


def _last_line(found: dict[str, Any]) -> str:
    """What it comes to. Nothing is said to have passed where nothing was looked at."""
    stopped = [one["name"] for one in found["outcomes"] if one["state"] == "failed"]
    unclear = [one["name"] for one in found["outcomes"] if one["state"] == "cannot_tell"]
    if stopped:
        return f"Failed: {', '.join(stopped)}."
    if unclear:
        after = "--strict stops here" if found["strict"] else "nothing is surely beyond its limit, so go on"
        return f"Cannot tell: {', '.join(unclear)} ({after})."
    if found["state"] != "passed":
        after = "--strict stops here" if found["strict"] else "nothing stops it, so go on"
        return f"Cannot tell: no limit could be looked at ({after})."
    return "Passed."


def _figure(value: float | None, one: dict[str, Any]) -> str:
    """A figure as its unit is shown; the loss of quality is positive where it got worse."""
    from whet.evaluation.measures import MEASURES

    if value is None:
        return "-"
    if one["unit"] == "times":
        return f"{value:.2f} x"
    if one["unit"] == "nats" or (one["unit"] in MEASURES and MEASURES[one["unit"]].shown == "plain"):
        return f"{round(value, 3) + 0.0:.3f}"  # never -0.000
    return f"{round(100 * value, 1) + 0.0:.1f}"


def _spread(one: dict[str, Any]) -> str:
    if one["evidence"].get("alike"):
        return EQUAL
    if one["low"] is None:
        return "-"
    return f"{_figure(one['low'], one)} - {_figure(one['high'], one)}"
