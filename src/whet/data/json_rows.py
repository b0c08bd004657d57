"""JSON lines and JSON documents, row by row, with the line of every row and every problem."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from whet.data.json_window import Malformed, Window, rows_of
from whet.data.rows import ABSENT, ROWS_PER_BLOCK, Block, Opened
from whet.data.sources import SourceFile
from whet.errors import Problem, Problems, UserError

CHARACTERS_PER_BLOCK = 1 << 24

Numbered = Iterator[tuple[int, Any]]
"""Pairs of a line and the JSON value that begins on it."""


class Repeated(ValueError):
    """One object has the same key twice, so that a value would be lost."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        keys = [key for key, _ in pairs]
        raise Repeated(next(key for key in keys if keys.count(key) > 1))
    return row


DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def holds_lines(beginning: str) -> bool:
    """Whether a ``.json`` file is JSON lines by its content: one whole object a line, more than one line."""
    lines = beginning.strip().split("\n")
    if not lines[0].startswith("{"):
        return False
    try:
        first = json.loads(lines[0])
    except (ValueError, RecursionError):
        return False
    return len(lines) > 1 or not isinstance(first.get("data"), list)


def open_json_lines(file: SourceFile, texts: Iterable[str], problems: Problems) -> Opened:
    """One object a line.

    :param texts: the whole text, in pieces that end where a line ends.
    :raises UserError: D003 no rows.
    """
    notes: list[str] = []
    return _open(file, _lines(file.name, texts, problems, notes), problems, notes)


def open_json_document(file: SourceFile, texts: Iterable[str], problems: Problems) -> Opened:
    """An array of objects, or an object with such an array under ``"data"``.

    :param texts: the whole text, cut anywhere.
    :raises UserError: D003 no rows, D015 malformed JSON, D016 another shape.
    """
    notes: list[str] = []
    return _open(file, _document(file.name, Window(texts, DECODER), problems, notes), problems, notes)


def _open(file: SourceFile, values: Numbered, problems: Problems, notes: list[str]) -> Opened:
    blocks = _blocks(file.name, values, problems)
    first = next(blocks, None)
    if first is None:
        problems.raise_if_any()
        raise UserError(Problem("D003", file.name, "has no rows.", "Give one object per text."))
    _, rows = first
    columns = list(dict.fromkeys(key for row in rows for key in row))
    sample = {column: _column(rows, column) for column in columns}
    whole = chain([first], blocks)
    return Opened(columns, sample, lambda wanted: (_as_block(lines, rows) for lines, rows in whole), notes)


def _column(rows: list[dict[str, Any]], name: str) -> list[Any]:
    return [row.get(name, ABSENT) for row in rows]


def _as_block(lines: list[int], rows: list[dict[str, Any]]) -> Block:
    return Block(lines, lambda name: _column(rows, name))


def _blocks(name: str, values: Numbered, problems: Problems) -> Iterator[tuple[list[int], list[dict[str, Any]]]]:
    lines: list[int] = []
    rows: list[dict[str, Any]] = []
    for line, value in values:
        if type(value) is not dict:
            what = f"is {_kind(value)}, not an object with keys."
            problems.add("D016", f"{name}:{line}", what, 'Write rows as {"text": ..., "label": ...}.')
            continue
        lines.append(line)
        rows.append(value)
        if len(rows) >= ROWS_PER_BLOCK:
            yield lines, rows
            lines, rows = [], []
    if rows:
        yield lines, rows


def _kind(value: Any) -> str:
    names: dict[type, str] = {
        list: "a list",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")


def _lines(name: str, texts: Iterable[str], problems: Problems, notes: list[str]) -> Numbered:
    blank = 0
    line = 0
    for text in texts:
        pieces = text.split("\n")
        if not pieces[-1]:
            pieces.pop()
        for piece in pieces:
            line += 1
            if not piece or piece.isspace():
                blank += 1
                continue
            try:
                value = DECODER.decode(piece)
            except (ValueError, RecursionError) as error:
                note_malformed(f"{name}:{line}", error, problems)
                continue
            yield line, value
    if blank:
        notes.append(f"{name}: {blank:,} blank lines skipped")


def _document(name: str, window: Window, problems: Problems, notes: list[str]) -> Numbered:
    try:
        yield from rows_of(window, name, notes)
    except Malformed as error:
        note_malformed(f"{name}:{window.line_at(error.position)}", error.cause, problems)


def note_malformed(where: str, error: Exception, problems: Problems) -> None:
    """Add what a JSON parser said to the problems: D014 a key twice, D015 anything else."""
    if isinstance(error, Repeated):
        problems.add("D014", where, f"has the key {error.args[0]!r} twice.", "Keep one of them.")
    elif isinstance(error, json.JSONDecodeError):
        message = error.msg[:1].lower() + error.msg[1:]
        near = error.doc[max(0, error.pos - 10) : error.pos + 20].strip()
        problems.add("D015", where, f"is malformed JSON: {message} (near {near!r}).")
    elif isinstance(error, RecursionError):
        problems.add("D015", where, "is JSON nested too deeply.", "Rows are flat objects.")
    else:
        problems.add("D015", where, f"is malformed JSON: {str(error)[:100]}.")
