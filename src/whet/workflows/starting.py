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

RUNS = Path("runs")


def recipe_of(changes: Mapping[str, Any], file: Path | None) -> Recipe:
    """The recipe of a file, with ``changes`` (dotted names) winning over it.

    :raises UserError: every mistake in it.
    """
    return from_options(changes) if file is None else load(file, changes)


def start(recipe: Recipe, out: Path | None) -> tuple[Recipe, RunFolder]:
    """A new run folder for ``recipe``.

    :raises UserError: F013, the folder is in use; F002, it cannot be written.
    """
    return recipe, folders.create(out or _fresh(recipe), importlib.metadata.version("whet"))


def reopen(path: Path) -> tuple[Recipe, RunFolder]:
    """An existing run folder, to go on with.

    :raises UserError: F012, it is no run; F014, it is finished already.
    """
    folder = RunFolder(path)
    if folder.read_state()["state"] == folders.FINISHED:
        raise UserError(Problem("F014", str(path), "is finished.", f"See {folder.report}, or fit anew with --out."))
    if not folder.recipe.exists():
        raise UserError(
            Problem("F010", str(folder.recipe), "is missing: the run never began.", f"Delete {path} and start again.")
        )
    return load(folder.recipe), folder


def _fresh(recipe: Recipe) -> Path:
    """``runs/support-2026-01-31-120501``, with a number where that exists."""
    stem = Path(recipe.data.source.rstrip("/")).name.split(".")[0] or "run"
    name = re.sub(r"[^\w-]+", "-", stem)
    stamp = datetime.datetime.now().strftime("%Y-%m-%d-%H%M%S")
    path, number = RUNS / f"{name}-{stamp}", 1
    while path.exists():
        number += 1
        path = RUNS / f"{name}-{stamp}-{number}"
    return path
