from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.labelled_reading import read
from tests.data.made import all_rows, csv_bytes, put, refused, rows
from whet.data.decoding import as_it_comes, in_whole_lines
from whet.errors import Problems, UserError


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[start : start + size] for start in range(0, len(content), size)]


@given(st.text(alphabet="aé😀\n\r,", max_size=60), st.integers(1, 9))
def test_text_is_the_same_however_its_bytes_are_cut(text, size):
    chunks = cut(text.encode(), size)
    problems = Problems()
    assert "".join(in_whole_lines(chunks, "utf-8", "a", problems)) == text
    assert "".join(as_it_comes(chunks, "utf-8", "a")) == text
    assert "".join(in_whole_lines(cut(text.encode("utf-16-le"), size), "utf-16-le", "a", problems)) == text
    assert not problems.count


@given(st.text(alphabet="aé\n\r", max_size=60), st.integers(1, 9))
def test_pieces_end_where_lines_end(text, size):
    pieces = list(in_whole_lines(cut(text.encode(), size), "utf-8", "a", Problems()))
    lines = [line for piece in pieces for line in io.StringIO(piece, newline="")]
    assert lines == list(io.StringIO(text, newline=""))


def test_every_broken_line_is_reported_with_its_byte(tmp_path):
    content = b"text,label\nfine,ham\ncaf\xe9,spam\nfine,ham\nna\xefve \xff,spam\n"
    first, second = refused(put(tmp_path, "a.csv", content))
    assert (first.code, first.where) == ("D008", "a.csv:3")
    assert f"byte {content.index(0xE9)} (0xE9)" in first.what
    assert "data.encoding=cp1252 if it should read 'café,spam'" in first.remedy
    assert (second.where, f"byte {content.index(0xEF)} " in second.what) == ("a.csv:5", True)


def test_the_offset_counts_the_byte_order_mark(tmp_path):
    content = b"\xef\xbb\xbftext,label\ncaf\xe9,spam\n"
    assert f"byte {content.index(0xE9)} " in refused(put(tmp_path, "a.csv", content))[0].what


def test_a_broken_byte_in_a_json_document(tmp_path):
    content = b'[{"text": "a",\n "label": "caf\xe9"}]'
    (problem,) = refused(put(tmp_path, "a.json", content))
    assert (problem.code, problem.where) == ("D008", "a.json:2")
    assert f"byte {content.index(0xE9)} " in problem.what


def test_another_encoding_is_read_when_named(tmp_path):
    values = [(f"café {text}", label) for text, label in rows(20)]
    path = put(tmp_path, "a.csv", csv_bytes(values).decode().encode("cp1252"))
    assert sorted(all_rows(read(path, into=tmp_path / "out", encoding="cp1252"))) == sorted(text for text, _ in values)


def test_an_encoding_that_does_not_fit(tmp_path):
    path = put(tmp_path, "a.csv", csv_bytes(rows(5)) + "café,ham\n".encode())
    (problem,) = refused(path, encoding="ascii")
    assert (problem.code, problem.where) == ("D008", "a.csv:7")


@pytest.mark.parametrize("encoding", ["utf8000", "base64", "", "rot13"])
def test_an_encoding_that_is_none(tmp_path, encoding):
    assert refused(put(tmp_path, "a.csv", csv_bytes(rows(5))), encoding=encoding)[0].where == "data.encoding"


def test_a_cut_within_a_character_is_reported_at_its_first_byte():
    with pytest.raises(UserError) as caught:
        list(as_it_comes([b"ab\n\xc3", b"("], "utf-8", "a"))
    assert caught.value.problems[0].where == "a:2"
    assert "byte 3 (0xC3)" in caught.value.problems[0].what
