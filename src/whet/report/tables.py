"""The form of a table on the page. What stands in it is decided elsewhere; how it looks, in the templates."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from whet.report import numbers


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its heading, whether it holds numbers (right-aligned), and a word of explanation."""

    title: str
    numeric: bool = False
    hint: str = ""
    prose: bool = False
    """Holds running text: gets room and breaks lines."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as it is shown, a quieter note beneath it, what to sort by, and a page beside this one to go to."""

    text: str
    note: str = ""
    order: float | str | None = None
    strong: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Cells in the order of the columns; the first one names the row."""

    cells: list[Cell]
    marked: bool = False
    """Stands out from the others; the reason is said in words in the row."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption; ``sortable`` by a click on a heading where scripts run.

    ``shape``: "stacked" becomes blocks on narrow screens (for running text), "matrix" has upright headings
    (for many narrow columns).
    """

    caption: str
    columns: list[Column]
    rows: list[Row] = field(default_factory=list)
    sortable: bool = False
    shape: Literal["", "stacked", "matrix"] = ""


def words(text: Any, note: str = "") -> Cell:
    """A cell of text, sorted by it."""
    return Cell(str(text), note, str(text).casefold())


def number(value: Any, shown: str, note: str = "", strong: bool = False) -> Cell:
    """A cell of a number, shown in its own way of writing and sorted by its value."""
    return Cell(shown, note, float(value) if numbers.is_number(value) else None, strong)


def plain(caption: str, titles: list[str], rows: list[list[Any]], numeric: set[int] | None = None) -> Table:
    """A table of ready strings; ``numeric`` are the indices of number columns."""
    numeric = set(range(1, len(titles))) if numeric is None else numeric
    columns = [Column(title, index in numeric) for index, title in enumerate(titles)]
    return Table(caption, columns, [Row([Cell(str(value)) for value in row]) for row in rows])
