"""``whet forgetting``: what runs learnt beside what they forgot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from whet.cli.options import Json


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("forgetting")(forgetting)


def forgetting(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN [RUN...]", help="Folders of finished runs.")],
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with the picture, too.")] = None,
    json: Json = False,
) -> None:
    """Set side by side what the models of RUNs learnt and what they forgot of what the base knew.

    A run that has not measured it does so now, on the models that it saved.
    """
    from whet.cli.screen import ProgressLine, console, print_json, table
    from whet.workflows.forgotten_runs import side_by_side

    screen = console(to_stderr=json)
    progress = ProgressLine(console(to_stderr=True))
    found = side_by_side(runs, progress.tell)
    progress.clear()
    named = [(one.name if len(found) > 1 else "", one.told) for one in found]
    if html is not None:
        from whet.report.forgetting_page import write_forgetting

        write_forgetting(html, named)
    if json:
        facts = {one.name: {"run": str(one.path), **_facts(one.told)} for one in found}
        print_json({"runs": facts, "html": None if html is None else str(html)})
        return
    rows = [row for name, told in named for row in _rows(name, told)]
    first = next((told for _, told in named if "way" in told), named[0][1])
    titles = [*(["run"] if len(found) > 1 else []), "model", *_titles(first)]
    table(screen, titles, rows, right=(len(titles) - 2, len(titles) - 1))
    screen.print(_gain(first), markup=False)
    for _, told in named:
        for finding in told["findings"]:
            screen.print(str(finding["message"]), markup=False)
    if html is not None:
        screen.print(str(html), markup=False)


def _facts(told: dict[str, Any]) -> dict[str, Any]:
    return {key: told.get(key) for key in ("way", "limit", "learned", "models")}


def _titles(told: dict[str, Any]) -> list[str]:
    from whet.evaluation.measures import MEASURES

    learned = MEASURES[told["learned"]["metric"]].words
    return [f"learned ({learned})", f"forgotten ({'nats a token' if told.get('way') == 'text' else 'points'})"]


def _gain(told: dict[str, Any]) -> str:
    from whet.evaluation.wording import model_words

    return f"Learned: gain over {model_words(told['learned']['against'])} on the test rows; 95 % intervals in brackets."


def _rows(name: str, told: dict[str, Any]) -> list[list[str]]:
    from whet.evaluation.measures import MEASURES

    points = MEASURES[told["learned"]["metric"]].shown == "points"
    found = []
    for model, entry in told["models"].items():
        lost = _ends(entry.get("forgotten"), told.get("way") != "text")
        if not entry["moves"]:
            lost = "0 (the base stays)"
        found.append([*([name] if name else []), model, _ends(entry.get("learned"), points), lost])
    return found


def _ends(value: dict[str, Any] | None, points: bool) -> str:
    """``+1.2 (+0.3 - +2.1)``."""
    if value is None:
        return "not measured"
    scale, digits = (100, 1) if points else (1, 3)
    shown = [f"{scale * float(value[key]):+.{digits}f}" for key in ("value", "low", "high")]
    return f"{shown[0]} ({shown[1]} - {shown[2]})"
