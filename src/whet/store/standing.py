"""How a run stands now, which its folder cannot say: a killed process wrote nothing, nor did who deleted it."""

from __future__ import annotations

import platform

from whet.files import is_held
from whet.store.folder import is_gone
from whet.store.place import plain_file
from whet.store.rows import RunRow

RUNNING = "running"
GONE, STOPPED = "gone", "stopped"
"""Its folder is not there any more; it is noted as running, and nobody is at it."""


def standing(row: RunRow, url: str | None = None) -> str:
    """``row.state``, :data:`GONE` or :data:`STOPPED`; of a run of another machine what its folder said.

    :param url: of the store that the row is from, see ``whet.store.index.open_store``.
    """
    if plain_file(url) is None and row.machine != (platform.node() or "unknown"):
        return row.state
    if is_gone(row.folder):
        return GONE
    return STOPPED if row.state == RUNNING and not is_held(row.folder) else row.state
