from __future__ import annotations

import csv

import pytest

from tests.data.labelled_reading import read
from tests.data.made import all_rows, csv_bytes, put, refused, rows


def test_values_stay_as_they_are(tmp_path):
    """What data-frame readers change: NA, numbers, blanks, leading zeros, line breaks, quotes."""
    special = ["NA", "null", "007", " x ", "1.0", 'say "hi"', "two\nlines", "a,b", "naïve 😀", "True"]
    values = [(text, str(number % 2)) for number, text in enumerate(special)]
    found = read(put(tmp_path, "a.csv", csv_bytes(values)), into=tmp_path / "out")
    assert sorted(all_rows(found)) == sorted(special)
    assert found.labels == ("0", "1")


def test_the_line_of_a_row_is_its_first_line_in_the_file(tmp_path):
    content = b'text,label\n"a\nb\nc",x\nd,y\n\n' + csv_bytes(rows(10))[len("text,label\n") :]
    found = read(put(tmp_path, "a.csv", content), into=tmp_path / "out")
    lines = dict(zip(all_rows(found), all_rows(found, "line"), strict=True))
    assert (lines["a\nb\nc"], lines["d"], lines[rows(1)[0][0]], lines[rows(10)[9][0]]) == (2, 5, 7, 16)
    assert "a.csv: 1 blank lines skipped" in found.notes


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end(tmp_path, ending):
    content = csv_bytes(rows(12)).decode().replace("\n", ending).encode()
    found = read(put(tmp_path, "a.csv", content), into=tmp_path / "out")
    assert sorted(all_rows(found)) == sorted(text for text, _ in rows(12))
    assert sorted(all_rows(found, "line")) == list(range(2, 14))


@pytest.mark.parametrize(("delimiter", "name"), [(";", "semicolon"), ("\t", "tab")])
def test_the_delimiter_is_that_of_the_header(tmp_path, delimiter, name):
    found = read(put(tmp_path, "a.csv", csv_bytes(rows(12), delimiter=delimiter)), into=tmp_path / "out")
    assert f"a.csv: columns are parted by {name}" in found.notes
    assert len(all_rows(found)) == 12


def test_ragged_rows_are_all_reported_with_their_lines(tmp_path):
    content = b"text,label\na,x\nb\nc,y,z\nd,y\n"
    short, long = refused(put(tmp_path, "a.csv", content))
    assert (short.code, short.where, "1 values, fewer than the 2" in short.what) == ("D012", "a.csv:3", True)
    assert (long.code, long.where, "3 values, more than the 2" in long.what) == ("D012", "a.csv:4", True)


def test_many_problems_are_counted_and_the_first_twenty_shown(tmp_path):
    from whet.errors import UserError

    path = put(tmp_path, "a.csv", b"text,label\n" + b"only one\n" * 30_000)
    with pytest.raises(UserError) as caught:
        read(path, into=tmp_path / "out")
    assert (len(caught.value.problems), caught.value.num_problems) == (20, 30_000)
    assert "and 29,980 more" in str(caught.value)


def test_a_quote_never_closed_is_reported_where_it_opens(tmp_path):
    (problem,) = refused(put(tmp_path, "a.csv", b'text,label\na,x\n"b,y\nc,x\n'))
    assert (problem.code, problem.where) == ("D013", "a.csv:3")


def test_a_value_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("whet.data.csv_rows.LONGEST_VALUE", 1000)
    before = csv.field_size_limit()
    problem = refused(put(tmp_path, "a.csv", b'text,label\na,x\n"b,y\n' + b"c,x\n" * 1000))[0]
    assert (problem.code, problem.where, "longer than 1,000" in problem.what) == ("D013", "a.csv:3", True)
    assert csv.field_size_limit() == before


def test_text_behind_a_closing_quote(tmp_path):
    (problem,) = refused(put(tmp_path, "a.csv", b'text,label\n"a" b,x\nc,y\n'))
    assert (problem.code, problem.where) == ("D013", "a.csv:2")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "D002"),
        (b" \n\n", "D002"),
        (b"\xef\xbb\xbf", "D002"),
        (b"text,label", "D003"),
        (b"text,label\n\n", "D003"),
        (b",\na,b\n", "D003"),
        (b"text,text\na,b\n", "D014"),
        (b'"text,label\na,b\n', "D013"),
    ],
)
def test_a_file_without_rows_or_header(tmp_path, content, code):
    assert [problem.code for problem in refused(put(tmp_path, "a.csv", content))] == [code]


def test_an_unnamed_column_is_no_obstacle(tmp_path):
    content = csv_bytes([(str(n), *row) for n, row in enumerate(rows(12))], ("", "text", "label"))
    assert read(put(tmp_path, "a.csv", content), into=tmp_path / "out").columns.wanted == ["text", "label"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path):
    content = b"\xef\xbb\xbf" + csv_bytes(rows(12))
    assert len(all_rows(read(put(tmp_path, "a.csv", content), into=tmp_path / "out"))) == 12


def test_tsv_with_stray_quotes_reads_them_as_text(tmp_path):
    content = b"text\tlabel\n" + b"".join(f'"{text}\t{label}\n'.encode() for text, label in rows(20))
    found = read(put(tmp_path, "a.tsv", content), into=tmp_path / "out")
    assert sorted(all_rows(found)) == sorted(f'"{text}' for text, _ in rows(20))
    assert "a.tsv: quotation marks are read as part of the text" in found.notes


def test_tsv_with_whole_quotes_reads_them_as_quotes(tmp_path):
    content = csv_bytes([(f"a\t{text}", label) for text, label in rows(12)], delimiter="\t")
    found = read(put(tmp_path, "a.tsv", content), into=tmp_path / "out")
    assert "a\t" + rows(1)[0][0] in all_rows(found)
