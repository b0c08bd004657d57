"""Reading entities in tests: files of every layout, what was read, and what was refused."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.data.made import json_lines, put
from whet.data.entities import SPANS, WORDS, Entities
from whet.data.entity_words import word_places
from whet.data.forms import Examples, Shape
from whet.data.other_reading import OtherRows, read_for_evaluation, read_unlabelled
from whet.data.reading import ReadResult, read
from whet.data.row_form import Choice
from whet.errors import Problem, UserError

Span = tuple[str, str]
"""The words of an entity and its type."""

SENTENCES = [
    ("Ann Lee lives in Oslo .", "B-PER I-PER O O B-LOC O"),
    ("nothing happened here", "O O O"),
    ("Oslo Rome", "B-LOC B-LOC"),
]
ENTITIES = [[("Ann Lee", "PER"), ("Oslo", "LOC")], [], [("Oslo", "LOC"), ("Rome", "LOC")]]
"""What :data:`SENTENCES` say."""


def sentence_rows() -> list[dict[str, Any]]:
    """:data:`SENTENCES` as rows of tokens and tags."""
    return [{"tokens": words.split(), "tags": tags.split()} for words, tags in SENTENCES]


def taken(path: Path, **named: Any) -> OtherRows:
    """One file read as rows to evaluate on: every row stays where it is, nothing is split off."""
    into = Path(tempfile.mkdtemp(dir=path.parent))
    labels = named.pop("labels", ("LOC", "PER"))
    return read_for_evaluation(path, into=into, form=Entities(), labels=labels, choice=Choice(**named))


def refused(path: Path, **named: Any) -> list[tuple[str, str]]:
    """Code and place of every problem of reading ``path``."""
    return [(problem.code, problem.where) for problem in problems(path, **named)]


def problems(path: Path, **named: Any) -> tuple[Problem, ...]:
    """The problems of reading ``path``."""
    with pytest.raises(UserError) as caught:
        taken(path, **named)
    return caught.value.problems


def trained(folder: Path, rows: Sequence[Any], **named: Any) -> ReadResult:
    """Rows of a data set, split."""
    source = put(folder, "rows.jsonl", json_lines(rows))
    return read(source, into=folder / "out", form=Entities(), choice=Choice(**named))


def unlabelled(path: Path, **named: Any) -> Examples:
    """Rows that only want a prediction."""
    into = Path(tempfile.mkdtemp(dir=path.parent))
    return read_unlabelled(path, into=into, form=Entities(), choice=Choice(**named)).examples


def said(examples: Examples) -> list[list[Span]]:
    """The entities of each row, by their words."""
    rows = zip(examples.column("text"), examples.column("spans"), strict=True)
    return [[(text[span["start"] : span["end"]], span["label"]) for span in spans] for text, spans in rows]


def words_of(examples: Examples) -> list[list[str]]:
    """The words of each row."""
    rows = zip(examples.column("text"), examples.column("words"), strict=True)
    return [[text[a:b] for a, b in zip(places[::2], places[1::2], strict=True)] for text, places in rows]


def examples_of(rows: Sequence[tuple[str, Sequence[tuple[int, int, str]]]], split: str = "test") -> Examples:
    """Texts with spans, in memory; their words are found."""
    columns: dict[str, list[Any]] = {
        "text": [text for text, _ in rows],
        "words": [word_places(text) for text, _ in rows],
        "spans": [[{"start": a, "end": b, "label": label} for a, b, label in spans] for _, spans in rows],
    }
    return Examples.of(columns, Shape((("words", WORDS), ("spans", SPANS))), split)
