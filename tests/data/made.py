"""Small files and splits for the tests of this room."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.data.labelled_reading import read
from whet.data.forms import Examples, Shape, writing
from whet.data.reading import ReadResult
from whet.errors import Problem, UserError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"

ANIMALS = ("cat", "dog", "owl", "eel", "ant", "bee", "cow", "elk", "fox", "hen")
VERBS = ("sees", "hears", "meets", "likes", "fears", "finds", "helps", "calls", "joins", "leads")


def sentence(number: int) -> str:
    """One of a thousand different sentences."""
    a, b, c = number // 100 % 10, number // 10 % 10, number % 10
    return f"the {ANIMALS[a]} {VERBS[b]} the {ANIMALS[c]} today"


def rows(count: int, labels: Sequence[str] = ("spam", "ham")) -> list[tuple[str, str]]:
    return [(sentence(number), labels[number % len(labels)]) for number in range(count)]


def csv_bytes(
    values: Sequence[Sequence[str]], header: Sequence[str] = ("text", "label"), delimiter: str = ","
) -> bytes:
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter, lineterminator="\n").writerows([header, *values])
    return sink.getvalue().encode()


def json_lines(values: Sequence[Any]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode()


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def csv_file(folder: Path, count: int = 40, name: str = "rows.csv") -> Path:
    return put(folder, name, csv_bytes(rows(count)))


def problems_of(call: Any, *given: Any, **named: Any) -> tuple[Problem, ...]:
    with pytest.raises(UserError) as caught:
        call(*given, **named)
    return caught.value.problems


def refused(path: Path, **named: Any) -> tuple[Problem, ...]:
    """The problems of reading ``path``; nothing may be left behind."""
    into = path.parent / "read here"
    found = problems_of(read, path, into=into, **named)
    assert not into.exists() or list(into.iterdir()) == []
    return found


def all_rows(result: ReadResult, column: str = "text") -> list[Any]:
    return [value for examples in result.splits.values() for value in column_of(examples, column)]


def column_of(examples: Examples, column: str) -> list[Any]:
    return [value for batch in examples.blocks() for value in batch[column].to_pylist()]


def split_of(
    folder: Path, split: str, values: Sequence[tuple[str, Any]], pairs: Sequence[str] | None = None, step: int = 3
) -> Examples:
    """Examples from (text, label), in blocks of ``step`` rows."""
    shape = Shape.labelled_rows(pairs is not None, True, bool(values) and isinstance(values[0][1], list))
    path = folder / f"{split}.arrow"
    with writing(path, shape) as writer:
        for start in range(0, len(values), step):
            part = values[start : start + step]
            lines = range(start + 2, start + 2 + len(part))
            columns = {"text": [text for text, _ in part], "label": [label for _, label in part]}
            if pairs is not None:
                columns["text_pair"] = list(pairs[start : start + step])
            writer.write_rows("made.csv", lines, columns)
    return Examples.open(path, split)


def real(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the real set {name} is not here")
    return path
