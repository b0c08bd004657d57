"""The form of sources with references: texts, each with one or several that stand for it (translations, summaries).

Columns: ``text`` (the source), ``answers`` (the references; the first is the one that is trained on),
``group``: the document where a column names it. What users are told when something is wrong: D089, and
D030 where a row has no reference.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.answer_findings import (
    Answers,
    answers_of,
    copied_finding,
    groups_finding,
    known_finding,
    length_finding,
    repeated_finding,
)
from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.parallel_files import FORMAT, direction, open_parallel, parallel_files
from whet.data.row_form import Choice, RowForm, Taken, Taking, named
from whet.data.rows import ABSENT, Block, Opened, Told
from whet.data.scored_columns import Look, Names, plain
from whet.data.scored_values import texts_of
from whet.data.sources import Found, SourceFile
from whet.data.values import Place, texts
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

SOURCES: Names = (
    ("source", "src"),
    ("document", "article", "dialogue", "dialog", "report", "passage"),
    ("text", "content", "body", "sentence", "input"),
)
TARGETS: Names = (
    ("target", "tgt", "trg", "translation"),
    ("summary", "summaries", "highlights", "abstract"),
    ("headline", "title", "output", "label"),
)
REFERENCES: Names = (("references", "reference", "refs", "ref"),)
DOCUMENTS: Names = (("document_id", "doc_id", "article_id", "dialogue_id", "dialog_id"),)
NESTED = "translation"
"""A column of ``{"en": ..., "de": ...}``, as many data sets of translations have it."""

_LANGUAGE = re.compile(r"[a-z]{2}([_-][a-z]{2,4})?", re.IGNORECASE)
"""Names of columns that may be languages: of three letters are too many other words."""

EMPTY = "an empty reference, left out"


class Referenced(RowForm):
    """Rows of :mod:`whet.data.referenced`."""

    name = "sources"
    truth = "answers"
    truth_words = "reference"
    truths_words = "references"

    def files(self, folder: Path, choice: Choice) -> Found | None:
        """Two parallel files for each split."""
        return parallel_files(folder, choice)

    def open(self, file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Opened | None:
        """Parallel files."""
        return open_parallel(file, choice.encoding, problems, told) if file.format == FORMAT else None

    def arranged(self, opened: Opened, name: str, choice: Choice, problems: Problems) -> Opened:
        """Translations that are nested stand in columns, further references beside the first."""
        opened = _unnested(opened)
        return _folded(opened, Look(name, opened.columns, opened.sample, choice)) if choice.labelled else opened

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Source and references, by name; the document by name.

        :raises UserError: D020, D021.
        """
        look = Look(where, columns, sample, choice)
        text, label = _sides(look)
        group = None
        if choice.labelled and choice.group in (None, "auto"):
            group = next(iter(look.known(DOCUMENTS, {text})), None)
            if group is not None:
                look.reasons["group"] = f"column {group!r}: its name is a known one for the document of a text"
        return Columns(text, label, None, look.reasons, group=group)

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """``answers`` where references are known."""
        return Shape((("answers", pa.list_(pa.string())),) if columns.label is not None else ())

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand; empty references are left out on record."""
        chosen = taking.columns
        found = texts(block.column(chosen.text), taking.place(block, chosen.text), taking.problems)
        if chosen.label is None:
            return Taken({"text": found})
        place = taking.place(block, chosen.label)
        rows, shortened = list[list[str]](), list[int]()
        for row, value in enumerate(block.column(chosen.label)):
            several = _texts_of(value, row, place, taking.problems)
            full = [text for text in several if text.strip()]
            shortened += [row] * (0 < len(full) < len(several))
            rows.append(list(dict.fromkeys(full)))
        missing = [row for row, several in enumerate(rows) if not several]
        changed = [("A013", EMPTY, shortened)] if shortened else []
        return Taken({"text": found, "answers": rows}, missing, changed=changed)

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D031, all training rows have one reference."""
        train = given["train"]
        if len(train) > 1 and len(np.unique(self.truths(train, labels))) == 1:
            what = "all training rows have the same reference."
            raise UserError(Problem("D031", where, what, "Is --label the right column?"))

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """One: sources are drawn alike."""
        return np.zeros(len(examples), dtype=np.int64)

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The first of the references."""
        return Answers.of(examples).hashes

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A024 documents in several splits, A030 to A032, A035."""
        answers = answers_of(splits)
        return [
            repeated_finding(splits, answers),
            length_finding(splits, answers),
            known_finding(splits, answers),
            copied_finding(splits),
            groups_finding(splits, "A024", "rows", "document"),
        ]


