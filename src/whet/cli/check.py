"""``whet check``: is this recipe right, and what would it do?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from whet.cli.options import Json, Set, changes

if TYPE_CHECKING:
    from rich.console import Console

    from whet.workflows.checking import Choices

ALWAYS = ("task", "base", "seed")
"""Options that are shown though they are left at their defaults."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="A recipe file (YAML).")],
    set_: Set = None,
    whole: Annotated[bool, typer.Option("--all", help="Show options that are left at their defaults, too.")] = False,
    json: Json = False,
) -> None:
    """Validate RECIPE and show what each option becomes, and why; nothing is trained.

    Of a recipe of several trainings, each stage or task is shown by itself.
    """
    from whet.cli.screen import ProgressLine, console, print_json
    from whet.workflows.checking import check as look
    from whet.workflows.checking import check_parts, not_taken, runs_of
    from whet.workflows.starting import recipe_of

    screen = console(to_stderr=json)
    progress = ProgressLine(screen)
    wanted = recipe_of(changes({}, set_), recipe)
    if not wanted.stages and not wanted.tasks:
        choices = look(wanted, progress.tell)
        progress.clear()
        if json:
            print_json(_as_json(choices))
        else:
            _show(screen, choices, whole)
        return
    part, parts, runs = "task" if wanted.tasks else "stage", check_parts(wanted, progress.tell), runs_of(wanted)
    left = not_taken(wanted)
    progress.clear()
    if json:
        told = {name: _as_json(choices) for name, choices in parts.items()}
        print_json({f"{part}s": told, "runs": runs, "not_taken": left})
        return
    for name, choices in parts.items():
        screen.print(f"{part} {name}: {choices['task'].value}", style="bold", markup=False)
        _show(screen, choices, whole)
        if name in left:
            why = f"for {wanted.task}" if choices["task"].value != wanted.task else "beside other rows"
            screen.print(f"Set above {why}, and not for this {part}: {', '.join(left[name])}", markup=False)
    if more := runs[len(parts) :]:
        screen.print(f"{len(more)} more runs, of controls and further seeds: {', '.join(more)}", markup=False)


def _as_json(choices: Choices) -> dict[str, Any]:
    return {name: {"value": one.value, "reason": one.reason} for name, one in choices.items()}


def _show(screen: Console, choices: Choices, whole: bool) -> None:
    from whet.cli.screen import table
    from whet.recipe.resolve import DEFAULT

    shown = {name: one for name, one in choices.items() if whole or one.reason != DEFAULT or name in ALWAYS}
    table(screen, ["option", "value", "reason"], [[name, str(one.value), one.reason] for name, one in shown.items()])
    if left := len(choices) - len(shown):
        screen.print(f"{left} further options have their defaults: --all shows them.", style="dim")
