"""``whet compare``: runs side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json

if TYPE_CHECKING:
    from rich.console import Console

    from whet.workflows.comparing import Beside, Together

SHOWN = 3
"""Rows of each sort of change that the screen has room for."""
LONGEST_TEXT, LONGEST = 100, 60
"""Characters of a text, and of an answer, on the screen."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Folders of two or more runs.")],
    margin: Annotated[float, typer.Option(help="A cheaper model may be this much worse.")] = 0.01,
    alpha: Annotated[float, typer.Option(help="Level of the tests.")] = 0.05,
    rows: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write every row that changed; .jsonl or .csv.")
    ] = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with all of it.")] = None,
    json: Json = False,
) -> None:
    """Set the models that runs ship side by side on the same test rows: scores, changed rows, slices, recipes, costs.

    The first run is what the others are held against. Slices are parts of the rows in which two models differ
    otherwise than elsewhere: looked for on one half of the test rows, and tested on the other.
    """
    from whet.cli.answers_file import writer_of
    from whet.cli.screen import console, print_json
    from whet.files import beside
    from whet.workflows.comparing import compare as side_by_side

    write = None if rows is None else writer_of(rows)
    screen = console(to_stderr=json)
    found = side_by_side(runs, margin, alpha)
    if rows is not None and write is not None:
        with beside(rows) as target:
            write(
                ({"run": one.name, "against": found.against, **row} for one in found.beside for row in one.rows), target
            )
    if html is not None:
        from whet.report.side_by_side import write_side_by_side

        write_side_by_side(html, found.to_json(), {one.name: one.rows for one in found.beside}, found.kind)
    if json:
        named = {"rows": None if rows is None else str(rows), "html": None if html is None else str(html)}
        print_json({**found.to_json(), **named})
        return
    _show(screen, found)
    for path in (rows, html):
        if path is not None:
            screen.print(str(path), markup=False)


def _show(screen: Console, found: Together) -> None:
    _scores(screen, found.figures)
    for one in found.beside:
        _changed(screen, one, found.against)
    _differences(screen, found.figures)
    for finding in found.figures["findings"]:
        screen.print(f"{finding['code']} {finding['title']}: {finding['message']}", markup=False)
    verdict = found.figures["verdict"]
    screen.print(f"Verdict ({verdict['code'].replace('_', ' ')}): {verdict['reason']}", style="bold", markup=False)


def _scores(screen: Console, figures: dict[str, Any]) -> None:
    from whet.cli.screen import measured, table
    from whet.evaluation.measures import MEASURES

    verdict = figures["verdict"]
    known = MEASURES[verdict["metric"]]
    points = known.shown == "points"
    scale, digits = (100, 1) if points else (1, 3)
    rows = [
        [name, measured(scores.get(verdict["metric"]), percent=points), *_cost_cells(figures["costs"][name])]
        for name, scores in figures["scores"].items()
    ]
    table(screen, ["model", known.words, "trained in", "rows a second", "size"], rows, right=(1, 2, 3, 4))
    tested = [
        [
            f"{one['candidate']} - {one['against']}",
            "{:+.{d}f} ({:+.{d}f} - {:+.{d}f})".format(
                *(scale * one[name] for name in ("difference", "low", "high")), d=digits
            ),
            f"{one['p']:.3g}",
            f"{one['p_holm']:.3g}",
            _flips(one),
        ]
        for one in verdict["comparisons"]
    ]
    table(screen, ["difference", "points" if points else known.words, "p", "p (Holm)", "rows"], tested, right=(1, 2, 3))


def _flips(one: dict[str, Any]) -> str:
    if one["positive_flips"] or one["negative_flips"]:
        return f"{one['positive_flips']} fixed, {one['negative_flips']} broken"
    return f"{one['won']} better, {one['lost']} worse"


def _cost_cells(costs: dict[str, Any]) -> list[str]:
    from whet.cli.screen import duration

    written: dict[str, Callable[[float], str]] = {
        "train_seconds": duration,
        "predict_rows_per_second": lambda one: f"{one:,.1f}",
        "size_bytes": lambda one: f"{one / 1e6:,.1f} MB",
    }
    return [write(costs[name]) if name in costs else "-" for name, write in written.items()]


def _changed(screen: Console, one: Beside, against: str) -> None:
    counts = ", ".join(f"{count:,} {name}" for name, count in one.counts.items() if count) or "none differs"
    screen.print(f"{one.name} beside {against}, row by row: {counts}.", markup=False)
    for name in one.counts:
        for row in [row for row in one.rows if row["change"] == name][:SHOWN]:
            screen.print(
                f"  {name} {row['place'] or 'row ' + str(row['id'])}: {_short(row.get('text'), LONGEST_TEXT)}",
                markup=False,
            )
            told = f"truth {_short(row['truth'])}; was {_short(row['was'])}; is {_short(row['is'])}"
            screen.print(f"    {told}", markup=False)
    for sentence in one.said:
        screen.print(sentence, markup=False)


def _short(text: Any, longest: int = LONGEST) -> str:
    from whet.report.visible import visible

    words = " ".join(visible(str(text or "")).split())
    return words if len(words) <= longest else words[: longest - 1].rstrip() + "…"


def _differences(screen: Console, figures: dict[str, Any]) -> None:
    from whet.cli.screen import table

    names = list(figures["runs"])
    rows = [[one["name"], *(_short(_value(value)) for value in one["values"])] for one in figures["differences"]]
    if rows:
        table(screen, ["option", *names], rows)
    else:
        screen.print("The recipes of these runs do not differ.", markup=False)


def _value(value: Any) -> str:
    from whet.findings import in_words

    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else in_words(value) or "none"
