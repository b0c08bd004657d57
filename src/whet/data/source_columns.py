"""What a source says of its rows beside their texts and truth: region, product, date; as parts of the rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from whet.data.opening import open_file
from whet.data.rows import ABSENT, silent
from whet.data.sources import SourceFile, find
from whet.data.traits import Masks
from whet.errors import Problems, UserError
from whet.files import sha256

MOST_VALUES = 50
"""A text column with more values than this among the rows names each of them rather than a part."""


def source_columns(
    source: str, encoding: str, places: Sequence[tuple[str, int]], known: Mapping[str, str], without: Collection[str]
) -> dict[str, list[Any]]:
    """Values of the source's other columns, n a column; None where a row has none.

    Empty where the source is not there, is not read row by row, or is not the one that was read before.

    :param places: file and line of each row.
    :param known: the SHA-256 of each file as it was read, by its name.
    :param without: columns that are texts or truth.
    """
    wanted: dict[str, dict[int, int]] = {}
    for number, (file, line) in enumerate(places):
        wanted.setdefault(file, {})[line] = number
    found: dict[str, list[Any]] = {}
    try:
        files = {one.name: one for some in find(source).files.values() for one in some}
        for name, lines in wanted.items():
            if name not in files or known.get(name) != sha256(files[name].path):
                return {}
            _take(files[name], encoding, lines, len(places), without, found)
    except (UserError, OSError):
        return {}
    return found


def _take(
    file: SourceFile,
    encoding: str,
    lines: Mapping[int, int],
    num_rows: int,
    without: Collection[str],
    found: dict[str, list[Any]],
) -> None:
    problems = Problems()
    opened = open_file(file, encoding, problems, silent)
    columns = [name for name in opened.columns if name not in without]
    for block in opened.blocks(columns):
        here = [(place, lines[line]) for place, line in enumerate(block.lines) if line in lines]
        if not here:
            continue
        for name in columns:
            values = block.column(name)
            into = found.setdefault(name, [None] * num_rows)
            for place, number in here:
                into[number] = _plain(values[place])
    problems.raise_if_any()


def _plain(value: Any) -> Any:
    """A text, number or truth value; None for anything else."""
    if value is ABSENT or not isinstance(value, str | int | float | bool):
        return None
    return value.strip() or None if isinstance(value, str) else value


def column_parts(columns: Mapping[str, Sequence[Any]]) -> Masks:
    """Parts by what goes on after "rows ...": each value of a column of few, and either end of a column of numbers."""
    found: Masks = {}
    for name, values in columns.items():
        counts = Counter(value for value in values if value is not None)
        numbers = _numbers(values)
        if numbers is not None and len(counts) > 10:
            low, high = np.nanquantile(numbers, [0.25, 0.75], method="nearest")
            found[f"with {name} of at most {low:g}"] = numbers <= low
            found[f"with {name} of {high:g} or more"] = numbers >= high
        elif len(counts) <= MOST_VALUES:
            for value in counts:
                found[f"with {name} {value!r}"] = np.asarray([one == value for one in values])
    return {name: rows for name, rows in found.items() if 1 < int(rows.sum()) < len(rows)}


def _numbers(values: Sequence[Any]) -> Any:
    """(n,) numbers, NaN where there is none; None where something else stands there."""
    made = np.full(len(values), np.nan)
    for place, value in enumerate(values):
        if value is None:
            continue
        try:
            made[place] = float(value)
        except ValueError:
            return None
    return made if np.isfinite(made).any() else None
