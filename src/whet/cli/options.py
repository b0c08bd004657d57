"""Options that several commands share, and how they become changes to a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from whet.errors import Problem, UserError

Json = Annotated[bool, typer.Option("--json", help="One JSON object as the last line; all else on standard error.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any option of the recipe; repeat as needed.")
]


def changes(named: dict[str, Any], assignments: list[str] | None) -> dict[str, Any]:
    """Options given by name and by ``--set``, as dotted names; what was not given is left out.

    :raises UserError: R005, one option is given both ways with different values.
    """
    from whet.recipe.reading import parse_assignments

    given = {name: value for name, value in named.items() if value is not None}
    assigned = parse_assignments(assignments or [])
    problems = [
        Problem("R005", name, f"is given as {given[name]!r} and, by --set, as {assigned[name]!r}.", "Keep one.")
        for name in given.keys() & assigned.keys()
        if given[name] != assigned[name]
    ]
    if problems:
        raise UserError(problems)
    return {**given, **assigned}
