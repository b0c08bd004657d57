from __future__ import annotations

import io

import pytest

from tests.data.labelled_reading import read_for_evaluation, read_unlabelled
from tests.data.made import column_of, csv_bytes, csv_file, json_lines, problems_of, put, rows
from whet.files import sha256


def test_plain_lines_one_text_each(tmp_path):
    path = put(tmp_path, "a.txt", 'first\n\nthird, with comma\r\n"four"\nfünf'.encode())
    found = read_unlabelled(path, into=tmp_path / "out")
    assert column_of(found.examples, "text") == ["first", "", "third, with comma", '"four"', "fünf"]
    assert column_of(found.examples, "line") == [1, 2, 3, 4, 5]
    assert not found.examples.shape.labelled
    assert (found.ledger.read, found.ledger.kept) == (5, 5)
    assert found.fingerprint[0].sha256 == sha256(path)


def test_compressed_lines(tmp_path):
    found = read_unlabelled(put(tmp_path, "a.txt.gz", b"a\nb\n" * 10_000), into=tmp_path / "out")
    assert len(found.examples) == 20_000


def test_standard_input(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("eins\nzwei ü\n".encode())))
    found = read_unlabelled("-", into=tmp_path / "out")
    assert column_of(found.examples, "text") == ["eins", "zwei ü"]
    assert found.examples.place(1) == "standard input:2"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["predict.arrow"]


@pytest.mark.parametrize(
    ("content", "code", "where"),
    [(b"", "D002", None), (b"fine\ncaf\xe9\n", "D008", "standard input:2"), (b"%PDF-1.7", "D007", None)],
)
def test_bad_standard_input(tmp_path, monkeypatch, content, code, where):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    (problem,) = problems_of(read_unlabelled, "-", into=tmp_path / "out")
    assert problem.code == code
    assert where is None or problem.where == where


def test_a_table_without_labels(tmp_path):
    path = put(tmp_path, "a.csv", csv_bytes([("1", "hello there"), ("2", ""), ("3", "bye")], ("id", "message")))
    found = read_unlabelled(path, into=tmp_path / "out")
    assert (found.columns.text, found.columns.label) == ("message", None)
    assert column_of(found.examples, "text") == ["hello there", "", "bye"]


def test_every_row_stays_an_empty_or_null_one_too(tmp_path):
    path = put(tmp_path, "a.jsonl", json_lines([{"text": "a"}, {"text": None}, {"text": " "}]))
    assert column_of(read_unlabelled(path, into=tmp_path / "out").examples, "text") == ["a", "", " "]


def test_pairs_without_labels(tmp_path):
    path = put(tmp_path, "a.csv", csv_bytes([("p", "h")], ("premise", "hypothesis")))
    assert read_unlabelled(path, into=tmp_path / "out").examples.pairs([0]) == ["h"]


def test_the_same_strictness(tmp_path):
    path = put(tmp_path, "a.csv", b"text,other\na,b\nc\n")
    assert problems_of(read_unlabelled, path, into=tmp_path / "out")[0].where == "a.csv:3"
    assert problems_of(read_unlabelled, tmp_path / "gone.txt", into=tmp_path / "out")[0].code == "D001"
    assert "D020" in [problem.code for problem in problems_of(read_unlabelled, path, into=tmp_path / "out", text="txt")]
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_of_splits_is_not_a_file_of_texts(tmp_path):
    csv_file(tmp_path / "set", name="train.csv")
    assert problems_of(read_unlabelled, tmp_path / "set", into=tmp_path / "out")[0].code == "D006"


def test_rows_to_evaluate_on(tmp_path):
    found = read_for_evaluation(csv_file(tmp_path, 10), into=tmp_path / "out", labels=["ham", "spam", "other"])
    assert column_of(found.examples, "label") == [label for _, label in rows(10)]
    assert (found.examples.split, found.examples.path.name) == ("test", "test.arrow")


def test_the_test_split_of_a_folder_is_evaluated_on(tmp_path):
    csv_file(tmp_path / "set", 40, "train.csv")
    missing = problems_of(read_for_evaluation, tmp_path / "set", into=tmp_path / "out", labels=["ham", "spam"])
    assert missing[0].code == "D006"
    csv_file(tmp_path / "set", 10, "test.csv")
    assert len(read_for_evaluation(tmp_path / "set", into=tmp_path / "out", labels=["ham", "spam"]).examples) == 10


def test_one_class_is_enough_to_evaluate_but_unknown_ones_are_not(tmp_path):
    path = put(tmp_path, "a.csv", csv_bytes(rows(10, ["ham"])))
    assert len(read_for_evaluation(path, into=tmp_path / "out", labels=["ham", "spam"]).examples) == 10
    (problem,) = problems_of(read_for_evaluation, path, into=tmp_path / "out", labels=["spam", "eggs"])
    assert (problem.code, "a.csv:2, a.csv:3" in problem.what) == ("D032", True)
