"""Run folders below some places."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from whet.errors import Problem
from whet.store.folder import STATE_FILE

PASSED_BY = {"__pycache__", "node_modules", "site-packages"}
"""Large folders that hold no runs; hidden ones are passed by as well."""


def find_folders(roots: Iterable[Path]) -> tuple[list[Path], list[Problem]]:
    """Every folder with a ``state.json`` at or below ``roots``, sorted, and what could not be looked at.

    A run folder is not searched further: what lies in it belongs to it. Links to folders are not
    followed below a root, so that a ring of them ends.
    """
    found: set[Path] = set()
    problems: list[Problem] = []

    def unreadable(error: OSError) -> None:
        problems.append(Problem("S021", str(error.filename), f"cannot be searched: {error.strerror}."))

    for root in roots:
        for place, folders, files in os.walk(os.path.realpath(root), onerror=unreadable):
            if STATE_FILE in files:
                found.add(Path(place))
                folders.clear()
            folders[:] = [name for name in folders if not name.startswith(".") and name not in PASSED_BY]
    return sorted(found), problems
