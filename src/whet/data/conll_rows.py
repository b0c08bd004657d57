"""Files with a word on each line: columns parted by tabs or blanks, a blank line between sentences.

What CoNLL began and many followed, each in its own way, is told by the content of the first block: which
column holds the tags and which the words (word first or tag first), whether lines begin with the number
of the word, which lines are comments. Lines that begin a document (``-DOCSTART-``) make it the group of
its sentences.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from whet.data.entity_tags import OUTSIDE, parsed
from whet.data.rows import ROWS_PER_BLOCK, Block, Opened
from whet.errors import Problem, Problems, UserError

WORDS_PER_BLOCK = 1 << 18
"""A block ends here too, however few its sentences: some files have no blank lines."""

WORDS, TAGS, DOCUMENT = "tokens", "tags", "document"
"""What the columns of words and tags are called, and the one that names the document of a sentence."""

MOSTLY = 0.9
"""Share of a column's cells that must be tags for it to be taken for one of tags."""

_BLANKS = re.compile(r"[ \t]+")
_DOCUMENT_LINES = ("-DOCSTART-", "-docstart-")
_DOCUMENT_COMMENTS = re.compile(r"#\s*(begin document|newdoc)\b")


@dataclass(slots=True)
class Sentence:
    """``line`` of its first word, the cells of each of its lines, and the number of its document (0: none)."""

    line: int
    rows: list[list[str]]
    document: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Positions of the columns of words and of tags; the latter None where rows have but one."""

    words: int
    tags: int | None
    width: int

    @property
    def names(self) -> list[str]:
        """What each column is called."""
        return [
            WORDS if place == self.words else TAGS if place == self.tags else f"column {place + 1}"
            for place in range(self.width)
        ]


@dataclass(slots=True)
class _Reader:
    """Lines into sentences. ``width`` and ``tabs`` are those of the first line with cells."""

    file: str
    problems: Problems
    width: int = 0
    tabs: bool = False
    comments: int = 0
    documents: int = 0
    current: list[list[str]] = field(default_factory=list)
    begin: int = 0

    def sentences(self, texts: Iterable[str]) -> Iterator[Sentence]:
        line = 0
        for text in texts:
            for piece in text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n"):
                line += 1
                if piece and not piece.isspace() and not self._sets_apart(piece):
                    self._word(piece, line)
                elif self.current:
                    yield self._take()
        if self.current:
            yield self._take()

    def _take(self) -> Sentence:
        rows, self.current = self.current, []
        return Sentence(self.begin, rows, self.documents)

    def _sets_apart(self, piece: str) -> bool:
        """Whether a line is none of a word: a comment between sentences, or the beginning of a document."""
        if piece.startswith(_DOCUMENT_LINES):
            self.documents += 1
            return True
        # A word may begin with '#' too; then its line has as many cells as the others.
        if not piece.startswith("#") or self.current or self._is_word(piece):
            return False
        self.comments += 1
        self.documents += bool(_DOCUMENT_COMMENTS.match(piece))
        return True

    def _is_word(self, piece: str) -> bool:
        if self.width:
            return len(self._cells(piece)) == self.width and parsed(self._cells(piece)[-1]) is not None
        cells = _BLANKS.split(piece)
        return len(cells) > 1 and cells[0] != "#" and parsed(cells[-1]) is not None

    def _cells(self, piece: str) -> list[str]:
        return piece.split("\t") if self.tabs else _BLANKS.split(piece.strip(" \t"))

    def _word(self, piece: str, line: int) -> None:
        if not self.width:
            self.tabs = "\t" in piece.strip(" \t")
            self.width = len(self._cells(piece))
        cells = self._cells(piece)
        if len(cells) != self.width:
            what = f"has {len(cells)} columns, the first line of the file {self.width}."
            remedy = "Each line is a word with its tag; a blank line ends a sentence."
            self.problems.add("D058", f"{self.file}:{line}", what, remedy)
            cells = [*cells, *[""] * self.width][: self.width]
            cells[-1] = OUTSIDE
        if not self.current:
            self.begin = line
        self.current.append(cells)


def open_conll(name: str, texts: Iterable[str], problems: Problems) -> Opened:
    """A sentence a row: ``tokens``, ``tags``, the other columns by their number, and ``document``.

    :param texts: the whole text, in pieces that end where a line ends.
    :raises UserError: D003 no words.
    """
    reader = _Reader(name, problems)
    blocks = _in_blocks(reader.sentences(texts))
    first = next(blocks, None)
    if first is None:
        raise UserError(Problem("D003", name, "has no words.", "Give a word and its tag on each line."))
    layout = layout_of(first, reader.width)
    notes = [_about(name, layout)] if layout.tags is not None else []
    columns = [*layout.names, DOCUMENT]

    def rest() -> Iterator[Block]:
        for sentences in chain([first], blocks):
            yield _as_block(name, sentences, layout, alone=True)
        if reader.comments:
            lines = "1 line" if reader.comments == 1 else f"{reader.comments:,} lines"
            notes.append(f"{name}: {lines} of comment skipped")

    beginning = _as_block(name, first, layout, alone=False)
    sample = {column: beginning.column(column) for column in columns}
    return Opened(columns, sample, lambda wanted: rest(), notes)


def layout_of(sentences: list[Sentence], width: int) -> Layout:
    """Which columns hold words and tags.

    The tags stand in the last column whose cells are nearly all tags, some of them not O, else in the last;
    the words in the first of the others, behind a column that counts them.
    """
    if width == 1:
        return Layout(0, None, 1)
    could = [place for place in range(width) if _are_tags(sentences, place)]
    some = [place for place in could if any(row[place] != OUTSIDE for one in sentences for row in one.rows)]
    tags = (some or could or [width - 1])[-1]
    others = [place for place in range(width) if place != tags]
    counted = len(others) > 1 and all(
        row[others[0]] == str(number) for one in sentences for number, row in enumerate(one.rows, start=1)
    )
    return Layout(others[1 if counted else 0], tags, width)


def _are_tags(sentences: list[Sentence], place: int) -> bool:
    cells = [row[place] for one in sentences for row in one.rows]
    return sum(is_tag(cell) for cell in cells) >= MOSTLY * len(cells)


def is_tag(cell: str) -> bool:
    """Whether a cell holds a tag."""
    return bool(cell) and parsed(cell) is not None


def holds_words(beginning: str) -> bool:
    """Whether a file of unknown layout is one of this kind: blank lines, lines of as many cells, tags at their end."""
    lines = beginning.replace("\r\n", "\n").split("\n")[:-1]
    full = [line for line in lines if line.strip() and not line.startswith(("#", *_DOCUMENT_LINES))]
    if len(full) < 2 or len(full) == len(lines):
        return False
    cells = [line.split("\t") if "\t" in full[0] else _BLANKS.split(line.strip(" \t")) for line in full]
    tags = sum(is_tag(row[-1]) for row in cells)
    return len(cells[0]) > 1 and len({len(row) for row in cells}) == 1 and tags >= MOSTLY * len(cells)


def _about(name: str, layout: Layout) -> str:
    assert layout.tags is not None
    return (
        f"{name}: read as a word a line, words in column {layout.words + 1} and tags in column "
        f"{layout.tags + 1} of {layout.width}"
    )


def _in_blocks(sentences: Iterator[Sentence]) -> Iterator[list[Sentence]]:
    block: list[Sentence] = []
    words = 0
    for sentence in sentences:
        block.append(sentence)
        words += len(sentence.rows)
        if len(block) >= ROWS_PER_BLOCK or words >= WORDS_PER_BLOCK:
            yield block
            block, words = [], 0
    if block:
        yield block


def _as_block(file: str, sentences: list[Sentence], layout: Layout, alone: bool) -> Block:
    """``alone``: a sentence of no document is one by itself, and not one with all others of its kind."""
    places = {name: place for place, name in enumerate(layout.names)}

    def document(one: Sentence) -> str | None:
        if one.document:
            return f"{file} {one.document}"
        return f"{file}:{one.line}" if alone else None

    def column(name: str) -> list[Any]:
        if name == DOCUMENT:
            return [document(one) for one in sentences]
        return [[row[places[name]] for row in one.rows] for one in sentences]

    return Block([one.line for one in sentences], column)
