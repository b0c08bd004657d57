"""CSV and TSV, one streaming pass, with the line of every row and every problem.

The standard library's parser in its strict mode: unlike data-frame readers it pads no short row,
turns no text such as ``NA`` into "missing", and knows the line that it is on.
"""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from whet.data.rows import ROWS_PER_BLOCK, Block, Opened, unnamed
from whet.data.sources import SourceFile
from whet.errors import Problem, Problems, UserError

LONGEST_VALUE = 1 << 24
"""Characters. A longer value is nearly always a quote that was never closed."""

CHUNKS_PER_BLOCK = 16
"""A block ends early after this many chunks of text, so that long rows do not pile up."""

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(slots=True)
class _Lines:
    """Lines of text for the parser, and how many chunks they took."""

    texts: Iterable[str]
    chunks: int = 0

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._files())

    def _files(self) -> Iterator[io.StringIO]:
        for text in self.texts:
            self.chunks += 1
            yield io.StringIO(text, newline="")


@dataclass(slots=True)
class _Csv:
    """One file being parsed. ``begin`` is the number of the last line before the next row."""

    file: SourceFile
    lines: _Lines
    reader: Any
    problems: Problems
    columns: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    begin: int = 0
    blank: int = 0
    ragged: int = 0


def open_csv(file: SourceFile, beginning: str, texts: Iterable[str], problems: Problems) -> Opened:
    """Read the header and the first block.

    :param beginning: the first text of the file, to tell the delimiter and the quoting from.
    :param texts: the whole text, in pieces that end where a line ends.
    :raises UserError: D003 no header or no rows, D014 two columns of one name.
    """
    delimiter, quoting, notes = dialect(file, beginning)
    lines = _Lines(texts)
    reader = csv.reader(iter(lines), delimiter=delimiter, quoting=quoting, strict=True)
    state = _Csv(file, lines, reader, problems, notes=notes)
    with _long_values():
        state.columns = _header(state)
    blocks = _blocks(state)
    first = next(blocks, None)
    if first is None:
        problems.raise_if_any()
        raise UserError(Problem("D003", file.name, "has a header, but no rows.", "Add one row per text."))
    sample = {name: first.column(name) for name in state.columns}
    return Opened(state.columns, sample, lambda wanted: chain([first], blocks), notes)


def dialect(file: SourceFile, beginning: str) -> tuple[str, Any, list[str]]:
    """Delimiter and quoting, and notes on what was decided: from the header line, and for TSV from its quotes."""
    header = next((line for line in re.split(r"[\r\n]+", beginning) if line.strip()), "")
    if file.format == "tsv":
        if _quotes_are_text(beginning):
            return "\t", csv.QUOTE_NONE, [f"{file.name}: quotation marks are read as part of the text"]
        return "\t", csv.QUOTE_MINIMAL, []
    bare = re.sub(r'"[^"]*"', "", header)
    delimiter = max(DELIMITERS, key=bare.count)
    if delimiter == ",":
        return ",", csv.QUOTE_MINIMAL, []
    return delimiter, csv.QUOTE_MINIMAL, [f"{file.name}: columns are parted by {DELIMITERS[delimiter]}"]


def _quotes_are_text(beginning: str) -> bool:
    """Whether a TSV is regular only if its quotation marks are taken as text: many writers quote nothing."""
    if '"' not in beginning:
        return False
    # The last line may be cut.
    lines = io.StringIO(beginning, newline="").readlines()
    lines = lines[:-1] if len(lines) > 2 else lines
    return not _regular(lines, csv.QUOTE_MINIMAL) and _regular(lines, csv.QUOTE_NONE)


def _regular(lines: list[str], quoting: Any) -> bool:
    with _long_values():
        try:
            return (
                len({len(row) for row in csv.reader(lines, delimiter="\t", quoting=quoting, strict=True) if row}) == 1
            )
        except csv.Error:
            return False


