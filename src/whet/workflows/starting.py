"""How a run begins: a recipe and a folder."""

from __future__ import annotations

import datetime
import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whet import folder as folders
from whet.errors import Problem, UserError
from whet.folder import RunFolder
from whet.recipe import Recipe, from_options, load
from whet.recipe.search import SearchRecipe

RUNS = Path("runs")


def is_recipe(source: str) -> bool:
    """Whether a source of data is a recipe instead."""
    return Path(source).suffix in (".yaml", ".yml")


def recipe_of(changes: Mapping[str, Any], file: Path | None) -> Recipe:
    """The recipe of a file, with ``changes`` (dotted names) winning over it.

    :raises UserError: every mistake in it.
    """
    return from_options(changes) if file is None else load(file, changes)


def refuse_stages(recipe: Recipe, command: str) -> None:
    """:raises UserError: R058, a command for one training is given a recipe of several."""
    for part, several in (("stages", recipe.stages), ("tasks", recipe.tasks)):
        if several:
            names = ", ".join(str(one.get("name")) for one in several)
            what = f"has {part} ({names}), and 'whet {command}' takes one training."
            remedy = f"Give the recipe of one of them, or carry out all {part} with 'whet fit'."
            raise UserError(Problem("R058", part, what, remedy))


def start(recipe: Recipe, out: Path | None) -> tuple[Recipe, RunFolder]:
    """A new run folder for ``recipe``.

    :raises UserError: F013, the folder is in use; F002, it cannot be written; O012, the recipe asks for a search.
    """
    if recipe.search != SearchRecipe():
        what = "is set, but this trains one model by the options as they stand."
        raise UserError(Problem("O012", "search", what, "Use 'whet sweep', or take it out."))
    return recipe, folders.create(out or fresh(recipe), importlib.metadata.version("whet"))


def reopen(path: Path) -> tuple[Recipe, RunFolder]:
    """An existing run folder, to go on with.

    :raises UserError: F012, it is no run; F014, it is finished already; O012, it is a search.
    """
    folder = RunFolder(path)
    if folder.read_state().get("sweep"):
        raise UserError(Problem("O012", str(path), "is a search.", f"Go on with: whet sweep --resume {path}"))
    if folder.read_state()["state"] == folders.FINISHED:
        raise UserError(Problem("F014", str(path), "is finished.", f"See {folder.report}, or fit anew with --out."))
    if not folder.recipe.exists():
        raise UserError(
            Problem("F010", str(folder.recipe), "is missing: the run never began.", f"Delete {path} and start again.")
        )
    return load(folder.recipe), folder


def fresh(recipe: Recipe) -> Path:
    """``runs/support-2026-01-31-120501``, with a number where that exists."""
    stem = Path(recipe.data.source.rstrip("/")).name.split(".")[0] or "run"
    name = re.sub(r"[^\w-]+", "-", stem)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    path, number = RUNS / f"{name}-{stamp}", 1
    while path.exists():
        number += 1
        path = RUNS / f"{name}-{stamp}-{number}"
    return path
