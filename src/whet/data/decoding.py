"""Bytes into text, strictly: a byte that is not in the encoding is reported with line and offset."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Iterable, Iterator
from typing import AnyStr

from whet.errors import Problem, Problems, UserError

BOM = codecs.BOM_UTF8


def is_utf8(encoding: str) -> bool:
    """Whether ``encoding`` is a spelling of UTF-8."""
    with contextlib.suppress(LookupError):
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    return False


def refuse_unknown(encoding: str) -> None:
    """Check the name of an encoding.

    :raises UserError: D008, there is no such text encoding.
    """
    try:
        # Not of empty bytes: for those, Python does not look the name up.
        b"some".decode(encoding)
    except UnicodeError:
        pass
    except (LookupError, ValueError):
        raise UserError(
            Problem("D008", "data.encoding", f"{encoding!r} is not a text encoding.", "Try utf-8, cp1252 or utf-16.")
        ) from None


def in_whole_lines(chunks: Iterable[bytes], encoding: str, name: str, problems: Problems) -> Iterator[str]:
    """Text in pieces that end where a line ends. Broken UTF-8 lines go to ``problems`` (D008), all of them.

    :raises UserError: D008 where another encoding than UTF-8 does not fit (the first place only).
    """
    if is_utf8(encoding):
        yield from _utf8_lines(chunks, name, problems)
        return
    pending = ""
    for text in as_it_comes(chunks, encoding, name):
        pending += text
        cut = _after_last_line(pending, "\n", "\r")
        if cut:
            yield pending[:cut]
            pending = pending[cut:]
    if pending:
        yield pending


def as_it_comes(chunks: Iterable[bytes], encoding: str, name: str) -> Iterator[str]:
    """Text in pieces of any cut; for formats whose rows are not lines.

    :raises UserError: D008, with line and byte offset of the first byte that does not fit.
    """
    utf8 = is_utf8(encoding)
    decoder = codecs.getincrementaldecoder("utf-8-sig" if utf8 else encoding)()
    offset, line = 0, 1
    for chunk in _with_end(chunks):
        kept = decoder.getstate()[0]
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            whole = (kept if isinstance(kept, bytes) else b"") + chunk
            start = getattr(error, "start", 0)
            at = offset - (len(whole) - len(chunk)) + start
            line += whole[:start].count(b"\n")
            raise UserError(
                _misfit(name, line, at, whole[start : start + 200], encoding, whole[start : start + 1])
            ) from None
        yield text
        line += text.count("\n")
        offset += len(chunk)


def _with_end(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, then an empty one that says that nothing follows."""
    for chunk in chunks:
        if chunk:
            yield chunk
    yield b""


def _utf8_lines(chunks: Iterable[bytes], name: str, problems: Problems) -> Iterator[str]:
    line, offset = 1, 0
    for piece in _byte_lines(chunks):
        whole = piece
        if offset == 0 and whole.startswith(BOM):
            whole, offset = whole[len(BOM) :], len(BOM)
        if b"\0" in whole:
            number = line + whole[: whole.index(b"\0")].count(b"\n")
            problems.add("D007", f"{name}:{number}", "holds a zero byte, which no text has.", "Is the file damaged?")
        try:
            yield whole.decode()
        except UnicodeDecodeError:
            yield _repaired(whole, name, line, offset, problems)
        line += whole.count(b"\n") if b"\r" not in whole else len(whole.splitlines())
        offset += len(whole)


def _byte_lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pending: list[bytes] = []
    for chunk in chunks:
        cut = _after_last_line(chunk, b"\n", b"\r")
        if cut:
            yield b"".join([*pending, chunk[:cut]])
            pending = []
        pending.append(chunk[cut:])
    rest = b"".join(pending)
    if rest:
        yield rest


def _after_last_line(text: AnyStr, newline: AnyStr, carriage: AnyStr) -> int:
    """Where to cut so that only whole lines stand before it; 0 where no line ends."""
    cut = text.rfind(newline) + 1
    # A carriage return at the very end may be the first half of a line end.
    return cut or text.rfind(carriage, 0, len(text) - 1) + 1


def _repaired(whole: bytes, name: str, line: int, offset: int, problems: Problems) -> str:
    """Decode line by line, noting each that fails, so that the rest can be checked as well."""
    texts = []
    for number, raw in enumerate(whole.splitlines(keepends=True), start=line):
        try:
            texts.append(raw.decode())
        except UnicodeDecodeError as error:
            problem = _misfit(name, number, offset + error.start, raw, "utf-8", raw[error.start : error.start + 1])
            problems.add(problem.code, problem.where, problem.what, problem.remedy)
            texts.append(raw.decode(errors="replace"))
        offset += len(raw)
    return "".join(texts)


def _misfit(name: str, line: int, offset: int, raw: bytes, encoding: str, byte: bytes) -> Problem:
    what = f"byte {offset:,} (0x{byte.hex().upper() or '--'}) is not valid {encoding}."
    if not is_utf8(encoding):
        return Problem("D008", f"{name}:{line}", what, "Choose another data.encoding, or save the file as UTF-8.")
    try:
        other, reading = "cp1252", raw.decode("cp1252").strip()
    except UnicodeDecodeError:
        other, reading = "latin-1", raw.decode("latin-1").strip()
    shown = reading[:40] + ("..." if len(reading) > 40 else "")
    return Problem(
        "D008",
        f"{name}:{line}",
        what,
        f"Save the file as UTF-8, or set data.encoding={other} if it should read {shown!r}.",
    )
