"""Marks in a text: what was said stands in a box, what is true is underlined, a word behind says how they differ.

Two lines on one text keep borders apart that a single highlight would blur, and neither needs colour:
each tone has a line style and a sign of its own as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

ROOM = 140
"""Characters shown on either side of what matters."""
INSIDE = 200
"""A longer mark is shown from its two ends."""
WORD = 24
"""Characters to go back or on for the border of a word."""
ELLIPSIS = "…"

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mark:
    """Characters ``start`` to ``end`` (exclusive) of a text that were said, or are true.

    ``tone`` chooses the look; ``tag`` are words put behind the mark, "" for none.
    """

    start: int
    end: int
    channel: Literal["said", "true"]
    tone: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text in one look: ``look`` holds class names, ``tags`` are (tone, words) to put behind it."""

    text: str
    look: str = ""
    tags: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Example:
    """A text in pieces, with (name, value) of what is to be known beside it, and where it stands.

    ``question``: what was asked of it; ``what``: the error it is shown for in words; "" where there is none.
    ``nbest``: (answer, probability) of what else was thought of.
    """

    pieces: list[Piece]
    facts: list[tuple[str, str]]
    line: int | None
    question: str = ""
    what: str = ""
    nbest: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Group:
    """Examples of one outcome; ``total`` is how many there are."""

    sign: str
    title: str
    total: int
    examples: list[Example]


def shown_ranges(length: int, focus: Sequence[Mark], room: int = ROOM) -> list[Range]:
    """What to show of a text of ``length`` characters: the surroundings of the marks in ``focus``, in order."""
    wanted = []
    for mark in focus:
        start, end = max(0, min(mark.start, length)), max(0, min(mark.end, length))
        if end - start <= INSIDE:
            wanted.append((start - room, end + room))
        else:
            wanted += [(start - room, start + INSIDE // 2), (end - INSIDE // 2, end + room)]
    if not wanted:
        wanted = [(0, 3 * room)]
    joined: list[Range] = []
    for start, end in sorted((max(0, start), min(length, end)) for start, end in wanted):
        if joined and start <= joined[-1][1] + room // 2:  # a gap this small is not worth a cut
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def whole_words(text: str, ranges: Iterable[Range], marks: Sequence[Mark]) -> list[Range]:
    """The ranges, moved outward to borders of words, without cutting into a short mark."""
    moved: list[Range] = []
    for start, end in ranges:
        for mark in marks:
            if mark.end - mark.start <= INSIDE:
                start = mark.start if mark.start < start < mark.end else start
                end = mark.end if mark.start < end < mark.end else end
        start, end = _back(text, max(0, start)), _on(text, min(len(text), end))
        if moved and start <= moved[-1][1]:
            moved[-1] = (moved[-1][0], max(end, moved[-1][1]))
        else:
            moved.append((start, end))
    return moved


def _back(text: str, at: int) -> int:
    for place in range(at, max(0, at - WORD), -1):
        if place < len(text) and text[place - 1].isspace():
            return place
    return at if at > WORD else 0


def _on(text: str, at: int) -> int:
    for place in range(at, min(len(text), at + WORD)):
        if text[place].isspace():
            return place
    return at if at + WORD < len(text) else len(text)


def pieces(text: str, marks: Sequence[Mark], ranges: Sequence[Range] | None = None) -> list[Piece]:
    """``text`` in pieces of one look each; without ``ranges`` all of it, else with an ellipsis for what is left out.

    Marks that reach beyond the text are cut to it; of several marks of a channel at one place the first counts.
    """
    marks = [Mark(max(0, m.start), min(len(text), m.end), m.channel, m.tone, m.tag) for m in marks]
    marks = sorted((mark for mark in marks if mark.start < mark.end), key=lambda mark: (mark.start, mark.end))
    found: list[Piece] = []
    at = 0
    for start, end in [(0, len(text))] if ranges is None else ranges:
        if start > at:
            found.append(Piece(f"{' ' if at else ''}{ELLIPSIS} "))
        found += _within(text, marks, start, end)
        at = end
    if at < len(text):
        found.append(Piece(f" {ELLIPSIS}"))
    return found


def _within(text: str, marks: Sequence[Mark], start: int, end: int) -> list[Piece]:
    here = [mark for mark in marks if mark.start < end and start < mark.end]
    borders = {start, end} | {at for mark in here for at in (mark.start, mark.end) if start < at < end}
    found = []
    for left, right in pairwise(sorted(borders)):
        over = [mark for mark in here if mark.start <= left and right <= mark.end]
        tags = [(mark.tone, mark.tag) for mark in here if mark.tag and left < min(mark.end, end) <= right]
        found.append(Piece(text[left:right], _look(over, left, right), tags))
    return found


def _look(over: Sequence[Mark], left: int, right: int) -> str:
    names = []
    for channel in ("said", "true"):
        mark = next((mark for mark in over if mark.channel == channel), None)
        if mark is not None:
            names.append(f"{channel} {channel}-{mark.tone}")
            names += [f"{channel}-opens"] if mark.start == left else []
            names += [f"{channel}-closes"] if mark.end == right else []
    return " ".join(names)


def marked_text(text: str, marks: Sequence[Mark], focus: Sequence[Mark], room: int = ROOM) -> list[Piece]:
    """A text with its marks, shortened around those in ``focus``; a short text is shown whole."""
    if len(text) <= 4 * room:
        return pieces(text, marks)
    return pieces(text, marks, whole_words(text, shown_ranges(len(text), focus, room), marks))
