"""The form of entities: texts with the places of their words, and spans with a type.

Where the data gives words, they are joined by one blank; where it gives a text, its words are found by
:mod:`whet.data.entity_words`. Arrow columns beside the shared ones: ``words``, a flat list of start and end
of each word in characters; ``spans``, a list of {start, end, label}, as they stand in the data.

What users are told when something is wrong:

- D050 a tag that is none, D051 tags in an order that their scheme does not allow, D052 as many tags as words
  are wanted, D053 tags as numbers without their names
- D054 a span that is empty or outside its text, D055 spans that lie across one another, D056 a span whose own
  text is not what stands there
- D057 a value that is neither words, tags nor spans, D058 a line of another width or without its word,
  D059 a row that is no pair of text and entities
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.balance import nearly_alike, prior_shift
from whet.data.columns import Columns
from whet.data.conll_rows import DOCUMENT
from whet.data.entity_arrays import entities, surfaces
from whet.data.entity_columns import as_words, choose_entities
from whet.data.entity_findings import entity_findings
from whet.data.entity_layouts import open_layout
from whet.data.entity_spans import RowSpans
from whet.data.entity_tagging import EMPTY_WORDS, TaggedRows, places_of
from whet.data.entity_tags import OUTSIDE, Tally
from whet.data.entity_words import word_places
from whet.data.forms import Examples, Shape, in_order
from whet.data.normal import hashes
from whet.data.row_form import Choice, RowForm, Taken, Taking
from whet.data.rows import Block, Opened, Told
from whet.data.sources import SourceFile
from whet.data.values import texts
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

SPANS = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("label", pa.string())]))
WORDS = pa.list_(pa.int32())

CHANGED = "A016"
"""Code of ledger entries for rows that are kept, but not as they stand."""

SHOWN = 5


class Entities(RowForm):
    """Rows of :mod:`whet.data.entities`. One object reads one data set: it remembers the tags of the file at hand."""

    name = "entities"
    truth = "spans"
    truth_words = truths_words = "entities"
    label_words = "type"

    def __init__(self) -> None:
        self._tallies: dict[str, Tally] = {}

    def open(self, file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Opened | None:
        """CoNLL, spaCy, Doccano and Label Studio."""
        opened, word_lines = open_layout(file, choice, problems, told)
        return opened and self._watched(opened, Tally(file.name, word_lines), problems)

    def arranged(self, opened: Opened, name: str, choice: Choice, problems: Problems) -> Opened:
        """The same rows; when the last is taken, all their tags are judged together."""
        return self._watched(opened, Tally(name), problems)

    def _watched(self, opened: Opened, tally: Tally, problems: Problems) -> Opened:
        self._tallies[tally.file] = tally
        return replace(opened, blocks=lambda wanted: self._judged(opened, wanted, tally, problems))

    def _judged(self, opened: Opened, wanted: Sequence[str], tally: Tally, problems: Problems) -> Iterator[Block]:
        yield from opened.blocks(wanted)
        note = tally.close(problems)
        if note is not None:
            opened.notes.append(note)

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Words and tags, or text and spans; of CoNLL files the document as group."""
        chosen = choose_entities(columns, sample, where, choice)
        tally = self._tallies.get(where)
        by_words = tally is not None and tally.word_lines and choice.group in (None, "auto")
        if by_words and any(value is not None for value in sample.get(DOCUMENT, ())):
            chosen.reasons["group"] = "sentences of one document belong together"
            return replace(chosen, group=DOCUMENT)
        return chosen

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """``words``, and ``spans`` where entities are known."""
        return Shape((("words", WORDS), *([("spans", SPANS)] if columns.label is not None else [])))

    def take(self, block: Block, taking: Taking) -> Taken:
        """Words with tags, or texts with spans; what is wrong becomes a problem with its line."""
        if taking.columns.tokens is not None:
            return self._take_words(block, taking)
        place = taking.place(block, taking.columns.text)
        found = texts(block.column(taking.columns.text), place, taking.problems)
        words = [word_places(text) for text in found]
        rows: dict[str, list[Any]] = {"text": found, "words": words}
        if taking.columns.label is None:
            return Taken(rows)
        spans: list[Any] = []
        changed: dict[str, list[int]] = {}
        for row, value in enumerate(block.column(taking.columns.label)):
            one = RowSpans(found[row], words[row], place.at(row), taking.problems)
            spans.append(one.take(value))
            for reason in one.changes:
                changed.setdefault(reason, []).append(row)
        return _with_spans(rows, spans, changed)

    def _take_words(self, block: Block, taking: Taking) -> Taken:
        chosen, problems = taking.columns, taking.problems
        assert chosen.tokens is not None
        place = taking.place(block, chosen.tokens)
        rows = TaggedRows(taking, self._tallies[taking.file])
        column = block.column(chosen.tokens)
        tags = block.column(chosen.label) if chosen.label is not None else None
        for row, value in enumerate(column):
            rows.add(block.lines[row], as_words(value), None if tags is None else as_words(tags[row]), tags is not None)
        found = texts([" ".join(words) for words in rows.words], place, problems)
        places = [places_of(words) for words in rows.words]
        columns: dict[str, list[Any]] = {"text": found, "words": places}
        if tags is None:
            return Taken(columns)
        spans = [
            None if row is None else [(places[n][2 * a], places[n][2 * b - 1], label) for a, b, label in row]
            for n, row in enumerate(rows.spans)
        ]
        return _with_spans(columns, spans, {EMPTY_WORDS: rows.emptied})

    def labels(self, train: Examples) -> tuple[str, ...]:
        """All types that occur."""
        return in_order({label for row in surfaces(train) for _, label in row})

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D031 no entity to learn from, D032 types that training lacks."""
        if not labels:
            what = "no row of training has an entity."
            raise UserError(Problem("D031", where, what, "Are these the right tags or spans? Name them with --label."))
        problems = Problems()
        for split, examples in given.items():
            if split != "train":
                for problem in self._unknown(examples, labels):
                    problems.add(problem.code, problem.where, problem.what, problem.remedy)
        problems.raise_if_any()

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:
        """:raises UserError: D032, one problem per type, with lines."""
        found = self._unknown(examples, labels)
        if found:
            raise UserError(found)

    def _unknown(self, examples: Examples, labels: Sequence[str]) -> list[Problem]:
        known, counts = set(labels), Counter[str]()
        places: dict[str, list[str]] = {}
        for number, row in enumerate(surfaces(examples)):
            for label in {label for _, label in row} - known:
                counts[label] += 1
                if len(places.setdefault(label, [])) < SHOWN:
                    places[label].append(examples.place(number))
        found = []
        for label in sorted(counts):
            more = f" and {counts[label] - SHOWN:,} more rows" if counts[label] > SHOWN else ""
            what = f"entities of type {label!r} do not occur in training ({', '.join(places[label])}{more})."
            alike = [name for name in labels if name.strip().lower() == label.strip().lower()]
            remedy = f"Training has {alike[0]!r}: make them the same." if alike else "Add training rows with it."
            found.append(Problem("D032", examples.split, what, remedy))
        return found

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """(n, C): the types that occur in each row."""
        return _presence(examples, labels)

    def counts(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.int64]:
        """Rows in which each type occurs."""
        return np.asarray(_presence(examples, labels).sum(axis=0), np.int64)

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The entities in their order, by their words: places shift where rows differ in punctuation."""
        return hashes(["\n".join(f"{label}\t{words}" for words, label in row) or OUTSIDE for row in surfaces(examples)])

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A008 shift of types between splits, A015 types of nearly one name, A016 to A019."""
        counts = {split: self.counts(examples, labels) for split, examples in splits.items()}
        rows = {split: len(examples) for split, examples in splits.items()}
        shift = prior_shift(labels, counts, rows, multi_label=True)
        return [shift, nearly_alike(labels), *entity_findings(splits, labels)]


def _with_spans(columns: dict[str, list[Any]], spans: Sequence[Any], changed: Mapping[str, Sequence[int]]) -> Taken:
    columns["spans"] = [
        [{"start": start, "end": end, "label": label} for start, end, label in row or ()] for row in spans
    ]
    missing = [number for number, row in enumerate(spans) if row is None]
    return Taken(columns, missing, changed=[(CHANGED, reason, rows) for reason, rows in changed.items()])


def _presence(examples: Examples, labels: Sequence[str]) -> NDArray[np.bool_]:
    found = np.zeros((len(examples), len(labels)), dtype=bool)
    spans = entities(examples, labels)
    if spans is not None:
        known = spans.types >= 0
        found[spans.rows[known], spans.types[known]] = True
    return found
