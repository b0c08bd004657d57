"""Reading what a recipe names; apart from the other stages, since an audit needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from whet import registry
from whet.data import ROW_FORMS, reading
from whet.data.row_form import Choice, RowForm
from whet.recipe import Recipe
from whet.recipe.rows import DataRecipe

Tell = Callable[[str, int, int | None], None]
"""Progress within a stage: what, how much is done, how much there is."""


def never() -> bool:
    """Nobody asks a workflow to stop."""
    return False


def form_of(task: str) -> RowForm:
    """What the rows of a task hold."""
    form: RowForm = registry.load(ROW_FORMS, task, "task")()
    return form


def choice_of(data: DataRecipe) -> Choice:
    """What the recipe says about columns and values."""
    return Choice(
        text=data.text,
        label=data.label,
        text_pair=data.text_pair,
        label_separator=data.label_separator,
        encoding=data.encoding,
        drop_unlabelled=data.drop_unlabelled,
        negative=data.negative,
        group=data.group,
        speaker=data.speaker,
        roles=data.roles,
    )


def read_rows(recipe: Recipe, into: Path, tell: Tell) -> reading.ReadResult:
    """Read what the recipe names."""
    return reading.read(
        recipe.data.source,
        into=into,
        form=form_of(recipe.task),
        choice=choice_of(recipe.data),
        seed=recipe.seed,
        validation_share=recipe.data.validation_share,
        test_share=recipe.data.test_share,
        corrections=None if recipe.data.corrections is None else Path(recipe.data.corrections),
        progress=tell,
    )
