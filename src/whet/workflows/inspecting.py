"""Looking at data without a model: the audit."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from whet.data import audit, reading
from whet.recipe import from_options
from whet.workflows.rows import form_of, read_rows


def audit_data(changes: dict[str, Any], tell: Any) -> tuple[reading.ReadResult, audit.Audit]:
    """Read and audit what ``data.source`` names; nothing is kept. torch is not needed.

    :raises UserError: as :func:`whet.data.reading.read`.
    """
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        recipe = from_options(changes)
        found = read_rows(recipe, Path(work), tell)
        return found, audit.audit(found, form_of(recipe.task), tell)
