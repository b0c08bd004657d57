"""``whet chat``: talk to a run's model in a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.options import Run, Set, changes

if TYPE_CHECKING:
    from rich.console import Console

    from whet.workflows.talking import Voice

QUIT, RESET = "/quit", "/reset"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("chat")(chat)


def chat(
    run: Run,
    beside: Annotated[str | None, typer.Option(metavar="base", help="Answer beside it: the untouched base.")] = None,
    system: Annotated[str, typer.Option(help="What stands before every conversation.")] = "",
    set_: Set = None,
) -> None:
    """Talk to the tuned model of a text-generation run: a question a line, until /quit or the end of the input.

    /reset forgets what was said. Options of generation may be set with --set.
    """
    from whet.cli.screen import console
    from whet.errors import UserError
    from whet.workflows.talking import open_voices

    screen, aside = console(to_stderr=False), console(to_stderr=True)
    voices = open_voices(run, changes({}, set_), system, beside)
    by_hand = sys.stdin.isatty()
    if by_hand:
        each = "Each prompt stands for itself." if voices[0].completes else f"{RESET} begins anew."
        aside.print(f"{each} {QUIT} ends. Ctrl-C breaks an answer off.", style="dim", markup=False)
    for question in questions(by_hand):
        if question == RESET:
            for voice in voices:
                voice.reset()
            aside.print("Begun anew.", style="dim", markup=False)
            continue
        try:
            answer(screen, voices, question)
        except UserError as error:
            if not by_hand:
                raise
            aside.print(str(error), markup=False)
        except KeyboardInterrupt:
            screen.print(" ...", markup=False)
            if not by_hand:
                raise
        for voice in voices:
            if voice.num_left_out:
                what = f"{voice.name}: {voice.num_left_out:,} tokens of the conversation were left out"
                aside.print(f"  {what}, of at most {voice.limit:,}", style="dim", markup=False)


def questions(by_hand: bool) -> Iterator[str]:
    """What is asked, a line each, without blank lines; up to /quit or the end."""
    reconfigure = getattr(sys.stdin, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    while True:
        try:
            line = _typed() if by_hand else sys.stdin.readline()
        except (EOFError, KeyboardInterrupt):
            sys.stderr.write("\n")
            return
        if not line:
            return
        question = line.strip()
        if question == QUIT:
            return
        if question:
            yield question


def _typed() -> str:
    """A line from the keyboard, with the arrow keys where the machine has readline."""
    import contextlib

    with contextlib.suppress(ImportError):
        import readline  # noqa: F401
    return input("> ") + "\n"


def answer(screen: Console, voices: list[Voice], question: str) -> None:
    """The answers to ``question``: as they are said, side by side where there are two and a terminal for them."""
    if len(voices) > 1 and screen.is_terminal:
        side_by_side(screen, voices, question)
        return
    for voice in voices:
        if len(voices) > 1:
            screen.out(f"{voice.name}: ", end="", highlight=False)
        for piece in voice.ask(question):
            screen.out(_safe(screen, piece), end="", highlight=False)
            screen.file.flush()
        screen.out("", highlight=False)


def side_by_side(screen: Console, voices: list[Voice], question: str) -> None:
    """A column for each voice, both of which grow at once."""
    from itertools import zip_longest

    from rich import box
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    said = [""] * len(voices)

    def columns() -> Table:
        grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, expand=True)
        for voice in voices:
            grid.add_column(voice.name, ratio=1, overflow="fold")
        grid.add_row(*(Text(text) for text in said))
        return grid

    answers = [voice.ask(question) for voice in voices]
    try:
        with Live(columns(), console=screen, refresh_per_second=12) as live:
            for pieces in zip_longest(*answers, fillvalue=""):
                said = [text + _safe(screen, piece) for text, piece in zip(said, pieces, strict=True)]
                live.update(columns())
    finally:
        for one in answers:  # broken off: what was said is kept
            close = getattr(one, "close", None)
            if close is not None:
                close()


def _safe(screen: Console, text: str) -> str:
    """What a model says may not command a terminal."""
    from whet.report.visible import visible

    return visible(text) if screen.is_terminal else text
