"""Tables of names that are loaded on demand: ``{"lora": "whet.models.adaptations:LoRA"}``.

A table can be read at a glance, costs nothing to import, and answers a wrong name with the
nearest right one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from whet.errors import Problem, UserError, did_you_mean, one_of


def load(table: Mapping[str, str], name: str, where: str) -> Any:
    """The object that ``table`` lists under ``name``.

    :param where: the option that named it, for the message.
    :raises UserError: G001, the table has no such name.
    """
    if name not in table:
        raise UserError(unknown(name, list(table), where))
    module, _, attribute = table[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def unknown(name: str, known: list[str], where: str) -> Problem:
    """The problem of a name that a table does not list."""
    remedy = did_you_mean(name, known) or f"Use {one_of(known)}."
    return Problem("G001", where, f"{name!r} is not known.", remedy)
