"""Which option of a recipe a problem of its run comes of, and where that was read."""

from __future__ import annotations

import re
from dataclasses import replace

from whet.errors import Problem
from whet.recipe.lines import line_of
from whet.recipe.schema import Recipe

_OPTION = re.compile(r"([a-z_]+)(\.[a-z_0-9]+)?(?=$|[ :])")
"""An option at the beginning of a place, such as ``student.layers of a/folder``."""


def option_of(problem: Problem) -> str:
    """The option by its dotted name; empty where it is not known."""
    found = _OPTION.match(problem.where)
    named = found is not None and found[1] in Recipe.model_fields
    return found[0] if found and named and (found[2] or not problem.option) else problem.option


def located(problem: Problem, recipe: Recipe) -> Problem:
    """A problem of a run of ``recipe``, with the option that it comes of and where that was read."""
    option = option_of(problem)
    place = f"{line_of(option, recipe.lines)} {option}".strip()
    if option and problem.where.startswith(option):
        place += problem.where.removeprefix(option)
    else:
        place = ", ".join(part for part in (place, problem.where) if part)
    return replace(problem, where=place, option=option)
