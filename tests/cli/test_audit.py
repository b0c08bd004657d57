"""``whet audit`` on small files: its table, its options, and that no change of a row is hidden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data.made import csv_bytes, json_lines, put, sentence

from .calling import Whet


def findings(whet: Whet, *words: str) -> dict[str, Any]:
    answer = whet(["audit", *words, "--json"])
    assert answer.code == 0, answer.err
    found = json.loads(answer.out.splitlines()[-1])["findings"]
    return {one["code"]: one for one in found}


def entities(count: int) -> list[dict[str, Any]]:
    return [{"text": f"Ann {sentence(n)}", "spans": [[0, 3, "PER"]]} for n in range(count)]


def test_labels_that_occur_are_counted_in_each_split(whet: Whet, tmp_path: Path):
    train = [(sentence(n), "abc"[n % 3]) for n in range(60)]
    put(tmp_path, "train.csv", csv_bytes(train))
    put(tmp_path, "test.csv", csv_bytes([(sentence(n + 100), "ab"[n % 2]) for n in range(30)]))
    put(tmp_path, "validation.csv", csv_bytes([(sentence(n + 200), "a") for n in range(30)]))
    lines = whet(["audit", str(tmp_path)]).out.splitlines()
    table = {words[0]: words[1:] for line in lines if len(words := line.split()) == 3}
    assert table["split"] == ["rows", "labels"]
    assert [table[split] for split in ("train", "validation", "test")] == [["60", "3"], ["30", "1"], ["30", "2"]]


def test_rows_without_labels_have_no_such_column(whet: Whet, tmp_path: Path):
    rows = [(sentence(n), str(n)) for n in range(60)]
    path = put(tmp_path, "rows.csv", csv_bytes(rows, ("text", "price")))
    shown = whet(["audit", str(path), "--task", "regression"])
    assert shown.code == 0, shown.err
    assert ["split", "rows"] in [line.split() for line in shown.out.splitlines()]
    assert "labels" not in shown.out.partition("A0")[0]


def test_what_changes_a_row_is_a_finding(whet: Whet, tmp_path: Path):
    rows = entities(40)
    rows[3]["spans"] = [[0, 4, "PER"]]
    rows[5]["spans"] = rows[6]["spans"] = [[0, 3, "PER"], [0, 3, "PER"]]
    found = findings(whet, str(put(tmp_path, "rows.jsonl", json_lines(rows))), "--task", "token-classification")
    finding = found["A016"]
    assert finding["bin"] == "tip"
    assert "1 row: blanks at the edges of an entity were taken off" in finding["message"]
    assert "2 rows: an entity that stands twice is kept once" in finding["message"]
    assert [one["place"] for one in finding["evidence"]["examples"]] == [f"rows.jsonl:{n}" for n in (4, 6, 7)]
    clean = findings(whet, str(put(tmp_path, "b.jsonl", json_lines(entities(40)))), "--task", "token-classification")
    assert clean["A016"]["bin"] == "passed"


def test_a_negative_that_is_the_positive_is_told(whet: Whet, tmp_path: Path):
    rows = [{"anchor": sentence(n), "positive": sentence(n + 100), "negative": sentence(n + 200)} for n in range(40)]
    rows[2]["negative"] = rows[2]["positive"]
    found = findings(whet, str(put(tmp_path, "rows.jsonl", json_lines(rows))), "--task", "sentence-similarity")
    assert found["A013"]["bin"] == "tip"
    assert "1 row: a negative that is the row's own text, left out" in found["A013"]["message"]


def test_one_document_is_named_and_can_be_divided(whet: Whet, tmp_path: Path):
    content = (
        "-DOCSTART- -X- O\n\n"
        + "\n\n".join("Ann B-PER\n" + " O\n".join(sentence(n).split()) + " O" for n in range(30))
        + "\n"
    )
    words = ["audit", str(put(tmp_path, "rows.conll", content.encode())), "--task", "token-classification"]
    refused = whet(words)
    assert refused.code == 2
    assert "D040" in refused.err and "all 30 rows belong to one group (column 'document')" in refused.err
    assert "--set data.group=none" in refused.err
    assert whet([*words, "--set", "data.group=none"]).code == 0
