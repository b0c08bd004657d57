from __future__ import annotations

import json

import pytest

from tests.data.labelled_reading import read
from tests.data.made import all_rows, json_lines, put, refused, rows
from whet.data.json_rows import DECODER
from whet.data.json_window import Window, rows_of

ROWS = [{"text": text, "label": label} for text, label in rows(20)]


def documents() -> dict[str, str]:
    return {
        "compact": json.dumps(ROWS),
        "indented": json.dumps(ROWS, indent=2),
        "under data": json.dumps({"version": 1, "data": ROWS, "more": [1]}),
        "lines": json_lines(ROWS).decode(),
        "escaped": json.dumps(ROWS, ensure_ascii=True, separators=(",", ":")),
    }


@pytest.mark.parametrize("name", documents())
def test_every_shape_of_a_json_file(tmp_path, name):
    found = read(put(tmp_path, "a.json", documents()[name].encode()), into=tmp_path / "out")
    assert sorted(zip(all_rows(found), all_rows(found, "label"), strict=True)) == sorted(rows(20))


def test_what_is_read_is_told(tmp_path):
    found = read(put(tmp_path, "a.json", documents()["under data"].encode()), into=tmp_path / "one")
    assert "a.json: only 'data' is read, not 'version', 'more'" in found.notes
    found = read(put(tmp_path, "b.json", documents()["lines"].encode()), into=tmp_path / "two")
    assert "b.json: read as JSON lines, by its content" in found.notes


def test_the_line_is_that_on_which_a_row_begins(tmp_path):
    found = read(put(tmp_path, "a.json", json.dumps(ROWS, indent=1).encode()), into=tmp_path / "out")
    # "[" is line 1, every row takes four lines
    assert sorted(all_rows(found, "line")) == [2 + 4 * number for number in range(20)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize("name", ["compact", "indented", "under data", "escaped"])
def test_a_document_reads_the_same_however_it_is_cut(name, size):
    text = documents()[name]
    window = Window([text[start : start + size] for start in range(0, len(text), size)], DECODER)
    assert [row for _, row in rows_of(window, "a.json", [])] == ROWS


def test_every_malformed_line_is_reported(tmp_path):
    content = json_lines(ROWS[:3]) + b'{"text": "a", "label": }\n[1]\n"x"\n{"text": "a", "text": "b"}\n{"text": "a"\n'
    found = refused(put(tmp_path, "a.jsonl", content))
    assert [(problem.code, problem.where) for problem in found] == [
        ("D015", "a.jsonl:4"),
        ("D016", "a.jsonl:5"),
        ("D016", "a.jsonl:6"),
        ("D014", "a.jsonl:7"),
        ("D015", "a.jsonl:8"),
    ]


@pytest.mark.parametrize(
    ("content", "code", "where"),
    [
        ('[{"text": "a", "label": "x"},\n{"text" "b"}]', "D015", "a.json:2"),
        ('[{"text": "a", "label": "x"}\n', "D015", "a.json:2"),
        ('[{"text": "a", "label": "x"},\n\n]', "D015", "a.json:3"),
        ('[{"text": "a", "label": "x"}] []', "D015", "a.json:1"),
        ('{"data": [{"text": "a"}] "b": 1}', "D015", "a.json:1"),
        ('{"data": [{"text": "a"}],}', "D015", "a.json:1"),
        ('[{"text": "never closed}]', "D015", "a.json:1"),
        ('{\n"text": ["a"], "label": ["x"]}', "D016", "a.json"),
        ("17", "D016", "a.json"),
        ("[]", "D003", "a.json"),
        ("[1, 2]", "D016", "a.json:1"),
        ("[" * 100_000, "D015", "a.json:1"),
        ('[{"text": ' + "9" * 5000 + "}]", "D015", "a.json:1"),
    ],
)
def test_malformed_documents(tmp_path, content, code, where):
    first = refused(put(tmp_path, "a.json", content.encode()))[0]
    assert (first.code, first.where) == (code, where)


def test_half_a_surrogate_pair_is_no_character(tmp_path):
    content = json_lines(ROWS) + b'{"text": "\\ud83d", "label": "ham"}\n'
    (problem,) = refused(put(tmp_path, "a.jsonl", content))
    assert (problem.code, problem.where) == ("D018", "a.jsonl:21")


def test_numbers_and_truth_become_the_same_strings_in_every_row(tmp_path):
    labels = [1, 1.0, "1", True, "true", False, 2, 2.0, -3, "-3", 1, 2]
    content = json_lines(
        [{"text": f"text number {'abcdefghijkl'[n]}", "label": label} for n, label in enumerate(labels)]
    )
    found = read(put(tmp_path, "a.jsonl", content), into=tmp_path / "out")
    assert found.labels == ("-3", "1", "2", "false", "true")
    assert sorted(all_rows(found, "label")) == sorted(["1"] * 4 + ["true"] * 2 + ["false"] + ["2"] * 3 + ["-3"] * 2)


def test_a_missing_key_is_a_missing_label_and_a_missing_text_a_problem(tmp_path):
    content = json_lines(
        [*ROWS, {"text": "a"}, {"text": "b", "label": None}, {"label": "ham"}, {"text": 5, "label": "ham"}]
    )
    found = refused(put(tmp_path, "a.jsonl", content))
    assert [(problem.code, problem.where) for problem in found] == [
        ("D023", "a.jsonl:23"),
        ("D023", "a.jsonl:24"),
        ("D030", "a.jsonl"),
    ]
    assert "line 21, 22" in found[2].what


@pytest.mark.parametrize("label", ["0.5", "{}", '["x"]'])
def test_what_is_no_label(tmp_path, label):
    content = json_lines(ROWS) + f'{{"text": "a", "label": {label}}}\n'.encode()
    (problem,) = refused(put(tmp_path, "a.jsonl", content))
    assert (problem.code, problem.where) == ("D034" if "[" in label else "D033", "a.jsonl:21")
