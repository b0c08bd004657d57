"""Spans as files write them, into characters of a text: each in its place, none across another."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple

from whet.data.rows import ABSENT
from whet.data.values import label_name
from whet.errors import Problems

STARTS = ("start", "start_offset", "begin", "start_char", "from")
ENDS = ("end", "end_offset", "stop", "end_char", "to")
LABELS = ("label", "labels", "type", "entity", "entity_group", "entity_type", "tag", "category")
SURFACES = ("text", "word", "surface")
"""Keys of a span that is written as a mapping; its own text, where it has one, is checked."""

WIDENED = "an entity begins or ends within a word: trained on whole words, scored as it stands"
TRIMMED = "blanks at the edges of an entity were taken off"
TWICE = "an entity that stands twice is kept once"
COUNTED = "positions counted in UTF-16 units, as JavaScript does, were turned into characters"
SEVERAL = "annotated more than once, not all alike: the first annotation is taken"

Found = tuple[int, int, str]
"""Start, end (exclusive) and label."""

_NONE: Final[Any] = object()


class Chosen(list[Any]):
    """The spans of one annotation where others of the same row say something else."""


class Written(NamedTuple):
    """One span as it is written: ``surface`` is its own text where it has one."""

    start: int
    end: int
    label: str
    surface: str | None


def listed(value: Any) -> list[Any] | None:
    """The spans of one row as a list: from a list, from JSON in a cell, from a mapping of lists; None if neither."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if isinstance(value, dict):
        if isinstance(value.get("entities"), list):
            return list(value["entities"])
        starts, ends, labels = (_first(value, names) for names in (STARTS, ENDS, LABELS))
        if not all(isinstance(part, list) for part in (starts, ends, labels)):
            return None
        same = len(starts) == len(ends) == len(labels)
        return list(zip(starts, ends, labels, strict=True)) if same else None
    return value if isinstance(value, list) else None


def is_span(item: Any) -> bool:
    """Whether something is written as a span may be."""
    if isinstance(item, dict):
        return all(_first(item, names) is not _NONE for names in (STARTS, ENDS, LABELS))
    return isinstance(item, list | tuple) and len(item) == 3 and all(_whole(part) is not None for part in item[:2])


def _first(item: dict[str, Any], names: Sequence[str]) -> Any:
    return next((item[name] for name in names if name in item), _NONE)


def _whole(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value and abs(value) < 2**31 and float(value).is_integer() else None


def _written(item: Any) -> Written | str:
    """The span, or what is wrong with how it is written."""
    if isinstance(item, dict):
        start, end, label = (_first(item, names) for names in (STARTS, ENDS, LABELS))
        surface = _first(item, SURFACES)
    elif isinstance(item, list | tuple) and len(item) == 3:
        (start, end, label), surface = item, None
    else:
        return f"is {item!r:.60}, neither [start, end, label] nor a mapping"
    places = _whole(start), _whole(end)
    if places[0] is None or places[1] is None:
        return "has no start and end as whole numbers"
    if isinstance(label, list):
        if len(label) != 1:
            return f"has {len(label)} labels"
        label = label[0]
    name = label_name(label) if isinstance(label, str | int | float) else None
    if not isinstance(name, str):
        return "has no label"
    return Written(places[0], places[1], name, surface if isinstance(surface, str) else None)


@dataclass(slots=True)
class RowSpans:
    """The spans of one row. ``words`` (2 W numbers) are the places of its words; ``changes`` says what was changed."""

    text: str
    words: Sequence[int]
    where: str
    problems: Problems
    changes: set[str] = field(default_factory=set)

    def take(self, value: Any) -> list[Found] | None:
        """The spans in order; None where nothing is said of the row. What is wrong becomes a problem."""
        if value is None or value is ABSENT or (isinstance(value, str) and not value.strip()):
            return None
        items = listed(value)
        if items is None:
            remedy = "Write entities as [[start, end, label], ...]."
            self.problems.add("D057", self.where, f"{value!r:.60} is no list of entities.", remedy)
            return []
        if isinstance(value, Chosen):
            self.changes.add(SEVERAL)
        found = [self._one(number, item) for number, item in enumerate(items, start=1)]
        spans = sorted(span for span in found if span is not None)
        if len(set(spans)) < len(spans):
            self.changes.add(TWICE)
            spans = sorted(set(spans))
        for span, behind in pairwise(spans):
            if behind[0] < span[1]:
                what = f"{self._shown(behind)} lies across {self._shown(span)}."
                self.problems.add("D055", self.where, what, "Keep one of them: a character belongs to one entity.")
        self._compare_with_words(spans)
        return spans

    def _one(self, number: int, item: Any) -> Found | None:
        span = _written(item)
        if isinstance(span, str):
            remedy = "Write entities as [start, end, label], or with these three as keys."
            self.problems.add("D057", self.where, f"entity {number} {span}.", remedy)
            return None
        start, end, label, surface = span
        if surface is not None:
            start, end = self._by_surface(number, start, end, surface)
        if not 0 <= start < end <= len(self.text):
            kind = "is empty" if start == end else "ends before it begins"
            if start < end:
                kind = f"lies outside the text, which has {len(self.text):,} characters"
            what = f"entity {number} ({start} to {end}, {label!r}) {kind}."
            self.problems.add("D054", self.where, what, "Positions count characters from 0, ends are exclusive.")
            return None
        return self._trimmed(number, start, end, label)

    def _trimmed(self, number: int, start: int, end: int, label: str) -> Found | None:
        inside = self.text[start:end]
        left, right = len(inside) - len(inside.lstrip()), len(inside.rstrip())
        if not right:
            what = f"entity {number} ({start} to {end}, {label!r}) covers nothing but blanks."
            self.problems.add("D054", self.where, what, "Take it out.")
            return None
        if left or right < len(inside):
            self.changes.add(TRIMMED)
        return start + left, start + right, label

    def _by_surface(self, number: int, start: int, end: int, surface: str) -> tuple[int, int]:
        """The places where the span's own text stands; D056 where it does not."""
        if self._reads(start, end, surface):
            return start, end
        units = list(accumulate((1 + (character > "\uffff") for character in self.text), initial=0))
        first, last = bisect_left(units, start), bisect_left(units, end)
        if self._reads(first, last, surface):
            self.changes.add(COUNTED)
            return first, last
        there = self.text[max(0, start) : max(0, end)]
        remedy = "Ends are exclusive: add 1." if self._reads(start, end + 1, surface) else "Is it of another text?"
        what = f"entity {number} ({start} to {end}) calls itself {surface!r:.40}, but there stands {there!r:.40}."
        self.problems.add("D056", self.where, what, remedy)
        return start, end

    def _reads(self, start: int, end: int, surface: str) -> bool:
        return start >= 0 and "".join(self.text[start:end].split()) == "".join(surface.replace("\\n", "\n").split())

    def _compare_with_words(self, spans: Sequence[Found]) -> None:
        if spans:
            starts, ends = set(self.words[::2]), set(self.words[1::2])
            if not all(start in starts and end in ends for start, end, _ in spans):
                self.changes.add(WIDENED)

    def _shown(self, span: Found) -> str:
        start, end, label = span
        return f"{label!r} {self.text[start:end]!r:.40} ({start} to {end})"
