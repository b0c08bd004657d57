"""How a sweep begins, and how it is gone on with; what no search can do is refused here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from whet import folder as folders
from whet.errors import Problem, UserError
from whet.evaluation.measures import MEASURES
from whet.files import write_text
from whet.folder import FINISHED, RUNNING, RunFolder
from whet.recipe import Recipe, dump
from whet.recipe.names import STILL
from whet.recipe.reading import stages_of
from whet.store import studies
from whet.workflows import sweep_stages

CHANGEABLE = ("trials", "minutes", "seeds", "finalists", "workers", "pruner")
"""Options of the search that may be others when a sweep goes on."""


def refuse(recipe: Recipe) -> None:
    """What no search can do, before anything is read.

    :raises UserError: O001 no Optuna, O005 a recipe of several trainings, O006 an unknown metric, O008 nothing to
        search.
    """
    studies.refuse_without_optuna()
    found = sweep_stages.refuse(recipe)
    if recipe.tasks:
        what = "tasks that are learnt together cannot be searched as a whole."
        found.append(Problem("O005", "tasks", what, "Search over the recipe of one task."))
    if recipe.search.metric not in ("auto", *MEASURES):
        remedy = f"Use auto, or one of {', '.join(sorted(MEASURES))}."
        found.append(Problem("O006", "search.metric", f"{recipe.search.metric!r} is no metric.", remedy))
    method = stages_of(recipe)[-1].recipe.method if recipe.stages else recipe.method
    if method in STILL and (recipe.search.space == "auto" or "method" not in recipe.search.space):
        does = "is fitted to its end" if method == "probe" else "trains nothing"
        what = f"is {method!r}, which has nothing to search: it {does}."
        found.append(Problem("O008", "method", what, "Set method to auto, full or lora."))
    if found:
        raise UserError(found)


def reopen(path: Path, changes: Mapping[str, Any]) -> tuple[Recipe, RunFolder]:
    """An existing sweep, to go on with; more trials or minutes may be given.

    :raises UserError: F012 no run, F014 finished already, O002 other options were given, O010 it is no sweep.
    """
    from whet.recipe import load

    folder = RunFolder(path)
    state = folder.read_state()["state"]
    recipe = load(folder.recipe)
    other = [name for name in changes if name.removeprefix("search.") not in CHANGEABLE]
    if other:
        remedy = f"Only {', '.join(f'search.{name}' for name in CHANGEABLE)} may change; begin anew with --out."
        raise UserError(Problem("O002", ", ".join(other), "belongs to another search than this folder's.", remedy))
    if not folder.read_state().get("sweep"):
        raise UserError(Problem("O010", str(path), "is a run, and no sweep.", f"Use: whet resume {path}"))
    changed = load(folder.recipe, changes)
    if state == FINISHED and changed == recipe:
        what = "is finished."
        raise UserError(Problem("F014", str(path), what, "See sweep.html there, or go on with more --trials."))
    if changed != recipe:
        write_text(folder.recipe, dump(changed))
    return changed, folder


def start(recipe: Recipe, out: Path | None) -> tuple[Recipe, RunFolder]:
    """A new folder for a sweep.

    :raises UserError: as :func:`refuse`; F013, the folder is in use.
    """
    from importlib.metadata import version

    from whet.workflows.starting import fresh

    refuse(recipe)
    folder = folders.create(out or fresh(recipe), version("whet"))
    folder.write_state(RUNNING, sweep=True)
    return recipe, folder
