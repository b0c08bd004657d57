"""Checkpoints of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError


def import_llama_c(checkpoint: Path, tokenizer: Path, into: Path) -> dict[str, Any]:
    """Write the folder ``into`` from a checkpoint of llama2.c.

    :raises UserError: M060, a file is not of this form; F012, the folder is there already.
    """
    from whet.models.llama_c import convert

    if into.exists():
        raise UserError(Problem("F012", str(into), "exists already.", "Name a folder that does not."))
    return {"folder": str(into), "parameters": convert(checkpoint, tokenizer, into)}
