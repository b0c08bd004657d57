from __future__ import annotations

import gzip
import json

import pytest

from tests.data import chat_rows
from tests.data.chat_rows import noted
from tests.data.made import csv_bytes, json_lines, problems_of, put, real, sentence
from whet.data import reading
from whet.data.audit import audit
from whet.data.documents import Documents
from whet.data.row_form import Choice

TEXTS = [f"{sentence(n)}. Then {sentence(n + 500)}." for n in range(40)]


def one_file(path, **named):
    return chat_rows.one_file(path, Documents(), **named)


def read(path, **named):
    return chat_rows.read(path, Documents(), **named)


def rows_of(key: str, **more) -> bytes:
    return json_lines([{key: text, **more} for text in TEXTS])


LAYOUTS = {
    "lines.txt": ("\n".join(TEXTS).encode(), {}),
    "lines.txt.gz": ("\n".join(TEXTS).encode(), {}),
    "text.jsonl": (rows_of("text", label=1), {}),
    "content.jsonl": (rows_of("content", title="x"), {}),
    "document.json": (json.dumps([{"document": text, "summary": "s"} for text in TEXTS]).encode(), {}),
    "text.csv": (csv_bytes([[text, "x"] for text in TEXTS], ["text", "label"]), {}),
    "any.csv": (csv_bytes([[text, "x"] for text in TEXTS], ["saying", "kind"]), {}),
    "words.jsonl": (json_lines([{"tokens": text.split(" "), "tags": []} for text in TEXTS]), {}),
    "named.jsonl": (rows_of("b", a="another long text that might be meant"), {"text": "b"}),
    "question.jsonl": (rows_of("context", question="Who is it that sees it?", answers={"text": []}), {}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_rows(tmp_path, name):
    content, named = LAYOUTS[name]
    found = one_file(put(tmp_path, name, content), **named)
    assert found.examples.column("text") == TEXTS
    assert found.examples.shape.more == ()
    assert "text" in found.columns.reasons
    assert found.ledger.read == found.ledger.kept == 40


def test_a_text_on_each_line_with_blank_ones_on_record(tmp_path):
    path = put(tmp_path, "a.txt", "One.\r\n\r\n  \r\nTwo – zwei.".encode())
    found = one_file(path)
    assert found.examples.column("text") == ["One.", "Two – zwei."]
    assert found.examples.numbers("line").tolist() == [1, 4]
    assert noted(found.ledger.dropped) == [("A001", "empty text", [2, 3])]
    assert "a.txt: read as a text on each line" in found.notes
    asked = chat_rows.asked(path, Documents()).examples
    assert asked.column("text") == ["One.", "", "  ", "Two – zwei."]


def test_files_named_for_splits_have_a_text_on_each_line(tmp_path):
    for name in ("train.txt", "valid.txt", "test.txt"):
        put(tmp_path / "set", name, "\n".join(TEXTS).encode())
    found = read(tmp_path / "set")
    assert [len(examples) for examples in found.splits.values()] == [40, 40, 40]
    assert found.made == ()


def test_a_folder_of_texts(tmp_path):
    for number, text in enumerate(TEXTS):
        put(tmp_path / "set", f"part {number % 2}/{number:02}.txt", f"{text}\r\n\r\nEnd.\n".encode())
    put(tmp_path / "set", ".hidden/a.txt", b"no")
    put(tmp_path / "set", "empty.txt", b"")
    put(tmp_path / "set", "blank.txt", b" \n")
    put(tmp_path / "set", "packed.txt.gz", b"One more.")
    found = read(tmp_path / "set")
    texts = {text for examples in found.splits.values() for text in examples.column("text")}
    assert texts == {f"{text}\n\nEnd.\n" for text in TEXTS} | {"One more."}
    assert {line for examples in found.splits.values() for line in examples.numbers("line").tolist()} == {1}
    [entry] = [entry for ledger in found.ledger.values() for entry in ledger.dropped]
    assert (entry.code, entry.places) == ("A001", ["blank.txt:1", "empty.txt:1"])
    assert "each of 43 text files is one text" in found.notes[0]
    assert len(found.fingerprint) == 43
    assert audit(found, Documents()).splits["train"]["rows"] == len(found.splits["train"])


def test_folders_named_for_splits(tmp_path):
    for split, numbers in (("train", range(30)), ("dev", range(30, 35)), ("test", range(35, 40))):
        for number in numbers:
            put(tmp_path / "set", f"{split}/{number:02}.txt", TEXTS[number].encode())
    put(tmp_path / "set", "readme.txt", b"About this.")
    found = read(tmp_path / "set")
    assert [examples.column("text") for examples in found.splits.values()] == [TEXTS[:30], TEXTS[30:35], TEXTS[35:]]
    assert "readme.txt" in found.notes[0]
    test = one_file(tmp_path / "set").examples
    assert test.column("text") == TEXTS[35:]
    put(tmp_path / "set", "valid/1.txt", b"x")
    assert problems_of(read, tmp_path / "set")[0].code == "D006"


def test_folders_without_training_and_other_folders(tmp_path):
    put(tmp_path / "one", "test/1.txt", b"x")
    assert problems_of(read, tmp_path / "one")[0].code == "D006"
    put(tmp_path / "two", "train.jsonl", rows_of("text"))
    put(tmp_path / "two", "notes.txt", b"not this")
    put(tmp_path / "two", "train/1.txt", b"nor this")
    assert sum(map(len, read(tmp_path / "two").splits.values())) == 40
    (tmp_path / "three").mkdir()
    assert problems_of(read, tmp_path / "three")[0].code == "D006"
    put(tmp_path / "four", "1.txt", b"\x00\x01\x02" * 50)
    assert problems_of(read, tmp_path / "four")[0].code == "D007"


def test_nothing_but_blank_texts(tmp_path):
    assert problems_of(one_file, put(tmp_path, "a.txt", b"\n \n\n"))[0].code == "D002"
    [problem] = problems_of(one_file, put(tmp_path, "a.jsonl", json_lines([{"text": " "}] * 3)))
    assert problem.code == "D035"
    assert "none of the 3 rows of test has a text." in problem.what


def test_texts_of_one_document_stay_together(tmp_path):
    rows = [{"text": f"{sentence(n)} {n}", "doc_id": n % 15} for n in range(150)]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert found.columns.group == "doc_id"
    sides = [set(examples.column("group")) for examples in found.splits.values()]
    assert sum(map(len, sides)) == 15 == len(set.union(*sides))
    [finding] = Documents().findings(found.splits, ())
    assert (finding.code, finding.bin) == ("A024", "passed")
    assert read(tmp_path / "rows.jsonl", group="none").splits["train"].groups is None
    same = put(tmp_path, "same.jsonl", json_lines([{**row, "doc_id": 1} for row in rows]))
    assert read(same).columns.group is None, "what all share tells nothing apart"


def test_values_that_are_no_text(tmp_path):
    path = put(tmp_path, "rows.jsonl", json_lines([{"text": "a"}, {"text": 7}, {"text": ["a", 1]}, {"body": "b"}]))
    assert [(one.code, one.where) for one in problems_of(one_file, path)] == [
        *(("D023", f"rows.jsonl:{line}") for line in (2, 3, 4))
    ]


def test_what_the_form_says_of_rows(tmp_path):
    form = Documents()
    examples = one_file(put(tmp_path, "a.txt", b"a\nb\n")).examples
    assert form.truths(examples, ()).tolist() == [0, 0]
    assert form.strata(examples, ()).tolist() == [0, 0]
    assert (form.name, form.truth, form.labels(examples), form.counts(examples, ()).size) == ("documents", "", (), 0)


REAL = {
    "tinyshakespeare": (6282, 440, 500),
    "masc_text": (266, 33, 33),
    "pubmed_trials_text": (864, 96, 191),
    "wikitext2": (0, 60, 60),
}


@pytest.mark.parametrize("name", REAL)
def test_real_sets(tmp_path, name):
    folder = real(name)
    if name == "wikitext2":  # it has no training file
        splits = {
            split: one_file_of(folder / f"{split}.jsonl.gz", tmp_path / split) for split in ("validation", "test")
        }
    else:
        found = reading.read(folder, into=tmp_path / "out", form=Documents())
        splits = found.splits
        assert all(not ledger.dropped and not ledger.changed for ledger in found.ledger.values())
    for split, size in zip(("train", "validation", "test"), REAL[name], strict=True):
        if size:
            with gzip.open(folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
                assert splits[split].column("text") == [json.loads(line)["text"] for line in file]
            assert len(splits[split]) == size


def one_file_of(path, into):
    from whet.data import other_reading

    return other_reading.read_for_evaluation(path, into=into, form=Documents(), labels=(), choice=Choice()).examples
