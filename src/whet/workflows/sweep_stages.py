"""A search over the last stage of a recipe: what stands before it is trained once, for all trials.

SWEEP/runs/NAME is the run of an earlier stage. Whether its model is worth it is searched as well: ``base`` may be the
name of a stage, and the usual space draws from the models of all earlier stages and from the first base.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

from whet.data.rows import silent
from whet.engine.events import Event
from whet.errors import Problem
from whet.folder import RunFolder
from whet.recipe import Recipe
from whet.recipe.space import methods_of
from whet.recipe.stages import ControlsRecipe
from whet.workflows import contrasting
from whet.workflows.fit import fit
from whet.workflows.nodes import came_of
from whet.workflows.rows import Tell, never
from whet.workflows.series import Refused, Series, look_ahead, make, raise_failed

CONTROLS = "Remove them for a search; hold the winner against controls by whet fit --controls."


def refuse(recipe: Recipe) -> list[Problem]:
    """O005: what of stages no search can do."""
    found = []
    if recipe.controls != ControlsRecipe():
        found.append(Problem("O005", "controls", "have no place in a search.", CONTROLS))
    return found


def searched(recipe: Recipe, folder: RunFolder) -> Recipe:
    """What is searched: the recipe itself; of one with stages the last, which begins from the models of the others.

    These are known once their runs are finished.
    """
    if not recipe.stages:
        return recipe
    series = _series(recipe, folder)
    found, names = series.final(series.stages[-1], foreseen=True), {node.name for node in series.stages[:-1]}
    if found.search.space == "auto":
        return found
    space = dict(found.search.space)
    if isinstance(given := space.get("base"), list):
        space["base"] = [str(series.begun_from(str(one))) if one in names else one for one in given]
    return found.model_copy(update={"search": found.search.model_copy(update={"space": space})})


def bases(recipe: Recipe, folder: RunFolder) -> tuple[str, ...]:
    """What the last stage may begin from, the latest first; () where it begins from no earlier stage."""
    if not recipe.stages:
        return ()
    series = _series(recipe, folder)
    earlier = came_of(series.stages[-1], series.by_name)
    models = [str(series.begun_from(node.name)) for node in reversed(earlier)]
    return (*models, earlier[0].recipe.base) if earlier else ()


def before(recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Train the stages before the last one; the rows of all of them are read before.

    :raises UserError: what is refused of any of them; what the first that failed was stopped by.
    """
    if not recipe.stages:
        return
    series = _series(recipe, folder, tell, should_stop)
    *earlier, last = series.stages
    if not all(series.is_finished(node.name) for node in earlier):
        yield from look_ahead(series)
        _refuse_methods(series)
    failed: dict[str, Exception] = {}
    not_begun: dict[str, Problem] = {}
    for number, node in enumerate(earlier, 1):
        yield from make(series, node, number, failed, not_begun)
    if failed or not_begun:
        raise_failed(series, failed, not_begun)
    shutil.rmtree(series.place(last.name).path, ignore_errors=True)  # its rows, which others may be like, lie above


def _refuse_methods(series: Series) -> None:
    """:raises UserError: T040, T041, a method of the space that the rows of the last stage do not take."""
    last = series.stages[-1]
    if contrasting.CONTRASTIVE in methods_of(last.recipe):
        told = Refused(series)
        with told.of(last):
            contrasting.refuse_rows(series.begun(last))
        told.raise_if_any()


def has_trained(recipe: Recipe, folder: RunFolder) -> bool:
    """Whether an earlier stage is finished, so that the folder is worth keeping."""
    series = _series(recipe, folder) if recipe.stages else None
    return series is not None and any(series.is_finished(node.name) for node in series.stages)


def _series(recipe: Recipe, folder: RunFolder, *how: Any) -> Series:
    tell, should_stop = how or (silent, never)
    return Series(recipe, folder, tell, should_stop, fit)
