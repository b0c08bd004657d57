"""Passes over the rows that a search has time for.

As many as a single training would take by itself are too many where minutes are few: two or three settings would be
tried, and which of them is best would hang on chance. Every training of such a search takes fewer, all of them as many,
so that settings are compared on the same footing; what is chosen can be trained on from there.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from whet.recipe import Recipe
from whet.recipe.resolve import resolve
from whet.workflows import preparing
from whet.workflows.estimating import UNKNOWN, need, work_of
from whet.workflows.machines import this_machine
from whet.workflows.running import Running

OPTION = "training.epochs"
BESIDE = 4.0
"""Seconds of a trial beside its steps and looks: the base is read, a new head begins from the frozen base."""
SLOWER = 1.5
"""As many times what is foreseen from the configuration alone does a step of a small model take (docs/log.md)."""


def shortened(recipe: Recipe, passes: float | None) -> Recipe:
    """The recipe whose trainings take ``passes`` over the rows; itself where that is None."""
    if passes is None:
        return recipe
    return recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": passes})})


def affordable(run: Running, epochs: Mapping[str, float], seconds: float | None) -> float | None:
    """Passes with which the trainings of a search fit into ``seconds`` each; one at least.

    :param epochs: passes that each method takes by itself.
    :param seconds: what a trial may take; None: as long as it wants.
    :returns: None where there is time for all of them, where the recipe or the space says how many, or where what a
        pass costs cannot be foreseen.
    """
    recipe = run.recipe
    says = recipe.training.epochs != "auto" or (recipe.search.space != "auto" and OPTION in recipe.search.space)
    if seconds is None or says or not epochs:
        return None
    costs = _seconds_per_pass(run, list(epochs))
    if costs is None:
        return None
    fitting = float(max(1, int((seconds - BESIDE) / costs))) if seconds > BESIDE else 1.0
    return fitting if fitting < min(epochs.values()) else None


def _seconds_per_pass(run: Running, methods: Sequence[str]) -> float | None:
    """Of the methods' mean, from configuration, rows and what this machine can do; None where none is known."""
    facts, found = preparing.facts_of(run), []
    try:
        work, machine = work_of(run), this_machine(run.dtype, run.device)
    except UNKNOWN:  # an estimate must not cost a search
        return None
    for method in methods:
        values = resolve(run.recipe.model_copy(update={"method": method}), facts)
        options = {name: choice.value for name, choice in values.items()}
        try:
            one = need(work, machine, method, options, sizes=False)
        except UNKNOWN:
            continue
        found.append(SLOWER * (one.train_seconds + one.look_seconds) / float(options[OPTION]))
    return statistics.mean(found) if found else None
