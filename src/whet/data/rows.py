"""What every reader hands on: blocks of rows with their lines, never a whole file at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ROWS_PER_BLOCK = 8192
"""Rows handled at once, and rows in a record batch of the files written here."""

ABSENT: Final[Any] = type("Absent", (), {"__repr__": lambda _: "absent"})()
"""The value of a JSON row that lacks the key altogether, as against one that says null."""

Told = Callable[[str, int, int | None], None]
"""A progress callback: stage, how much is done, how much there is (None: not known)."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows that follow one another.

    ``lines`` has one line number per row (row number for binary formats), counted from 1;
    ``column(name)`` gives that column's values as they stand in the file, one per row.
    """

    lines: Sequence[int]
    column: Callable[[str], list[Any]]


@dataclass(slots=True)
class Opened:
    """A file that is ready to be read once, from front to back.

    ``columns`` are the names in file order, ``sample`` the values of the first block by column.
    ``blocks(wanted)`` runs through all rows, the first block included; it may be called once.
    ``notes`` is complete only after the blocks have run out.
    """

    columns: list[str]
    sample: dict[str, list[Any]]
    blocks: Callable[[Sequence[str]], Iterator[Block]]
    notes: list[str] = field(default_factory=list)


def silent(stage: str, done: int, total: int | None) -> None:
    """Report progress to nobody."""


def unnamed(number: int) -> str:
    """The name given to the column at ``number`` (from 1) whose own name is empty."""
    return f"(column {number})"
