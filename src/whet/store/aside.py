"""A damaged SQLite file gets another name; nothing is deleted."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from whet.errors import Problem
from whet.store.unavailable import ELSEWHERE, StoreUnavailable

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside its file; a new file must not meet the old one's."""


def set_aside(path: Path) -> Path:
    """Rename a SQLite file and what lies beside it; return its new name.

    :raises StoreUnavailable: S002, the folder does not allow it.
    """
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    name = path.with_name(f"{path.name}.damaged-{moment}")
    number = 1
    while name.exists():
        number += 1
        name = path.with_name(f"{path.name}.damaged-{moment}-{number}")
    try:
        path.rename(name)
        for ending in BESIDE:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + ending).rename(name.with_name(name.name + ending))
    except OSError as error:
        what = f"the damaged run index cannot be moved aside: {error.strerror}."
        raise StoreUnavailable(Problem("S002", str(path), what, ELSEWHERE)) from None
    return name
