from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.data.made import csv_bytes, json_lines, problems_of, put, sentence
from whet.data import reading
from whet.data.entities import Entities
from whet.data.file_problems import FileProblems
from whet.data.row_form import RowForm
from whet.data.scored import Scored
from whet.errors import Problems


def refused(path: Path, form: RowForm, **choice: Any) -> list[Any]:
    return problems_of(reading.read, path, into=path.parent / "out", form=form, **choice)


def scored(tmp_path: Path, values: list[str]) -> Path:
    rows = [(sentence(number), value) for number, value in enumerate(values)]
    return put(tmp_path, "rows.csv", csv_bytes(rows, ("text", "label")))


def test_a_column_of_no_numbers_is_one_problem(tmp_path):
    found = refused(scored(tmp_path, ["entailment", "neutral"] * 20), Scored())
    assert [(one.code, one.where) for one in found] == [("D070", "rows.csv")]
    assert found[0].what == (
        "'label' is 'entailment', which is no number. It is the same in all 40 rows (lines 2, 3, 4, 5, 6, ...)."
    )
    assert found[0].remedy == "Write a number there, or name the column of scores with --label if this is not it."


def test_nearly_all_rows_are_counted_and_other_problems_stay(tmp_path):
    found = refused(scored(tmp_path, ["3.5", "nan", *["high"] * 38]), Scored())
    assert [one.code for one in found] == ["D070", "D071"]
    assert "in 38 of 40 rows (lines 4, 5, 6, 7, 8, ...)" in found[0].what and found[1].where == "rows.csv:3"


def test_some_bad_rows_are_told_one_by_one(tmp_path):
    found = refused(scored(tmp_path, [*["3.5", "4"] * 10, *["high"] * 10]), Scored())
    assert [one.where for one in found] == [f"rows.csv:{line}" for line in range(22, 32)]


def test_every_file_is_told_by_itself(tmp_path):
    for split in ("train", "test"):
        put(tmp_path, f"data/{split}.csv", csv_bytes([(sentence(n), "high") for n in range(30)], ("text", "label")))
    assert [one.where for one in refused(tmp_path / "data", Scored())] == ["train.csv", "test.csv"]


def test_tags_that_are_numbers_are_one_problem(tmp_path):
    rows = [{"tokens": ["a", "b"], "tags": [0, 1]}] * 25
    (found,) = refused(put(tmp_path, "rows.jsonl", json_lines(rows)), Entities())
    assert (found.code, found.where) == ("D053", "rows.jsonl")
    assert "'tags'" in found.what and "all 25 rows (lines 1, 2, 3, 4, 5, ...)" in found.what


def test_tags_without_a_letter_are_one_problem(tmp_path):
    content = "\n\n".join(f"word{n} O\nParis city\nNew city\nYork city" for n in range(20)) + "\n"
    (found,) = refused(put(tmp_path, "rows.conll", content.encode()), Entities())
    assert (found.code, found.where) == ("D050", "rows.conll")
    assert "'city'" in found.what and "60 places in 20 rows (lines 2, 3, 4, 7, 8, ...)" in found.what
    assert "B-person" in found.remedy


def test_the_count_of_all_problems_stays():
    problems, to = FileProblems(), Problems()
    for line in range(100):
        problems.add("D070", f"a.csv:{line}", "is no number.")
    problems.hand_over(to, 100)
    assert (to.count, len(to.kept)) == (1, 1)
    problems.hand_over(to, 1000)
    assert (to.count, len(to.kept)) == (101, 20)
