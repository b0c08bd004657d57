"""A JSON document too large to hold: a window of text that moves from row to row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from whet.errors import Problem, UserError

LONGEST_TOKEN = 64
"""Characters. An error further from the window's end than this is no matter of missing text."""

_BLANK = " \t\r\n"


class Malformed(Exception):
    """What a parser said about the text at ``position`` of the window."""

    def __init__(self, cause: Exception, position: int) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.position = position


class Window:
    """The part of a document that is looked at, with the line it begins on."""

    def __init__(self, texts: Iterable[str], decoder: json.JSONDecoder) -> None:
        self.texts = iter(texts)
        self.decoder = decoder
        self.text = ""
        self.position = 0
        self._line = 1
        self._counted = 0

    def more(self, least: int = 1) -> bool:
        """Drop what is done and take at least ``least`` further characters; False if nothing is left."""
        self.line_at(self.position)
        pieces = [self.text[self.position :]]
        got = 0
        while got < least:
            piece = next(self.texts, None)
            if piece is None:
                break
            pieces.append(piece)
            got += len(piece)
        self.text = "".join(pieces)
        self.position = self._counted = 0
        return got > 0

    def line_at(self, position: int) -> int:
        """The line of a position that is not before one asked for earlier."""
        self._line += self.text.count("\n", self._counted, position)
        self._counted = max(position, self._counted)
        return self._line

    def peek(self) -> str:
        """The next character that is not blank, moved to; empty at the end."""
        while True:
            while self.position < len(self.text) and self.text[self.position] in _BLANK:
                self.position += 1
            if self.position < len(self.text):
                return self.text[self.position]
            if not self.more():
                return ""

    def take(self, wanted: str) -> None:
        """Step over one character.

        :raises Malformed: another stands there.
        """
        if self.peek() != wanted:
            raise self.expected(f"expecting {wanted!r}")
        self.position += 1

    def expected(self, what: str) -> Malformed:
        """The error of something else standing here."""
        return Malformed(json.JSONDecodeError(what, self.text, self.position), self.position)

    def value(self) -> Any:
        """The JSON value that begins here, stepped over.

        :raises Malformed: it is none, or the document ends within it.
        """
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.position)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self.text) - LONGEST_TOKEN
                if not cut or not self._widen():
                    raise Malformed(error, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise Malformed(error, self.position) from None
            else:
                # A number that ends with the window may go on behind it.
                if end < len(self.text) or self.text[end - 1] in '}]"' or not self._widen():
                    self.position = end
                    return value

    def _widen(self) -> bool:
        """More text behind the value that begins here: as much again, so that long values cost linear time."""
        return self.more(len(self.text) - self.position)


def rows_of(window: Window, name: str, notes: list[str]) -> Iterator[tuple[int, Any]]:
    """The rows of an array, or of the array under ``"data"``, each with its line.

    :raises Malformed: the text is not JSON.
    :raises UserError: D016, it is JSON of another shape.
    """
    opening = window.peek()
    if opening == "[":
        yield from _array(window)
    elif opening == "{":
        yield from _under_data(window, name, notes)
    else:
        window.value()
        raise _shape(name, "is a single value")
    if window.peek():
        raise window.expected("extra data")


def _array(window: Window) -> Iterator[tuple[int, Any]]:
    window.take("[")
    if window.peek() == "]":
        window.take("]")
        return
    while True:
        window.peek()
        line = window.line_at(window.position)
        yield line, window.value()
        if window.peek() == "]":
            window.take("]")
            return
        window.take(",")


def _under_data(window: Window, name: str, notes: list[str]) -> Iterator[tuple[int, Any]]:
    others: list[str] = []
    found = False
    window.take("{")
    while window.peek() != "}":
        if window.peek() != '"':
            raise window.expected("expecting property name enclosed in double quotes")
        key = window.value()
        window.take(":")
        if key == "data" and not found and window.peek() == "[":
            found = True
            yield from _array(window)
        else:
            window.value()
            others.append(repr(key))
        if window.peek() == ",":
            window.take(",")
            if window.peek() == "}":
                raise window.expected("illegal trailing comma before end of object")
        elif window.peek() != "}":
            raise window.expected("expecting ',' delimiter")
    window.take("}")
    if not found:
        raise _shape(name, f"is one object with the keys {', '.join(others[:8]) or '(none)'}")
    if others:
        notes.append(f"{name}: only 'data' is read, not {', '.join(others[:8])}")


def _shape(name: str, what: str) -> UserError:
    remedy = 'Give an array of objects, {"data": [...]}, or one object a line (.jsonl).'
    return UserError(Problem("D016", name, f"{what}, not a list of rows.", remedy))
