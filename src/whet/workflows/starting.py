"""How a run begins: a recipe and a folder."""

from __future__ import annotations

import datetime
import importlib.metadata
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whet import folder as folders
from whet.errors import Problem, UserError
from whet.folder import RunFolder
from whet.recipe import Recipe, from_options, load
from whet.recipe.lines import at
from whet.recipe.search import SearchRecipe
from whet.workflows.nodes import came_of, nodes_of

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
            raise UserError(Problem("R058", at(part, recipe.lines), what, _one_of_them(recipe, command)))


def _one_of_them(recipe: Recipe, command: str) -> str:
    """How to ask about one of several trainings: the last of those that the command is for."""
    nodes = [node for node in nodes_of(recipe) if node.is_stage]
    fitting = [node for node in nodes if node.recipe.task == "text-classification" or command != "suspects"]
    if not fitting:
        return "None of them has class labels."
    node = fitting[-1]
    begun_from = came_of(node, {one.name: one for one in nodes})
    given = {
        "--task": None if command == "suspects" else node.recipe.task,
        "--base": (begun_from or [node])[0].recipe.base,
        "--method": node.recipe.method if command == "plan" and node.recipe.method != "auto" else None,
    }
    words = ["whet", command, node.recipe.data.source]
    words += [word for name, value in given.items() if value is not None for word in (name, value)]
    for name, value in node.recipe.data.model_dump(exclude_defaults=True, exclude={"source"}).items():
        words += ["--set", f"data.{name}={value}"]
    line = " ".join(map(shlex.quote, words))
    return f"Ask about one of them: {line} ({node.name!r}; its other options by --set)."


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
