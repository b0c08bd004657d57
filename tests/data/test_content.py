from __future__ import annotations

import os
import stat

import pyarrow as pa
import pytest

from tests.data.labelled_reading import read
from tests.data.made import all_rows, csv_bytes, csv_file, json_lines, put, refused, rows
from whet.data.content import wide_encoding


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"%PDF-1.4", "PDF"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PAR1xxxx", "Parquet"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"text,label\na\0b,c\n", "byte 12 is zero"),
        (os.urandom(100).replace(b"\0", b"a") + b"\0", "zero"),
    ],
)
@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.csv.gz"])
def test_a_binary_file_is_named_by_its_content(tmp_path, name, content, what):
    (problem,) = refused(put(tmp_path, name, content))
    assert (problem.code, what in problem.what) == ("D007", True)


def test_a_zero_byte_far_into_a_file(tmp_path):
    content = csv_bytes(rows(3000)) + b"a\0b,ham\n"
    (problem,) = refused(put(tmp_path, "a.csv", content))
    assert (problem.code, problem.where) == ("D007", "a.csv:3002")


def test_zstd_and_gzip_are_unpacked(tmp_path):
    content = json_lines([{"text": text, "label": label} for text, label in rows(20)])
    for name, compression in (("a.jsonl.zst", "zstd"), ("a.jsonl.gz", "gzip")):
        with pa.output_stream(str(tmp_path / name), compression=compression) as sink:
            sink.write(content)
        assert len(all_rows(read(tmp_path / name, into=tmp_path / name.replace(".", "")))) == 20


def test_a_compressed_file_cut_short(tmp_path):
    path = csv_file(tmp_path, 900, "a.csv.gz")
    path.write_bytes(path.read_bytes()[:-20])
    (problem,) = refused(path)
    assert (problem.code, "whole gzip" in problem.what) == ("D009", True)


def test_a_plain_file_that_claims_to_be_compressed(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(csv_bytes(rows(20)))
    assert refused(path)[0].code == "D009"


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = csv_file(tmp_path)
    path.chmod(0)
    assert refused(path)[0].code == "D004"


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.arrow"])
def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch, name):
    path = csv_file(tmp_path, name=name)
    known = type(path).open

    def refuse(self, *given, **named):
        if self == path:
            raise PermissionError(13, "Permission denied")
        return known(self, *given, **named)

    monkeypatch.setattr(type(path), "open", refuse)
    (problem,) = refused(path)
    assert (problem.code, "chmod" in problem.remedy) == ("D004", True)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    assert stat.S_ISFIFO((tmp_path / "a.csv").stat().st_mode)
    assert refused(tmp_path / "a.csv")[0].code == "D001"


@pytest.mark.parametrize("change", ["append", "replace", "touch", "delete"])
def test_a_file_that_changes_while_it_is_read(tmp_path, change):
    path = csv_file(tmp_path, 900)
    done = []

    def meddle(stage, at, total):
        if not done and stage == "reading rows.csv":
            done.append(at)
            if change == "append":
                path.write_bytes(path.read_bytes() + b"more,ham\n")
            elif change == "replace":
                put(tmp_path, "new", path.read_bytes()).replace(path)
            elif change == "touch":
                os.utime(path, ns=(1, 1))
            else:
                path.unlink()

    (problem,) = refused(path, progress=meddle)
    assert (problem.code, "changed while it was read" in problem.what) == ("D010", True)


def test_a_change_is_reported_rather_than_what_it_led_to(tmp_path):
    path = csv_file(tmp_path, 900)

    def meddle(stage, at, total):
        with path.open("ab") as file:
            file.write(b"ragged\n")

    assert refused(path, progress=meddle)[0].code == "D010"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_recognised_and_read_when_named(tmp_path, encoding):
    path = put(tmp_path, "a.csv", csv_bytes(rows(20)).decode().encode(encoding))
    (problem,) = refused(path)
    assert problem.code == "D008"
    assert f"data.encoding={wide_encoding(path.read_bytes())}" in problem.remedy
    assert len(all_rows(read(path, into=tmp_path / "out", encoding=encoding))) == 20


def test_ordinary_text_is_in_no_wide_encoding():
    assert wide_encoding("ordinary text, ünïcode".encode()) is None
    assert wide_encoding(b"") is None
