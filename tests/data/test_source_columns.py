"""The other columns of a source as parts of its rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from whet.data.source_columns import column_parts, source_columns
from whet.files import sha256

ROWS = [("where is it", "order", "north", 3), ("refund me", "refund", "south", 40), ("hello", "order", "north", 5)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "test.csv"
    lines = [f"{text},{label},{region},{age}" for text, label, region, age in ROWS]
    path.write_text("\n".join(["text,label,region,age", *lines]) + "\n")
    return path


def test_values_come_by_file_and_line(source: Path):
    places = [("test.csv", 4), ("test.csv", 2)]
    known = {"test.csv": sha256(source)}
    found = source_columns(str(source), "utf-8", places, known, {"text", "label"})
    assert found == {"region": ["north", "north"], "age": ["5", "3"]}


def test_a_source_that_is_another_one_says_nothing(source: Path, tmp_path: Path):
    places, known = [("test.csv", 2)], {"test.csv": sha256(source)}
    assert source_columns(str(tmp_path / "gone.csv"), "utf-8", places, known, set()) == {}
    assert source_columns(str(source), "utf-8", [("other.csv", 2)], known, set()) == {}
    source.write_text(source.read_text() + "more,order,west,9\n")
    assert source_columns(str(source), "utf-8", places, known, set()) == {}
    source.write_bytes(b"")
    assert source_columns(str(source), "utf-8", places, {"test.csv": sha256(source)}, set()) == {}


def test_parts_of_columns():
    columns = {
        "region": ["north", "south", "north", None] * 10,
        "age": [str(number) for number in range(40)],
        "comment": [f"text {number}" for number in range(40)],
        "whole": ["same"] * 40,
        "alone": ["once", *["often"] * 39],
    }
    found = column_parts(columns)
    assert found["with region 'north'"].sum() == 20 and found["with region 'south'"].sum() == 10
    assert found["with age of at most 10"].tolist() == [number <= 10 for number in range(40)]
    assert found["with age of 29 or more"].sum() == 11
    assert not any("comment" in name or "whole" in name or "once" in name for name in found)
