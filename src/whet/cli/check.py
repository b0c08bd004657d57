"""``whet check``: is this recipe right, and what would it do?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from whet.cli.options import Json, Set, changes


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file (YAML).")],
    set_: Set = None,
    json: Json = False,
) -> None:
    """Validate RECIPE and show every resolved value with its reason; nothing is trained."""
    from whet.cli.screen import ProgressLine, console, print_json, table
    from whet.workflows.inspecting import check as look
    from whet.workflows.starting import recipe_of

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    choices = look(recipe_of(changes({}, set_), recipe), progress.tell)
    progress.clear()
    if json:
        print_json({name: {"value": one.value, "reason": one.reason} for name, one in choices.items()})
        return
    table(screen, ["option", "value", "reason"], [[name, str(one.value), one.reason] for name, one in choices.items()])
