from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whet.data import reading
from whet.data.folds import folds
from whet.data.labelled import Labelled
from whet.data.row_form import Choice
from whet.data.suspects import COLUMNS, read_corrections, refuse_precious, separator, write_suspects
from whet.errors import UserError

LABELS = ("card", "late", "refund")
ROWS = [(f"text number {chr(97 + n % 26)}{chr(97 + n // 26)} of {LABELS[n % 3]}", LABELS[n % 3]) for n in range(60)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "label"), *ROWS])
    return path


def row(number: int, corrected: str = "", **more: Any) -> dict[str, Any]:
    """A row of the file of suspects for row ``number`` of the data, whose first stands in line 2."""
    text, label = ROWS[number]
    return {"file": "rows.csv", "line": number + 2, "text": text, "label": label, "corrected": corrected, **more}


def corrections(folder: Path, *rows: dict[str, Any]) -> Path:
    write_suspects(folder / "suspects.csv", rows)
    return folder / "suspects.csv"


def read(data: Path, into: Path, file: Path | None, **choice: Any) -> reading.ReadResult:
    return reading.read(data, into=into, form=Labelled(), choice=Choice(**choice), corrections=file)


def labels_of(found: reading.ReadResult) -> dict[int, Any]:
    return {
        line: label
        for one in found.splits.values()
        for line, label in zip(one.numbers("line").tolist(), one.column("label"), strict=True)
    }


def codes(error: pytest.ExceptionInfo[UserError]) -> list[tuple[str, str]]:
    return [(one.code, one.where) for one in error.value.problems]


def test_what_was_corrected_is_read_back_on_record(data: Path, tmp_path: Path):
    file = corrections(tmp_path, row(0, "refund"), row(1), row(5, "card"))
    plain, found = read(data, tmp_path / "plain", None), read(data, tmp_path / "out", file)
    before, after = labels_of(plain), labels_of(found)
    assert {line: label for line, label in after.items() if before[line] != label} == {2: "refund", 7: "card"}
    assert [note for note in found.notes if note.startswith("labels corrected: 2 (suspects.csv, sha256 ")]
    entry = json.loads((tmp_path / "out" / "ledger.json").read_text())["splits"]["train"]["changed"]
    assert entry == [
        {
            "code": "W007",
            "reason": "label corrected by data.corrections",
            "count": 2,
            "lines": [2, 7],
            "places": ["rows.csv:2", "rows.csv:7"],
        }
    ]
    for split, one in found.splits.items():
        assert len(one) == len(plain.splits[split])
        assert one.numbers("id").tolist() == list(range(len(one)))
    assert not [path.name for path in (tmp_path / "out").iterdir() if "corrected" in path.name]


def test_rows_that_are_so_already_are_counted(data: Path, tmp_path: Path):
    found = read(data, tmp_path / "out", corrections(tmp_path, row(0, "card", label="refund")))
    assert [note for note in found.notes if note.startswith("labels corrected: 0; 1 were so already (")]


def test_a_file_that_a_spreadsheet_wrote(data: Path, tmp_path: Path):
    file = tmp_path / "back.csv"
    with file.open("w", newline="", encoding="utf-8-sig") as sink:
        writer = csv.DictWriter(sink, COLUMNS, delimiter=";", restval="")
        writer.writeheader()
        writer.writerow(row(3, "late"))
    assert labels_of(read(data, tmp_path / "out", file))[5] == "late"


def test_every_mistake_is_told_with_its_line(data: Path, tmp_path: Path):
    file = corrections(
        tmp_path,
        row(0, "refund", text="quite another text"),
        row(1, "refunds"),
        row(2, "late", line=700),
        row(3, "late"),
        row(3, "refund"),
        row(4, "card", label="refund"),
    )
    with pytest.raises(UserError) as error:
        read(data, tmp_path / "out", file)
    assert sorted(codes(error)) == [
        ("D081", "suspects.csv:4"),
        ("D082", "suspects.csv:2"),
        ("D083", "suspects.csv:3"),
        ("D084", "suspects.csv:6"),
        ("D085", "suspects.csv:7"),
    ]
    assert "Did you mean 'refund'?" in str(error.value)


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(UserError, match="D080"):
        read_corrections(tmp_path / "absent.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"D080 other.csv:1"):
        read_corrections(tmp_path / "other.csv")
    (tmp_path / "broken.csv").write_text("file,line,text,label,corrected\nrows.csv,two,x,a,b\n")
    with pytest.raises(UserError, match=r"D081 broken.csv:2"):
        read_corrections(tmp_path / "broken.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="D080"):
        read_corrections(tmp_path / "bytes.csv")


def test_nothing_of_anybodys_is_written_over(tmp_path: Path):
    refuse_precious(tmp_path / "none.csv")
    refuse_precious(corrections(tmp_path, row(1), row(2)))  # which nobody has touched
    with pytest.raises(UserError, match=r"D086 .*holds 1 corrections already"):
        refuse_precious(corrections(tmp_path, row(1), row(2, "b")))
    other = tmp_path / "mine.csv"
    other.write_text("text,label\nhello,a\n", encoding="utf-8")
    with pytest.raises(UserError, match="D086"):
        refuse_precious(other)


def test_several_labels_in_one_cell(tmp_path: Path):
    data = tmp_path / "rows.jsonl"
    rows = [{"text": f"{text} x", "label": sorted({label, LABELS[n % 2]})} for n, (text, label) in enumerate(ROWS)]
    data.write_text("".join(json.dumps(one) + "\n" for one in rows))
    given = {"file": "rows.jsonl", "line": 1, "text": rows[0]["text"], "label": "card"}
    file = corrections(tmp_path, {**given, "corrected": "refund; late"})
    assert labels_of(read(data, tmp_path / "out", file))[1] == ["late", "refund"]
    with pytest.raises(UserError, match=r"D083.*'latte' is no label"):
        read(data, tmp_path / "bad", corrections(tmp_path, {**given, "corrected": "refund; latte"}))


def test_what_parts_labels_stands_in_none():
    assert separator(["a", "b"]) == ";"
    assert separator(["a;b", "c|d"]) == "/"


def test_folds_are_even_and_keep_together_what_belongs_together():
    rng = np.random.default_rng(0)
    gold = rng.choice(4, 200, p=[0.6, 0.25, 0.1, 0.05])
    keys = np.arange(200, dtype=np.uint64)
    keys[100:140] = np.repeat(np.arange(1000, 1010), 4)
    found = folds(gold, keys, 5, seed=3)
    assert np.array_equal(found, folds(gold, keys, 5, seed=3))
    assert not np.array_equal(found, folds(gold, keys, 5, seed=4))
    for key in np.unique(keys):
        assert len(set(found[keys == key].tolist())) == 1
    alone = folds(gold, np.arange(200, dtype=np.uint64), 5, seed=0)
    for label in range(4):
        sizes = np.bincount(alone[gold == label], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert np.ptp(np.bincount(alone, minlength=5)) <= 4
    several = np.stack([gold == label for label in range(4)], 1)
    assert set(folds(several, keys, 5, seed=0).tolist()) == set(range(5))
