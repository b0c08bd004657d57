"""Any file by its format: checked, decoded, and ready to be read in one pass."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from whet.data.arrow_rows import open_arrow, open_parquet
from whet.data.content import Stat, chunks, head, refuse_binary
from whet.data.csv_rows import open_csv
from whet.data.decoding import as_it_comes, in_whole_lines, is_utf8, refuse_unknown
from whet.data.json_rows import holds_lines, open_json_document, open_json_lines
from whet.data.rows import ROWS_PER_BLOCK, Block, Opened, Told
from whet.data.sources import BINARY, SourceFile, not_allowed, unknown_ending
from whet.errors import Problem, Problems, UserError


def open_file(file: SourceFile, encoding: str, problems: Problems, told: Told) -> Opened:
    """Open one file of any known format.

    :raises UserError: D001-D005, D007-D009 what is not a readable file of that format; what the
        reader of the format raises (D003, D013-D017).
    """
    if file.format == "words":
        raise unknown_ending(file.path)
    if file.format in BINARY:
        _refuse_empty(file)
        try:
            return (open_parquet if file.format == "parquet" else open_arrow)(file, told)
        except PermissionError:
            raise not_allowed(file.path) from None
    return _open_text(file, checked_head(file, encoding), encoding, problems, told)


def checked_head(file: SourceFile, encoding: str) -> str:
    """The beginning of a text file, only to look at: what does not fit the encoding is replaced.

    :raises UserError: D001-D005, D007-D009 what is not a readable file of text.
    """
    _refuse_empty(file)
    refuse_unknown(encoding)
    beginning = head(file)
    refuse_binary(file, beginning, "utf-8" if is_utf8(encoding) else encoding)
    return _decoded_head(beginning, encoding)


def _refuse_empty(file: SourceFile) -> None:
    size = Stat.of(file.path).size
    if not file.path.is_file():
        raise UserError(Problem("D001", str(file.path), "is not a regular file.", "Copy it into one first."))
    if size == 0:
        raise UserError(Problem("D002", str(file.path), "is empty.", "Give a file with a header and rows."))


def text_lines(file: SourceFile, encoding: str, problems: Problems, told: Told) -> Iterator[str]:
    """The text of a file in pieces that end where a line ends."""
    size = file.path.stat().st_size
    raw = chunks(file, lambda done: told(f"reading {file.name}", done, size))
    return in_whole_lines(raw, encoding, file.name, problems)


def _open_text(file: SourceFile, beginning: str, encoding: str, problems: Problems, told: Told) -> Opened:
    if file.format == "txt":
        return _open_lines(text_lines(file, encoding, problems, told))
    if file.format in ("csv", "tsv"):
        return open_csv(file, beginning, text_lines(file, encoding, problems, told), problems)
    if file.format == "jsonl":
        return open_json_lines(file, text_lines(file, encoding, problems, told), problems)
    if holds_lines(beginning):
        opened = open_json_lines(file, text_lines(file, encoding, problems, told), problems)
        opened.notes.append(f"{file.name}: read as JSON lines, by its content")
        return opened
    size = Path(file.path).stat().st_size
    raw = chunks(file, lambda done: told(f"reading {file.name}", done, size))
    return open_json_document(file, as_it_comes(raw, encoding, file.name), problems)


def _open_lines(texts: Iterator[str]) -> Opened:
    """Plain text: one column, ``text``, a row a line, blank lines included."""
    return Opened(["text"], {}, lambda wanted: _line_blocks(texts))


def _line_blocks(texts: Iterator[str]) -> Iterator[Block]:
    line = 1
    for text in texts:
        rows = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
        for start in range(0, len(rows), ROWS_PER_BLOCK):
            part = rows[start : start + ROWS_PER_BLOCK]
            yield Block(range(line, line + len(part)), {"text": part}.__getitem__)
            line += len(part)


def _decoded_head(beginning: bytes, encoding: str) -> str:
    """The beginning as text, only to look at: what does not fit is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8-sig" if is_utf8(encoding) else encoding)(errors="replace")
    try:
        return decoder.decode(beginning)
    except UnicodeError:
        return ""
