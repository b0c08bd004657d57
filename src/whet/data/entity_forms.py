"""What the same words are in different rows: entities of one type or another, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from whet.data.entity_arrays import Words, covered, entities
from whet.data.forms import Examples
from whet.data.ragged import Ints, Spans

Form = tuple[str, ...]
"""The words of an entity, as they stand."""

Inside = list[tuple[int, int, int]]
"""Entities of one row in words: first, behind the last, type as a position in the labels."""

NONE = -1
"""Stands for "no entity" among the types."""


@dataclass(frozen=True, slots=True)
class InWords:
    """The words and the entities of each row of a split, as often as asked for; no entities where none are known."""

    examples: Examples
    labels: Sequence[str] = ()

    def __iter__(self) -> Iterator[tuple[list[str], Inside]]:
        """Block by block: what is held of a whole split is some numbers for each word."""
        words = Words.of(self.examples)
        table = _in_words(words, entities(self.examples, self.labels))
        begin = 0
        for block in self.examples.column_blocks(["text"]):
            texts = block["text"]
            offsets = words.offsets[begin : begin + len(texts) + 1]
            starts, ends = (part[offsets[0] : offsets[-1]].tolist() for part in (words.starts, words.ends))
            found: list[Inside] = [[] for _ in texts]
            first, last = np.searchsorted(table[:, 0], [begin, begin + len(texts)])
            for row, *inside in table[first:last].tolist():
                found[row - begin].append((inside[0], inside[1], inside[2]))
            places = (offsets - offsets[0]).tolist()
            for row, text in enumerate(texts):
                yield [text[starts[n] : ends[n]] for n in range(places[row], places[row + 1])], found[row]
            begin += len(texts)


def _in_words(words: Words, spans: Spans | None) -> Ints:
    """(m, 4): row, first word in it, word behind the last, and type, of the spans that have a known type and words."""
    if spans is None:
        return np.zeros((0, 4), np.int64)
    first, last = covered(words, spans)
    begins = words.offsets[spans.rows]
    table = np.stack([spans.rows, first - begins, last - begins, spans.types], axis=1)
    return table[(last > first) & (spans.types >= 0)]


@dataclass(slots=True)
class Forms:
    """``counts``: how often each form is an entity of each type, and how often none (:data:`NONE`).

    ``lengths``: for each word that begins a form, how many words such forms have, longest first.
    """

    counts: dict[Form, Counter[int]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)

    @staticmethod
    def of(rows: Iterable[tuple[Sequence[str], Inside]]) -> Forms:
        """Count in rows of words, gone through twice; words within another entity say nothing about a form."""
        found = Forms()
        for words, inside in rows:
            for first, last, kind in inside:
                form = tuple(words[first:last])
                found.counts.setdefault(form, Counter())[kind] += 1
        found._index()
        for words, inside in rows:
            within = [False] * len(words)
            for first, last, _ in inside:
                within[first:last] = [True] * (last - first)
            for first, last in found.matches(words):
                if not any(within[first:last]):
                    found.counts[tuple(words[first:last])][NONE] += 1
        return found

    def only(self, kept: set[Form]) -> Forms:
        """The forms in ``kept`` alone."""
        found = Forms({form: count for form, count in self.counts.items() if form in kept})
        found._index()
        return found

    def _index(self) -> None:
        lengths: dict[str, set[int]] = {}
        for form in self.counts:
            lengths.setdefault(form[0], set()).add(len(form))
        self.lengths = {word: sorted(some, reverse=True) for word, some in lengths.items()}

    def matches(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """First word, and word behind the last, of every form that stands in ``words``; they may overlap."""
        for first, word in enumerate(words):
            for length in self.lengths.get(word, ()):
                last = first + length
                if last <= len(words) and tuple(words[first:last]) in self.counts:
                    yield first, last

    def longest(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """The same from left to right, the longest at each place, none across another."""
        behind = 0
        for first, last in self.matches(words):
            if first >= behind:
                yield first, last
                behind = last
