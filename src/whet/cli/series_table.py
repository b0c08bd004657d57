"""A series of runs on the screen: a row a stage, and what controls say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from whet.cli.screen import duration, measured, table
from whet.evaluation.measures import MEASURES

if TYPE_CHECKING:
    from rich.console import Console


def render_series(screen: Console, found: dict[str, Any]) -> None:
    """The stages; controls and further seeds are in the report."""
    rows = [_row(one) for one in found["stages"] if "." not in one["name"]]
    table(screen, ["stage", "task", "model", "score", "time"], rows, right=(4,))
    others = [one for one in found["stages"] if "." in one["name"]]
    if others:
        failed = [one["name"] for one in others if one["state"] != "finished"]
        told = f"; not finished: {', '.join(failed)}" if failed else ""
        screen.print(f"{len(others)} more runs of controls and seeds{told}.", markup=False, style="dim")


def _row(one: dict[str, Any]) -> list[str]:
    if "score" not in one:
        return [one["name"], one["task"], "-", str(one["why"] or one["state"]), "-"]
    known = MEASURES.get(one["metric"])
    score = measured(one["score"], percent=bool(known and known.shown == "points"))
    words = known.words if known else one["metric"]
    return [one["name"], one["task"], one["model"], f"{words} {score}", duration(one["seconds"])]
