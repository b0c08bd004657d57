"""The file that ``whet predict --out`` writes: JSON lines or CSV, as its ending says."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from whet.errors import Problem, UserError, one_of

Row = Mapping[str, Any]
"""One answer by the names of its parts."""
Writer = Callable[[Iterable[Row], BinaryIO], None]


def writer_of(path: Path) -> Writer:
    """How rows are written into ``path``.

    :raises UserError: F017, nothing is written with this ending.
    """
    found = WRITERS.get(path.suffix.lower())
    if found is None:
        what = f"the ending {path.suffix!r} says no format." if path.suffix else "has no ending to say its format."
        raise UserError(Problem("F017", str(path), what, f"End its name in {one_of(list(WRITERS))}."))
    return found


def json_line(row: Row) -> str:
    """A row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def _json_lines(rows: Iterable[Row], into: BinaryIO) -> None:
    for row in rows:
        into.write(json_line(row).encode())


def _csv(rows: Iterable[Row], into: BinaryIO) -> None:
    """A column for every part that any row has; lists and objects stand in their cell as JSON.

    Which columns there are is known after the last row, so rows wait in a file of their own.
    """
    columns: dict[str, None] = {}
    with tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as waiting:
        for row in rows:
            columns |= dict.fromkeys(row)
            waiting.write(json_line(row))
        waiting.seek(0)
        text = io.TextIOWrapper(into, encoding="utf-8", newline="", write_through=True)
        table = csv.DictWriter(text, list(columns), lineterminator="\n")
        table.writeheader()
        table.writerows(_cells(waiting))
        text.detach()


def _cells(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        row = json.loads(line)
        yield {
            name: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for name, value in row.items()
        }


WRITERS: dict[str, Writer] = {".jsonl": _json_lines, ".csv": _csv}
"""By ending."""
