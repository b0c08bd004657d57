"""A run prepared up to where training begins, without one: what 'whet plan' and 'whet bench' work with."""

from __future__ import annotations

from pathlib import Path

from whet.folder import RunFolder
from whet.recipe import Recipe
from whet.recipe.resolve import Facts, resolve
from whet.workflows import making, preparing
from whet.workflows.rows import Tell
from whet.workflows.running import Running


def prepared(recipe: Recipe, folder: Path, tell: Tell) -> tuple[Running, Facts]:
    """Rows read, encoded and decided upon in ``folder``, and what the decisions rest on.

    :raises UserError: whatever the run itself would stop at before training.
    """
    run = Running(recipe, RunFolder(folder), tell, lambda: False)
    for stage in (preparing.read, preparing.look, preparing.encode):
        list(stage(run))
    facts = preparing.facts_of(run)
    run.write_resolved(resolve(recipe, facts))
    for name in ("resolved", "task"):  # what was decided early is decided now
        run.__dict__.pop(name, None)
    list(making.ready(run))
    return run, facts
