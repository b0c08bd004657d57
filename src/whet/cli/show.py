"""``whet show``: what does the model see of my rows?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from whet.cli.options import Json, Set, changes

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from whet.report.shown_tokens import Gap, Shown, Strip, Token

READ = ("grey82 on grey19", "grey82 on grey27")
"""Of tokens that are only read, in turns, so that one is told from the next."""
COUNTED = (("color(22)", "color(23)"), ("color(28)", "color(29)"), ("color(34)", "color(35)"))
"""Behind tokens that carry up to a third of the largest loss, up to two thirds, and more; in turns."""
SPECIAL = "bold bright_cyan on grey11"
CUT = "bold white on dark_red"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show)


def show(
    data: Annotated[str, typer.Argument(metavar="DATA|RUN", help="As in whet fit, or the folder of a run.")],
    task: Annotated[str | None, typer.Option(help="What the rows are for, as in whet fit.")] = None,
    base: Annotated[str | None, typer.Option(help="The pretrained model, as in whet fit.")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    rows: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How many, from the first on.")] = 5,
    set_: Set = None,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page instead.")] = None,
    json: Json = False,
) -> None:
    """Show rows as the model sees them: their tokens, which of them carry loss, and what was cut."""
    from whet.cli.screen import ProgressLine, console, print_json
    from whet.report.shown_tokens import write_tokens
    from whet.workflows.showing import show as look

    progress = ProgressLine(console(to_stderr=True))
    shown = look(data, changes({"task": task, "base": base}, set_), split, rows, progress.tell)
    progress.clear()
    if html is not None:
        write_tokens(html, shown)
    if json:
        print_json({**shown.to_json(), "html": None if html is None else str(html)})
    elif html is not None:
        console(to_stderr=False).print(str(html), markup=False)
    else:
        print_rows(console(to_stderr=False), shown)


def print_rows(screen: Console, shown: Shown) -> None:
    """All of ``shown``; without colours where the screen has none, or NO_COLOR is set."""
    from whet.report.visible import visible

    coloured = screen.is_terminal and screen.color_system is not None and not screen.no_color
    screen.print(_legend(coloured))
    for note in shown.notes:
        screen.print(f"  {visible(note)}", markup=False)
    for row in shown.rows:
        facts = "".join(f"; {name}: {value}" for name, value in row.facts)
        screen.print(f"\n{visible(row.place)}: {row.summary}{visible(facts)}", markup=False, style="bold")
        if not row.strips:
            screen.print("  nothing is trained on this row", markup=False)
        for strip in row.strips:
            if strip.title:
                screen.print(f"  {strip.title}:", markup=False)
            screen.print(painted(strip, shown.most) if coloured else bracketed(strip))
    told = f"\n{len(shown.rows):,} of {shown.num_rows:,} rows of {shown.split}; at most {shown.limit:,} tokens at once"
    screen.print(told, markup=False)
    for finding in shown.findings:
        screen.print(f"{finding.code} {visible(finding.message)} {visible(finding.remedy)}".rstrip(), markup=False)


def _legend(coloured: bool) -> Text:
    from rich.text import Text

    if not coloured:
        return Text("[carries loss]  [so much|0.5]  only|read  {special}  [token=tag]  (... 3 tokens cut ...)")
    found = Text(" ")
    for words, style in (
        (" carries loss ", _green(1.0)),
        (" some of it ", _green(0.3)),
        (" only read ", READ[0]),
        (" special ", SPECIAL),
        (" cut ", CUT),
    ):
        found.append(words, style=style).append("  ")
    return found


def painted(strip: Strip, most: float) -> Text:
    """A sequence in colours: the stronger, the more loss a token carries; ``most`` is the largest of all."""
    from rich.text import Text

    from whet.report.shown_tokens import Gap
    from whet.report.visible import visible

    found = Text()
    for number, piece in enumerate(strip.pieces):
        if isinstance(piece, Gap):
            found.append(_gap(piece), style=CUT)
            continue
        style = READ[number % 2]
        if piece.loss > 0:
            style = _green(piece.loss / most, number % 2 == 1)
        elif piece.special:
            style = SPECIAL
        found.append(piece.shown, style=f"{style} underline" if piece.special else style)
        if piece.tag:
            found.append(f"={visible(piece.tag)}", style="italic yellow")
    return found


def _green(share: float, other: bool = False) -> str:
    """White on green, stronger with ``share``; ``other`` is told from its neighbour."""
    strength = min(2, int(3 * share))
    return f"bold bright_white on {COUNTED[strength][other]}"


def bracketed(strip: Strip) -> Text:
    """A sequence in plain characters."""
    from rich.text import Text

    from whet.report.shown_tokens import Gap

    words: list[str] = []
    plain = False
    for piece in strip.pieces:
        if isinstance(piece, Gap):
            words.append(_gap(piece))
            plain = False
            continue
        bare = piece.loss <= 0 and not piece.special and not piece.tag
        words.append(f"|{piece.shown}" if bare and plain else _framed(piece))
        plain = bare
    return Text("".join(words))


def _framed(piece: Token) -> str:
    from whet.report.visible import visible

    text = f"{{{piece.shown}}}" if piece.special else piece.shown
    text += f"={visible(piece.tag)}" if piece.tag else ""
    if piece.loss > 0:
        return f"[{text}]" if piece.loss == 1.0 else f"[{text}|{piece.loss:g}]"
    return f"<{text}>" if piece.tag else text


def _gap(gap: Gap) -> str:
    from whet.report.shown_tokens import counted

    return f" (... {counted(gap.tokens)} cut ...) "
