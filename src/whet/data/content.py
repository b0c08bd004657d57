"""Bytes of a file: what they are by their content, unpacked, and unchanged while they are read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from whet.data.sources import SourceFile, missing, not_allowed
from whet.errors import Problem, UserError
from whet.files import sha256

CHUNK = 1 << 20
"""Bytes read at once."""

HEAD = 1 << 16
"""Bytes looked at to tell what a file is."""

MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive or a spreadsheet (.xlsx)", "Unpack it, or save the sheet as CSV (UTF-8)."),
    (b"%PDF", "a PDF", "Extract its text into CSV or JSON lines."),
    (b"\x1f\x8b", "compressed with gzip", "Let its name end in .gz."),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "Let its name end in .zst."),
    (b"BZh", "compressed with bzip2", "Unpack it, or compress it with gzip."),
    (b"\xfd7zXZ\x00", "compressed with xz", "Unpack it, or compress it with gzip."),
    (b"PAR1", "a Parquet file", "Let its name end in .parquet."),
    (b"ARROW1", "an Arrow file", "Let its name end in .arrow."),
    (b"FEA1", "a Feather file of version 1", "Write it anew as Arrow or Parquet."),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV."),
    (b"\xd0\xcf\x11\xe0", "an old Office document (.xls, .doc)", "Save the sheet as CSV (UTF-8)."),
    (b"\x89PNG", "a picture", "Give a file of texts."),
    (b"\xff\xd8\xff", "a picture", "Give a file of texts."),
)


@dataclass(frozen=True, slots=True)
class Stat:
    """What must stay as it is while a file is read."""

    size: int
    modified: int
    changed: int
    inode: int

    @staticmethod
    def of(path: Path) -> Stat:
        """Look now.

        :raises UserError: D001 missing or no regular file, D004 not allowed.
        """
        try:
            found = path.stat()
        except FileNotFoundError:
            raise missing(path) from None
        except PermissionError:
            raise not_allowed(path) from None
        return Stat(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The fingerprint of one file. ``rows`` counts what was read, kept or not."""

    name: str
    bytes: int
    sha256: str
    rows: int

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"name": self.name, "bytes": self.bytes, "sha256": self.sha256, "rows": self.rows}


def refuse_if_changed(path: Path, before: Stat) -> None:
    """Compare a file with how it was before reading.

    :raises UserError: D010.
    """
    try:
        after: Stat | None = Stat.of(path)
    except UserError:
        after = None
    if after != before:
        raise changed(path)


def changed(path: Path) -> UserError:
    """The error for a file that did not hold still."""
    remedy = "Wait until nothing writes to it, then start again."
    return UserError(Problem("D010", str(path), "changed while it was read.", remedy))


def checked_hash(path: Path) -> str:
    """SHA-256 of a file's bytes.

    :raises UserError: D001 missing, D004 not allowed.
    """
    try:
        return sha256(path)
    except PermissionError:
        raise not_allowed(path) from None
    except FileNotFoundError:
        raise missing(path) from None


def chunks(file: SourceFile, told: Callable[[int], None]) -> Iterator[bytes]:
    """The unpacked bytes of a file; ``told`` receives how many bytes of the file itself are done.

    :raises UserError: D004 not allowed, D009 a compressed file that is damaged or cut short, D010 a
        file that grows, for it may have no end.
    """
    try:
        raw = file.path.open("rb")
    except PermissionError:
        raise not_allowed(file.path) from None
    except FileNotFoundError:
        raise missing(file.path) from None
    with raw:
        stream = (
            raw
            if file.compression is None
            else pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), file.compression)
        )
        size = os.fstat(raw.fileno()).st_size
        while chunk := _read(stream, file):
            if raw.tell() > size:
                raise changed(file.path)
            told(raw.tell())
            yield chunk


def _read(stream: Any, file: SourceFile) -> bytes:
    try:
        return bytes(stream.read(CHUNK))
    except OSError as error:
        if file.compression is None:
            raise UserError(Problem("D009", str(file.path), f"cannot be read: {error}.")) from None
        raise UserError(
            Problem(
                "D009",
                str(file.path),
                f"is not a whole {file.compression} file: {error}.",
                "Fetch or compress it again, or take the ending off its name if it is not compressed.",
            )
        ) from None


def head(file: SourceFile) -> bytes:
    """The first bytes of the unpacked content, at most :data:`HEAD`."""
    return next(chunks(file, lambda _: None), b"")[:HEAD]


def refuse_binary(file: SourceFile, beginning: bytes, encoding: str) -> None:
    """Stop at what is not text, and say what it is.

    :raises UserError: D002 empty, D007 binary, D008 UTF-16 or UTF-32 that was not announced.
    """
    if not beginning.strip(b" \t\r\n\xef\xbb\xbf"):
        raise UserError(Problem("D002", str(file.path), "is empty.", "Give a file with a header and rows."))
    for magic, what, remedy in MAGIC:
        if beginning.startswith(magic):
            raise UserError(Problem("D007", str(file.path), f"is {what} by its content, not {file.format}.", remedy))
    if encoding not in ("utf-8", "utf-8-sig"):
        return
    wide = wide_encoding(beginning)
    if wide:
        raise UserError(
            Problem(
                "D008",
                f"{file.name}:1",
                f"is not UTF-8: from byte 0 on it reads as {wide}.",
                f"Save it as UTF-8, or set data.encoding={wide}.",
            )
        )
    if b"\0" in beginning:
        place = beginning.index(b"\0")
        raise UserError(
            Problem(
                "D007",
                str(file.path),
                f"is a binary file: byte {place:,} is zero.",
                f"Give a {file.format} file of text.",
            )
        )


def wide_encoding(beginning: bytes) -> str | None:
    """``"utf-16"`` or ``"utf-32"`` where marks or the pattern of zero bytes give it away."""
    if beginning.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = beginning[0:2000:2], beginning[1:2000:2]
    for zeros, others, name in ((odd, even, "utf-16-le"), (even, odd, "utf-16-be")):
        if len(zeros) >= 4 and zeros.count(0) > 0.6 * len(zeros) and others.count(0) < 0.1 * len(others):
            return name
    return None