def _texts_of(value: Any, row: int, place: Place, problems: Problems) -> list[str]:
    several = texts_of(value)
    if several is None:
        what = f"{place.column!r} is {value!r:.60}, neither a text nor a list of texts."
        problems.add("D089", place.at(row), what, "Give one reference, or a list of them.")
    found = ["-"] if several is None else several
    return texts(found, Place(place.file, [place.lines[row]] * len(found), place.column), problems)


def _sides(look: Look) -> tuple[str, str | None]:
    """The columns of sources and of references.

    :raises UserError: D020, D021.
    """
    by_user = {part: look.given(part) for part in ("text", "label")}
    languages = [column for column in look.columns if _LANGUAGE.fullmatch(column) and column.lower() != "id"]
    known = look.known(SOURCES, set()) or look.known(TARGETS, set())
    if None in by_user.values() and len(languages) == 2 and not known and look.choice.labelled:
        text, label = direction(languages, look.choice, look.where)
        for part, column in (("text", text), ("label", label)):
            look.reasons.setdefault(part, f"column {column!r}: the other language")
        return text, label
    text = by_user["text"] or look.one("text", "source", SOURCES, {by_user["label"] or ""}) or _only(look)
    if not look.choice.labelled:
        return text, None
    found = by_user["label"] or look.one("label", "reference", (*TARGETS, *REFERENCES), {text})
    if found is None:
        raise look.unclear("label", "reference", [])
    if found == text:
        what = f"one column cannot be source and reference: {text!r}."
        raise UserError(Problem("D021", look.where, what, "Name them with --text and --label."))
    return text, found


def _only(look: Look) -> str:
    if len(look.columns) == 1 and not look.choice.labelled:
        look.reasons["text"] = f"column {look.columns[0]!r}: the only one"
        return look.columns[0]
    raise look.unclear("text", "source", [])


# --- references that stand elsewhere ----------------------------------------------------------------


def _unnested(opened: Opened) -> Opened:
    """A column of ``{"en": ..., "de": ...}`` as a column for each language."""
    column = next((name for name in opened.columns if plain(name) == NESTED), None)
    there = [value for value in opened.sample.get(column or "", ()) if isinstance(value, Mapping)]
    if column is None or not there:
        return opened
    languages = list(dict.fromkeys(str(key) for value in there for key in value if key not in opened.columns))
    part = _Nested(column, languages)
    columns = [*(name for name in opened.columns if name != column), *languages]
    sample = {name: part.column(opened.sample.__getitem__, name) for name in columns}

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        plain_ones = [name for name in wanted if name not in languages]
        for block in opened.blocks([*plain_ones, column]):
            yield part.block(block)

    return Opened(columns, sample, blocks, opened.notes)


@dataclass(frozen=True, slots=True)
class _Nested:
    nested: str
    languages: Sequence[str]

    def block(self, block: Block) -> Block:
        return Block(block.lines, lambda name: self.column(block.column, name))

    def column(self, column: Any, name: str) -> list[Any]:
        if name not in self.languages:
            return list(column(name))
        return [value.get(name, ABSENT) if isinstance(value, Mapping) else value for value in column(self.nested)]


def _folded(opened: Opened, look: Look) -> Opened:
    """The first reference with those that a column of further ones holds behind it."""
    more = next(iter(look.known(REFERENCES, {named(look.choice.label) or ""})), None)
    first = named(look.choice.label) or next(iter(look.known(TARGETS, {named(look.choice.text) or ""})), None)
    if more is None:
        return opened
    if first is None or first not in opened.columns:
        first = more
    fold = _Fold(first, more)
    sample = opened.sample | {first: fold.values(opened.sample.__getitem__)}

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        for block in opened.blocks(list(dict.fromkeys([*wanted, first, more]))):
            yield fold.block(block)

    return Opened(opened.columns, sample, blocks, opened.notes)


@dataclass(frozen=True, slots=True)
class _Fold:
    first: str
    more: str

    def block(self, block: Block) -> Block:
        return Block(block.lines, lambda n: self.values(block.column) if n == self.first else block.column(n))

    def values(self, column: Any) -> list[Any]:
        """All references of each row; what is none is handed on as it is."""
        more = map(_spelled, column(self.more))
        if self.first == self.more:
            return list(more)
        return [_both(one, several) for one, several in zip(column(self.first), more, strict=True)]


def _both(one: Any, several: Any) -> Any:
    first, others = texts_of(one), texts_of(several)
    if first is None or others is None:
        return one if first is None else several
    return [*first, *others]


def _spelled(value: Any) -> Any:
    """A list of texts that is spelled in a cell; any other value as it is."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return found if isinstance(found, list) else value
    return value
