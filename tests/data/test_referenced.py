from __future__ import annotations

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.data import chat_rows
from tests.data.chat_rows import noted
from tests.data.made import csv_bytes, json_lines, problems_of, put, real, sentence
from whet.data import reading
from whet.data.audit import audit
from whet.data.normal import hashes
from whet.data.referenced import Referenced

ROWS = [("A house.", "Ein Haus."), ("A dög.", "Ein Hund.")]
LISTED = [[one] for _, one in ROWS]


def one_file(path, **named):
    return chat_rows.one_file(path, Referenced(), **named)


def read(path, **named):
    return chat_rows.read(path, Referenced(), **named)


def dicts(first: str, second: str) -> bytes:
    return json_lines([{first: one, second: other} for one, other in ROWS])


LAYOUTS = {
    "plain.jsonl": (dicts("source", "target"), {}),
    "short.jsonl": (dicts("src", "tgt"), {}),
    "summary.jsonl": (dicts("document", "summary"), {}),
    "news.jsonl": (dicts("article", "highlights"), {}),
    "talk.jsonl": (dicts("dialogue", "summary"), {}),
    "text.csv": (csv_bytes(ROWS, ["Text", "Summary"]), {}),
    "pair.tsv": (csv_bytes(ROWS, ["source", "target"], "\t"), {}),
    "many.jsonl.gz": (json_lines([{"source": one, "references": [other]} for one, other in ROWS]), {}),
    "nested.jsonl": (json_lines([{"translation": {"en": one, "de": other}} for one, other in ROWS]), {"text": "en"}),
    "languages.csv": (csv_bytes(ROWS, ["en", "de"]), {"label": "de"}),
    "named.csv": (csv_bytes(ROWS, ["from", "to"]), {"text": "from", "label": "to"}),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_rows(tmp_path, name):
    content, named = LAYOUTS[name]
    found = one_file(put(tmp_path, name, content), **named)
    assert found.examples.column("text") == [one for one, _ in ROWS]
    assert found.examples.column("answers") == LISTED
    assert found.examples.shape.more == (("answers", pa.list_(pa.string())),)
    assert {"text", "label"} <= found.columns.reasons.keys()


def test_nested_translations_of_a_binary_file(tmp_path):
    pq.write_table(pa.table({"translation": [{"de": other, "en": one} for one, other in ROWS]}), tmp_path / "a.parquet")
    assert one_file(tmp_path / "a.parquet", text="en", label="de").examples.column("answers") == LISTED
    [problem] = problems_of(one_file, tmp_path / "a.parquet")
    assert problem.code == "D021"
    assert "de, en" in problem.what


def test_several_references(tmp_path):
    rows = [
        {"document": "a", "summary": "one", "references": ["one", "two", " ", None]},
        {"document": "b", "summary": "three", "references": []},
        {"document": "c", "summary": None, "references": ["four"]},
    ]
    found = one_file(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert found.examples.column("answers") == [["one", "two"], ["three"], ["four"]]
    assert noted(found.ledger.changed) == [("A013", "an empty reference, left out", [1])]
    cells = put(
        tmp_path, "rows.csv", csv_bytes([["a", '["one", "two"]'], ["b", "[sic] three"]], ["source", "references"])
    )
    assert one_file(cells).examples.column("answers") == [["one", "two"], ["[sic] three"]]


def test_references_in_test_alone(tmp_path):
    put(
        tmp_path / "set", "train.jsonl", json_lines([{"document": sentence(n), "summary": f"s {n}"} for n in range(30)])
    )
    rows = [{"document": "d", "summary": "s", "references": ["s", "t"]}]
    put(tmp_path / "set", "test.jsonl", json_lines(rows))
    assert read(tmp_path / "set").splits["test"].column("answers") == [["s", "t"]]


def test_missing_references(tmp_path):
    rows = [
        {"source": "a", "target": "b"},
        {"source": "c", "target": " "},
        {"source": "d"},
        {"source": "", "target": "e"},
    ]
    path = put(tmp_path, "rows.jsonl", json_lines(rows))
    [problem] = problems_of(one_file, path)
    assert (problem.code, problem.where) == ("D030", "rows.jsonl")
    assert "2 rows have no reference in column 'target' (line 2, 3)" in problem.what
    found = one_file(path, drop_unlabelled=True)
    assert found.examples.column("text") == ["a"]
    assert noted(found.ledger.dropped) == [("A001", "empty text", [4]), ("A013", "no reference", [2, 3])]


@pytest.mark.parametrize("value", [7, {"a": 1}, [1], [["a"]]])
def test_references_that_are_none(tmp_path, value):
    rows = [{"source": "a", "target": "b"}, {"source": "c", "target": value}]
    [problem] = problems_of(one_file, put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert (problem.code, problem.where) == ("D089", "rows.jsonl:2")


def test_columns_that_are_not_clear(tmp_path):
    path = put(tmp_path, "rows.csv", csv_bytes([["a", "b", "c"]], ["one", "two", "three"]))
    assert problems_of(one_file, path)[0].code == "D021"
    assert problems_of(one_file, path, text="one")[0].code == "D021"
    assert problems_of(one_file, path, text="one", label="one")[0].code == "D021"
    assert problems_of(one_file, path, text="nothing")[0].code == "D020"
    both = put(tmp_path, "both.csv", csv_bytes([["a", "b", "c"]], ["source", "target", "translation"]))
    assert problems_of(one_file, both)[0].code == "D021"


def test_rows_that_only_want_a_text(tmp_path):
    for name, content in (
        ("a.txt", b"one\n\ntwo\n"),
        ("a.jsonl", json_lines([{"de": text} for text in ("one", "", "two")])),
    ):
        found = chat_rows.asked(put(tmp_path, name, content), Referenced()).examples
        assert found.column("text") == ["one", "", "two"]
        assert found.shape.more == ()


def test_documents_stay_together_and_one_reference_teaches_nothing(tmp_path):
    rows = [{"source": sentence(n), "target": f"t {n}", "doc_id": f"d{n % 12}"} for n in range(120)]
    found = read(put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert found.columns.group == "doc_id"
    sides = [set(examples.column("group")) for examples in found.splits.values()]
    assert sum(map(len, sides)) == 12 == len(set.union(*sides))
    by_code = {finding.code: finding for finding in audit(found, Referenced()).findings}
    assert {"A024", "A030", "A031", "A032", "A035"} <= by_code.keys()
    assert by_code["A024"].bin == "passed"
    same = put(tmp_path, "same.jsonl", json_lines([row | {"target": "x"} for row in rows]))
    assert problems_of(read, same)[0].code == "D031"


def test_what_the_form_says_of_rows(tmp_path):
    form = Referenced()
    examples = one_file(put(tmp_path, "rows.jsonl", LAYOUTS["plain.jsonl"][0])).examples
    np.testing.assert_array_equal(form.truths(examples, ()), hashes([one for _, one in ROWS]))
    assert form.strata(examples, ()).tolist() == [0, 0]
    assert (form.name, form.truth, form.labels(examples)) == ("sources", "answers", ())


# --- parallel files -----------------------------------------------------------------------------------------


def parallel(folder, **sides):
    for name, content in sides.items():
        put(folder, name.replace("__", "."), content)
    return folder


def sides(count, start=0):
    numbers = range(start, start + count)
    lines = ("".join(f"{form} {n} {sentence(n)}\n" for n in numbers).encode() for form in ("a house", "ein Haus"))
    return dict(zip(("en", "de"), lines, strict=True))


def test_parallel_files(tmp_path):
    train, test = sides(10_000), sides(40, 20_000)
    folder = parallel(
        tmp_path / "set",
        train__en=train["en"],
        train__de__gz=train["de"],
        val__en=test["en"],
        val__de=test["de"].replace(b"\n", b"\r\n"),
        test_2016__en=test["en"],
        test_2016__de=test["de"],
        readme__md=b"x",
    )
    found = read(folder, text="en", label="de")
    assert found.splits["train"].rows([0, 9_999], "answers") == [
        [f"ein Haus {number} {sentence(number)}"] for number in (0, 9_999)
    ]
    assert found.splits["train"].rows([9_000], "text") == [f"a house 9000 {sentence(9_000)}"]
    assert found.splits["validation"].column("answers") == found.splits["test"].column("answers")
    assert [facts.name for facts in found.fingerprint][:2] == ["train.en", "train.de.gz"]
    assert len(found.fingerprint) == 6
    assert "not used in" in found.notes[0]
    turned = read(folder, label="en")
    assert turned.splits["test"].rows([0], "text") == [f"ein Haus 20000 {sentence(20_000)}"]
    [problem] = problems_of(read, folder)
    assert problem.code == "D021"
    assert "--text" in problem.remedy


def test_sides_that_are_called_source_and_target(tmp_path):
    lines = sides(30)
    folder = parallel(tmp_path / "set", train__source=lines["en"], train__target=lines["de"])
    found = read(folder)
    assert found.splits["train"].column("text")[0].startswith("a house")
    assert [made.split for made in found.made] == ["test", "validation"]


def test_parallel_files_that_do_not_fit(tmp_path):
    lines, fewer = sides(30), sides(25)
    folder = parallel(tmp_path / "one", train__en=lines["en"], train__de=fewer["de"])
    [problem] = problems_of(read, folder, label="de")
    assert (problem.code, problem.where) == ("D089", "train.en:26")
    assert "5 lines more" in problem.what
    alone = parallel(tmp_path / "two", train__en=lines["en"], train__de=lines["de"], test__en=fewer["en"])
    assert problems_of(read, alone, label="de")[0].code == "D006"
    twice = parallel(tmp_path / "three", train__en=lines["en"], train__de=lines["de"], train_2__en=fewer["en"])
    assert problems_of(read, twice, label="de")[0].code == "D006"
    without = parallel(tmp_path / "four", test__en=lines["en"], test__de=lines["de"])
    assert problems_of(read, without, label="de")[0].code == "D006"
    empty = parallel(tmp_path / "five", train__en=lines["en"], train__de=b"")
    assert problems_of(read, empty, label="de")[0].code == "D002"
    tables = parallel(tmp_path / "six", train__en=lines["en"], train__de=lines["de"])
    put(tables, "train.jsonl", json_lines([{"source": sentence(n), "target": f"{n}"} for n in range(30)]))
    assert read(tables).columns.text == "source", "a table is taken before parallel files"


# --- real sets -----------------------------------------------------------------------------------------------

REAL = {
    "dialogsum": ((12460, 500, 500), ("document", "summary")),
    "multi30k_en_de": ((29000, 1014, 1000), ("source", "target")),
}


@pytest.mark.parametrize("name", REAL)
def test_real_sets(tmp_path, name):
    folder, (sizes, (source, target)) = real(name), REAL[name]
    found = reading.read(folder, into=tmp_path / "out", form=Referenced())
    assert tuple(len(found.splits[split]) for split in ("train", "validation", "test")) == sizes
    assert all(not ledger.dropped and not ledger.changed for ledger in found.ledger.values())
    for split in ("validation", "test"):
        with gzip.open(folder / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        assert found.splits[split].column("text") == [row[source] for row in rows]
        expected = [list(dict.fromkeys([row[target], *row.get("references", [])])) for row in rows]
        assert found.splits[split].column("answers") == expected
    if name == "dialogsum":
        assert {len(answers) for answers in found.splits["test"].column("answers")} == {2, 3}
