"""A room imports only from floors below its own: every import counts, wherever in a file it stands."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import whet

SOURCE = Path(whet.__file__).parent
FLOORS = {
    12: ["whet"],  # the package itself: the door for programs, opened on demand
    11: ["cli"],
    10: ["server"],
    9: ["workflows"],
    8: ["baselines", "report"],
    7: ["inference", "prompting"],
    6: ["tasks", "evaluation"],
    5: ["generation", "objectives"],
    4: ["models"],
    3: ["data", "batches", "engine"],
    2: ["recipe", "store", "kernels", "folder"],
    1: ["findings", "registry", "files", "seeds", "threads"],
    0: ["errors"],
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
FILES = sorted(SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    """The first folder or file below the package; 'whet' for the package's own file."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return "whet" if parts[0] == "__init__" else parts[0]


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and room of every import of the package; relative ones would hide where they lead."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            # 'from whet import seeds' names a room; 'from whet import fit' the package
            names = [f"whet.{a.name}" for a in node.names] if node.module == "whet" else [node.module or ""]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == "whet":
                room = rest.partition(".")[0]
                yield node.lineno, room if room in FLOOR else "whet"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_every_import_points_down(path: Path):
    room = room_of(path)
    upwards = [
        f"{path}:{line} imports {other} (floor {FLOOR[other]}) into {room} (floor {FLOOR[room]})"
        for line, other in imported(ast.parse(path.read_text(encoding="utf-8")))
        if other != room and FLOOR[other] >= FLOOR[room]
    ]
    assert not upwards, "\n".join(upwards)


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} <= set(FLOOR)


def test_the_walk_sees_what_it_is_for():
    code = """
from typing import TYPE_CHECKING
import whet.report.page
if TYPE_CHECKING:
    from whet.workflows.fit import fit
def inside():
    from whet import seeds, models
    from whet import fit
    import torch, whet.cli.app as app
"""
    assert [room for _, room in imported(ast.parse(code))] == ["report", "workflows", "seeds", "models", "whet", "cli"]