def _header(state: _Csv) -> list[str]:
    name = state.file.name
    try:
        row = next((row for row in state.reader if row), None)
    except csv.Error as error:
        raise UserError(_malformed(name, 1, str(error))) from None
    if row is None:
        raise UserError(Problem("D003", name, "has no header.", "Name the columns in the first line."))
    state.begin = state.reader.line_num
    columns = [value.strip() or unnamed(number) for number, value in enumerate(row, start=1)]
    if not any(value.strip() for value in row):
        raise UserError(
            Problem("D003", f"{name}:1", "the header names no column.", "Name the columns in the first line.")
        )
    refuse_repeated(columns, f"{name}:{state.begin}")
    return columns


def refuse_repeated(columns: Sequence[str], where: str) -> None:
    """Check that no name stands twice.

    :raises UserError: D014.
    """
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        names = ", ".join(repr(column) for column in repeated)
        raise UserError(Problem("D014", where, f"two columns have the same name: {names}.", "Give each its own name."))


def _blocks(state: _Csv) -> Iterator[Block]:
    while True:
        with _long_values():
            block = _block(state)
        if block is None:
            break
        yield block
    if state.blank:
        state.notes.append(f"{state.file.name}: {state.blank:,} blank lines skipped")


def _block(state: _Csv) -> Block | None:
    """The next rows that have the right width; the others go to the problems. None at the end."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    ended = False
    while not rows and not ended:
        ended = _take_rows(state, rows, numbers)
    if not rows:
        return None
    by_name = dict(zip(state.columns, zip(*rows, strict=True), strict=True))
    return Block(numbers, lambda name: list(by_name[name]))


def _take_rows(state: _Csv, rows: list[list[str]], numbers: list[int]) -> bool:
    """Fill ``rows`` up to a block; whether the file ended."""
    width, reader, lines = len(state.columns), state.reader, state.lines
    most_chunks = lines.chunks + CHUNKS_PER_BLOCK
    begin = state.begin
    while True:
        try:
            for row in reader:
                if len(row) == width or (width == 1 and not row):
                    rows.append(row or [""])
                    numbers.append(begin + 1)
                else:
                    _odd_row(state, row, begin + 1)
                state.begin = begin = reader.line_num
                if len(rows) >= ROWS_PER_BLOCK or lines.chunks > most_chunks:
                    return False
            return True
        except csv.Error as error:
            problem = _malformed(state.file.name, begin + 1, str(error))
            state.problems.add(problem.code, problem.where, problem.what, problem.remedy)
            state.begin = begin = reader.line_num


def _odd_row(state: _Csv, row: list[str], line: int) -> None:
    if not row:
        state.blank += 1
        return
    state.ragged += 1
    first = state.ragged == 1
    remedy = "A value that holds the delimiter or a line break must stand in double quotes." if first else ""
    more = "fewer" if len(row) < len(state.columns) else "more"
    what = f"has {len(row)} values, {more} than the {len(state.columns)} columns of the header."
    state.problems.add("D012", f"{state.file.name}:{line}", what, remedy)


def _malformed(name: str, line: int, message: str) -> Problem:
    where = f"{name}:{line}"
    if "unexpected end" in message:
        return Problem("D013", where, "a quotation mark is opened here and never closed.", "Close or double it.")
    if "field larger" in message:
        what = f"a value is longer than {LONGEST_VALUE:,} characters."
        return Problem("D013", where, what, "Is a quotation mark opened here and never closed?")
    if "expected after" in message:
        what = "text follows a closing quotation mark."
        return Problem("D013", where, what, 'Write quotation marks inside a quoted value twice: "".')
    return Problem("D013", where, f"is malformed: {message}.")


@contextlib.contextmanager
def _long_values() -> Iterator[None]:
    """Let the parser take long values; its limit belongs to the whole process and is put back."""
    before = csv.field_size_limit(LONGEST_VALUE)
    try:
        yield
    finally:
        csv.field_size_limit(before)
