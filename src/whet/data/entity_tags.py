"""Tags of words into entities, and the check of a whole file's tags: which scheme, and what breaks it.

A tag is ``O`` (no entity) or a letter and a type: B begins an entity, I goes on, E ends it, S is one word
alone. Others write M for I, L for E, U or W for S. Entities are read in one way for all schemes, which for
an unbroken file of any scheme is the right way; what is broken shows only when the file is at its end,
since ``I-`` after ``O`` is how IOB1 begins an entity and a mistake in IOB2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from whet.errors import SHOWN_AT_ONCE, Problems

OUTSIDE = "O"
UNTYPED = "entity"
"""The type of tags that are a mere letter: B, I, O."""

ROLES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
"""First letter of a tag -> what it says: begin, inside, end, single."""

EDGE = ""
"""Stands before the first tag of a row and behind the last."""

_TAG = re.compile(r"([BIMELSUW])(?:-(.*\S.*))?", re.DOTALL)

Parsed = tuple[str, str]
"""Role (O, B, I, E, S) and type."""
Pair = tuple[str, str]
"""A tag and the one behind it."""


@lru_cache(maxsize=65536)
def parsed(tag: str) -> Parsed | None:
    """Role and type of a tag; None if it is none."""
    if tag in (OUTSIDE, EDGE):
        return (OUTSIDE, "")
    match = _TAG.fullmatch(tag)
    return None if match is None else (ROLES[match[1]], match[2] or UNTYPED)


def spans_of(tags: Iterable[str]) -> list[tuple[int, int, str]]:
    """Entities of tags that all parse: first word, word behind the last, type."""
    spans: list[tuple[int, int, str]] = []
    start, kind, end = -1, "", -1
    for end, tag in enumerate(tags):
        role, its = parsed(tag) or (OUTSIDE, "")
        if start >= 0 and (role in "OBS" or its != kind):
            spans.append((start, end, kind))
            start = -1
        if role == OUTSIDE:
            continue
        if start < 0:
            start, kind = end, its
        if role in "ES":
            spans.append((start, end + 1, kind))
            start = -1
    if start >= 0:
        spans.append((start, end + 1, kind))
    return spans


@dataclass(slots=True)
class Tally:
    """What stands behind what in the tags of one file, and where; memory grows with the kinds of tags only.

    ``word_lines``: each word has a line of its own, counted from its row's.
    """

    file: str
    word_lines: bool = False
    counts: Counter[Pair] = field(default_factory=Counter)
    places: dict[Pair, list[tuple[int, int]]] = field(default_factory=dict)

    def add(self, tags: Sequence[str], line: int) -> None:
        """The tags of one row, which all parse."""
        pairs = list(zip([EDGE, *tags], [*tags, EDGE], strict=True))
        self.counts.update(pairs)
        for word, pair in enumerate(pairs):
            known = self.places.setdefault(pair, [])
            if len(known) < SHOWN_AT_ONCE:
                known.append((line, word))

    def close(self, problems: Problems) -> str | None:
        """Decide about the scheme, with D051 for every place that breaks it; the scheme in words."""
        if not self.counts:
            return None
        letters = {tag[0] for pair in self.counts for tag in pair if tag}
        if letters & set("ELSUW"):
            self._refuse(self._broken_ends(), _ENDS_REMEDY, problems)
            return f"{self.file}: tags are {_name_of(letters)}, read as the entities they mean"
        begins, inside = self._beginnings()
        begun, gone_on = (sum(self.counts[pair] for pair in pairs) for pairs in (begins, inside))
        if begun and gone_on:
            wrong, right = (inside, "B-") if gone_on <= begun else (begins, "I-")
            often = "once" if max(begun, gone_on) == 1 else f"{max(begun, gone_on):,} times"
            how = f"Elsewhere in the file entities begin with {right} ({often}): write it so."
            self._refuse(wrong, how, problems)
        if gone_on > begun:
            return f"{self.file}: tags are IOB1 (entities begin with I-), read as the entities they mean"
        return f"{self.file}: tags are IOB2 (entities begin with B-)"

    def _beginnings(self) -> tuple[list[Pair], list[Pair]]:
        """Pairs in which B, and in which I, begins an entity that no other of its type stands before."""
        begins: list[Pair] = []
        inside: list[Pair] = []
        for before, tag in self.counts:
            role, kind = _known(tag)
            if role in "BI" and kind != _known(before)[1]:
                (begins if role == "B" else inside).append((before, tag))
        return begins, inside

    def _broken_ends(self) -> list[Pair]:
        """Pairs that no scheme with ends allows: B and I lead to I or E of their type, and nothing else does."""
        broken = []
        for before, tag in self.counts:
            (first, kind), (role, its) = _known(before), _known(tag)
            open_before, goes_on = first in "BI", role in "IE"
            if open_before != goes_on or (goes_on and kind != its):
                broken.append((before, tag))
        return broken

    def _refuse(self, pairs: Sequence[Pair], remedy: str, problems: Problems) -> None:
        places = sorted((line, word, pair) for pair in pairs for line, word in self.places[pair])
        for line, word, (before, tag) in places[:SHOWN_AT_ONCE]:
            where = f"{self.file}:{line + word if self.word_lines else line}"
            here = "" if self.word_lines else f"word {word + 1}: "
            what = f"the row ends within {before!r}" if tag == EDGE else f"{tag!r} follows {_shown(before)}"
            problems.add("D051", where, f"{here}{what}, which breaks the sequence of tags.", remedy)
        problems.count += max(0, sum(self.counts[pair] for pair in pairs) - len(places[:SHOWN_AT_ONCE]))


_ENDS_REMEDY = "With ends marked, an entity is B, I..., E of one type, or a single S."


def _known(tag: str) -> Parsed:
    found = parsed(tag)
    assert found is not None
    return found


def _shown(tag: str) -> str:
    return "nothing (the row begins)" if tag == EDGE else repr(tag)


def _name_of(letters: set[str]) -> str:
    if letters & set("LU"):
        return "BILOU"
    return "BMES" if "M" in letters else "BIOES"
