"""What the same words are in different rows: entities of one type or another, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from whet.data.entity_arrays import Words, covered, entities
from whet.data.forms import Examples

Form = tuple[str, ...]
"""The words of an entity, as they stand."""

Inside = list[tuple[int, int, int]]
"""Entities of one row in words: first, behind the last, type as a position in the labels."""

NONE = -1
"""Stands for "no entity" among the types."""


def in_words(examples: Examples, labels: Sequence[str]) -> Iterator[tuple[list[str], Inside]]:
    """The words and the entities of each row; none where nothing is known."""
    words = Words.of(examples)
    spans = entities(examples, labels)
    bounds: list[tuple[int, int]] = []
    if spans is not None:
        first, last = covered(words, spans)
        bounds = list(zip(first.tolist(), last.tolist(), strict=True))
    starts, ends, offsets = words.starts.tolist(), words.ends.tolist(), words.offsets.tolist()
    row = 0
    for block in examples.column_blocks(["text"]):
        for text in block["text"]:
            here, behind = offsets[row], offsets[row + 1]
            found: Inside = []
            if spans is not None:
                for number in range(int(spans.offsets[row]), int(spans.offsets[row + 1])):
                    a, b = bounds[number]
                    if a < b and spans.types[number] >= 0:
                        found.append((a - here, b - here, int(spans.types[number])))
            yield [text[starts[n] : ends[n]] for n in range(here, behind)], found
            row += 1


@dataclass(slots=True)
class Forms:
    """``counts``: how often each form is an entity of each type, and how often none (:data:`NONE`).

    ``lengths``: for each word that begins a form, how many words such forms have, longest first.
    """

    counts: dict[Form, Counter[int]] = field(default_factory=dict)
    lengths: dict[str, list[int]] = field(default_factory=dict)

    @staticmethod
    def of(rows: Sequence[tuple[Sequence[str], Inside]]) -> Forms:
        """Count in rows of words; words within another entity say nothing about a form."""
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
                if tuple(words[first : first + length]) in self.counts:
                    yield first, first + length

    def longest(self, words: Sequence[str]) -> Iterator[tuple[int, int]]:
        """The same from left to right, the longest at each place, none across another."""
        behind = 0
        for first, last in self.matches(words):
            if first >= behind:
                yield first, last
                behind = last
