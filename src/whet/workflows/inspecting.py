"""Looking without training: the audit of data, the check of a recipe."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from whet.data import audit, reading
from whet.recipe import Recipe, from_options
from whet.recipe.resolve import Choice
from whet.workflows.rows import form_of, read_rows


def audit_data(changes: dict[str, Any], tell: Any) -> tuple[reading.ReadResult, audit.Audit]:
    """Read and audit what ``data.source`` names; nothing is kept. torch is not needed.

    :raises UserError: as :func:`whet.data.reading.read`.
    """
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        recipe = from_options(changes)
        found = read_rows(recipe, Path(work), tell)
        return found, audit.audit(found, form_of(recipe.task), tell)


def check(recipe: Recipe, tell: Any) -> dict[str, Choice]:
    """Every option of ``recipe`` with its value in a run and the reason; reads and encodes, trains nothing.

    :raises UserError: whatever the run itself would stop at before training.
    """
    from whet.folder import RunFolder
    from whet.recipe.resolve import resolve
    from whet.workflows import preparing
    from whet.workflows.running import Running

    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        run = Running(recipe, RunFolder(Path(work)), tell, lambda: False)
        for stage in (preparing.read, preparing.look, preparing.encode):
            list(stage(run))  # what a run would say meanwhile is in the reasons
        return {**resolve(recipe, preparing.facts_of(run)), **_columns(run.data)}


def _columns(data: reading.ReadResult) -> dict[str, Choice]:
    """The columns that reading chose, and why."""
    chosen = {"text": data.columns.text, "text_pair": data.columns.text_pair, "label": data.columns.label}
    return {
        f"data.{name}": Choice(column, data.columns.reasons.get(name, "rows have one text"))
        for name, column in chosen.items()
    }
