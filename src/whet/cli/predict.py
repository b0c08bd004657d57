"""``whet predict``: new texts through a run's model."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from whet.cli.options import Json, Run


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict)


def predict(
    run: Run,
    file: Annotated[
        str, typer.Argument(metavar="[FILE|-]", help="A file of texts; - for lines on standard input.")
    ] = "-",
    text: Annotated[str | None, typer.Option(help="Column with the text.")] = None,
    text_pair: Annotated[str | None, typer.Option(help="Column with the second text, context or passage.")] = None,
    encoding: Annotated[str, typer.Option(help="Text encoding of the file.")] = "utf-8",
    model: Annotated[str | None, typer.Option(help="Another model of the run than the one it ships.")] = None,
    precision: Annotated[
        Literal["fp32", "bf16"],
        typer.Option(
            metavar="fp32|bf16",
            help="bf16: about twice as fast where the machine multiplies it; held against fp32 at first.",
        ),
    ] = "fp32",
    all_scores: Annotated[bool, typer.Option("--all-scores", help="Every label, or further answers.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, whole or not at all; .jsonl or .csv.")
    ] = None,
    json: Json = False,
) -> None:
    """Answer every row of FILE: one JSON object a row, in the order of the file.

    With --out the rows go there, in the format that its ending says; with --json the last line says how many
    there were.
    """
    from whet.cli.answers_file import json_line, writer_of
    from whet.cli.screen import ProgressLine, console, print_json
    from whet.data.row_form import Choice
    from whet.files import beside
    from whet.workflows.using import answering
    from whet.workflows.using import predict as answer

    write = None if out is None else writer_of(out)
    screen = console(to_stderr=True)
    progress = ProgressLine(screen)
    about = answering(run, model)
    if about.warning:
        screen.print(about.warning, markup=False)
    count = 0

    def say(words: str) -> None:
        screen.print(words, markup=False)

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        columns = Choice(text=text, text_pair=text_pair, encoding=encoding)
        for one in answer(run, file, columns, progress.tell, model, precision, say):
            count += 1
            yield one.to_json(all_scores)

    if out is not None and write is not None:
        with beside(out) as target:
            write(rows(), target)
    else:
        for row in rows():
            sys.stdout.write(json_line(row))
    progress.clear()
    if json:
        print_json({"run": str(run), **about.to_json(), "rows": count, "out": None if out is None else str(out)})
    elif out is not None:
        screen.print(f"{count:,} rows: {out}", markup=False)
