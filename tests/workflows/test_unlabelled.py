"""Texts without labels: from the column of the run's own, wherever they lie, and never split."""

from __future__ import annotations

from pathlib import Path

import pytest

from whet.errors import UserError
from whet.workflows import unlabelled


def read(path: Path, column: str | None = "message") -> tuple[list[str], str]:
    return unlabelled.read(str(path), column, lambda *_: None)


def test_the_column_of_the_rows_is_taken_where_there_is_one(tmp_path: Path):
    path = tmp_path / "texts.csv"
    path.write_text("text,message\nshort,where is it\nshort,it was broken\nshort,\n")
    assert read(path) == (["where is it", "it was broken"], "column 'message'")
    assert read(path, "absent") == (["short", "short", "short"], "column 'text'")
    assert read(path, None)[1] == "column 'text'"


def test_few_lines_are_no_error(tmp_path: Path):
    path = tmp_path / "texts.txt"
    path.write_text("where is it\n\nit was broken\n")
    assert read(path) == (["where is it", "it was broken"], "one text on each line")


def test_whatever_its_splits(tmp_path: Path):
    for split in ("train", "test"):
        (tmp_path / f"{split}.csv").write_text(f"message,label\n{split} one,a\n{split} two,b\n")
    assert sorted(read(tmp_path)[0]) == ["test one", "test two", "train one", "train two"]


def test_what_cannot_be_read_is_said(tmp_path: Path):
    with pytest.raises(UserError):
        read(tmp_path / "nowhere.csv")
