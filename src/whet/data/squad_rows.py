"""Documents laid out as SQuAD: articles of paragraphs, each a context with its questions (``qas``).

One article is held at a time. Every question becomes a row with the line it begins on.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from whet.data.content import Stat, chunks, head
from whet.data.decoding import as_it_comes, is_utf8, refuse_unknown
from whet.data.json_rows import DECODER, Repeated, note_malformed
from whet.data.json_window import Malformed, Window
from whet.data.row_form import Choice
from whet.data.rows import ABSENT, ROWS_PER_BLOCK, Block, Opened, Told
from whet.data.sources import SourceFile
from whet.errors import Problem, Problems, UserError

COLUMNS = ["id", "title", "context", "question", "answers"]

_NESTED = re.compile(r'"(paragraphs|qas)"\s*:\s*\[')

Row = tuple[int, dict[str, Any]]
"""The line of a question, and its values by column."""


def open_squad(file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Opened | None:
    """The questions of a document as rows; None where the file is laid out otherwise.

    ``is_impossible`` questions have no answers; ``plausible_answers`` are passed over.

    :raises UserError: D003 no question in it; what :func:`whet.data.opening.open_file` raises of JSON.
    """
    if file.format not in ("json", "jsonl"):
        return None
    size = Stat.of(file.path).size
    if not size or not _is_nested(head(file), choice.encoding):
        return None
    raw = chunks(file, lambda done: told(f"reading {file.name}", done, size))
    window = Window(as_it_comes(raw, choice.encoding, file.name), DECODER)
    walk = _Walk(file.name, window, problems, choice.labelled)
    blocks = _blocks(walk.rows())
    first = next(blocks, None)
    if first is None:
        problems.raise_if_any()
        raise UserError(Problem("D003", file.name, "has no questions.", 'They stand in "qas" beside their "context".'))
    sample = {column: first.column(column) for column in COLUMNS}
    notes = [f"{file.name}: read as a document of articles, paragraphs and questions"]
    return Opened(list(COLUMNS), sample, lambda wanted: chain([first], blocks), notes)


def _is_nested(beginning: bytes, encoding: str) -> bool:
    refuse_unknown(encoding)
    utf8 = is_utf8(encoding)
    text = codecs.getincrementaldecoder("utf-8-sig" if utf8 else encoding)(errors="replace").decode(beginning)
    return text.lstrip()[:1] in ("{", "[") and _NESTED.search(text) is not None


def _blocks(rows: Iterator[Row]) -> Iterator[Block]:
    lines: list[int] = []
    values: list[dict[str, Any]] = []
    for line, row in rows:
        lines.append(line)
        values.append(row)
        if len(values) >= ROWS_PER_BLOCK:
            yield _block(lines, values)
            lines, values = [], []
    if values:
        yield _block(lines, values)


def _block(lines: list[int], values: list[dict[str, Any]]) -> Block:
    return Block(lines, lambda name: [row.get(name, ABSENT) for row in values])


@dataclass(frozen=True, slots=True)
class _Walk:
    """One pass through a document."""

    name: str
    window: Window
    problems: Problems
    labelled: bool

    def rows(self) -> Iterator[Row]:
        """All questions in order; where the JSON breaks off, a problem and the end."""
        window = self.window
        try:
            while window.peek():  # several where a file has one article a line
                if window.peek() == "[":
                    for _ in _elements(window):
                        yield from self._object()
                else:
                    yield from self._object()
        except Malformed as error:
            note_malformed(f"{self.name}:{window.line_at(error.position)}", error.cause, self.problems)

    def _line(self) -> int:
        self.window.peek()
        return self.window.line_at(self.window.position)

    def _object(self) -> Iterator[Row]:
        """The questions of a whole document, an article or a paragraph: they are told apart by their keys."""
        window, line = self.window, self._line()
        if window.peek() != "{":
            window.value()
            self.problems.add("D016", f"{self.name}:{line}", "is no object with keys.", "Lay it out as SQuAD does.")
            return
        held: list[Row] = []
        questions: list[tuple[int, Any]] = []
        known: dict[str, Any] = {}
        for key in _members(window):
            opening = window.peek()
            if key == "data" and opening == "[":
                for _ in _elements(window):
                    yield from self._object()
            elif key == "paragraphs" and opening == "[":
                for _ in _elements(window):
                    held.extend(self._object())
            elif key == "qas" and opening == "[":
                questions.extend((self._line(), window.value()) for _ in _elements(window))
            elif key in ("paragraphs", "qas"):
                self._no_list(key)
            elif key in ("title", "context"):
                known[key] = window.value()
            else:
                window.value()
        for place, value in questions:
            held.extend(self._question(place, value, known.get("context", ABSENT)))
        for place, row in held:
            if "title" in known:
                row.setdefault("title", known["title"])
            yield place, row

    def _no_list(self, key: str) -> None:
        line = self._line()
        self.window.value()
        self.problems.add("D016", f"{self.name}:{line}", f"{key!r} is no list.", "Lay it out as SQuAD does.")

    def _question(self, line: int, value: Any, context: Any) -> Iterator[Row]:
        if not isinstance(value, dict):
            what = "is no object with a question."
            self.problems.add("D016", f"{self.name}:{line}", what, 'Write {"question": ..., "answers": [...]}.')
            return
        found = value.get("answers", ABSENT)
        if self.labelled and "is_impossible" in value:
            found = impossible(value["is_impossible"], found, f"{self.name}:{line}", self.problems)
        row = {"context": context, "question": value.get("question", ABSENT), "answers": found}
        yield line, row | {key: value[key] for key in ("id",) if key in value}


def impossible(said: Any, found: Any, where: str, problems: Problems) -> Any:
    """The answers of a question beside which it is said whether it can be answered; D067 where both disagree."""
    missing = found is ABSENT or found is None or found == ""
    some = not missing and bool(found.get("text") if isinstance(found, dict) else found)
    if said is True:
        if some:
            remedy = "Take the answers out, or say that it can be answered."
            problems.add("D067", where, "is said to have no answer, and has one.", remedy)
        return []
    if said is False and not missing and not some:
        remedy = "Add the answer, or say that there is none."
        problems.add("D067", where, "is said to have an answer, and has none.", remedy)
    return found


def _members(window: Window) -> Iterator[str]:
    """The keys of an object; whoever asks for the next one has taken the value.

    :raises Malformed: it is no object, or a key stands twice.
    """
    seen: set[str] = set()
    window.take("{")
    if window.peek() == "}":
        window.take("}")
        return
    while True:
        if window.peek() != '"':
            raise window.expected("expecting property name enclosed in double quotes")
        key = str(window.value())
        if key in seen:
            raise Malformed(Repeated(key), window.position)
        seen.add(key)
        window.take(":")
        yield key
        if window.peek() != ",":
            window.take("}")
            return
        window.take(",")


def _elements(window: Window) -> Iterator[None]:
    """A step for every element of an array; whoever asks for the next one has taken it.

    :raises Malformed: it is no array.
    """
    window.take("[")
    if window.peek() == "]":
        window.take("]")
        return
    while True:
        yield
        if window.peek() != ",":
            window.take("]")
            return
        window.take(",")
