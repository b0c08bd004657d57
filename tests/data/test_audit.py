from __future__ import annotations

import json

import pytest

from tests.data.labelled_reading import audit, read
from tests.data.made import csv_bytes, put, rows, sentence
from whet.data.audit import load, with_changes
from whet.data.ledger import SplitLedger
from whet.data.lengths import length_finding
from whet.findings import CODES, Finding

CODES_OF_AUDIT = [code for code in CODES if "A" <= code < "A016"]
"""Later ones belong to other forms of rows."""


@pytest.fixture
def found(tmp_path):
    train = [
        *rows(100),
        (sentence(0), "ham"),
        (sentence(1) + "!", "ham"),
        ("", "ham"),
        ("write to a@b.com", "ham"),
        ("card 4111 1111 1111 1111", "spam"),
        ("cafÃ© is here", "spam"),
        *[
            (f"ich habe das nicht und die {word} ist noch da {sentence(n)[:9]}", "ham")
            for n, word in enumerate("abcdef")
        ],
        *[(f"{sentence(n)} and where is it, i have not seen {sentence(n + 7)}", "spam") for n in range(500, 530)],
    ]
    test = [(sentence(n), "spam") for n in range(99, 130)]
    put(tmp_path / "set", "train.csv", csv_bytes(train))
    put(tmp_path / "set", "test.csv", csv_bytes(test))
    data = read(tmp_path / "set", into=tmp_path / "out")
    return data, audit(data)


def by_code(audited):
    return {finding.code: finding for finding in audited.findings}


def test_every_code_once(found):
    _, audited = found
    assert sorted(finding.code for finding in audited.findings) == CODES_OF_AUDIT
    assert all(finding.message for finding in audited.findings)


def test_bins_and_counts(found):
    _, audited = found
    codes = by_code(audited)
    assert {code: finding.bin for code, finding in codes.items()} == {
        "A001": "tip",
        "A002": "tip",
        "A003": "tip",
        "A004": "issue",
        "A005": "issue",
        "A006": "passed",
        "A007": "tip",
        "A008": "issue",
        "A009": "not_applicable",
        "A010": "tip",
        "A011": "issue",
        "A012": "tip",
        "A013": "passed",
        "A014": "tip",
        "A015": "passed",
    }
    assert codes["A001"].evidence["examples"][0]["place"] == "train.csv:104"
    assert codes["A002"].evidence["count"] == codes["A003"].evidence["count"] == 1
    assert codes["A004"].evidence["count"] == 1 == len(audited.leaked)
    assert codes["A005"].evidence["count"] >= 3
    assert codes["A011"].evidence["kinds"] == {"e-mail": 1, "card number": 1}
    assert "German" in codes["A012"].message


def test_examples_point_to_their_lines(found):
    data, audited = found
    codes = by_code(audited)
    (broken,) = codes["A010"].evidence["examples"]
    assert (broken["place"], broken["reads_as"]) == ("train.csv:107", "café is here")
    leak = codes["A004"].evidence["examples"][0]
    assert (leak["place"], leak["repeats"]["place"], leak["label"]) == ("test.csv:2", "train.csv:101", "spam")
    assert data.splits["test"].texts(audited.leaked) == [sentence(99)]


def test_no_secret_leaves_the_audit(found):
    _, audited = found
    everything = json.dumps([finding.to_json() for finding in audited.findings])
    assert "a@b.com" not in everything
    assert "4111" not in everything
    assert "card [card number]" in everything


def test_summary(found):
    data, audited = found
    train = audited.splits["train"]
    assert train["rows"] == len(data.splits["train"]) == sum(train["labels"].values())
    assert audited.splits["test"] == {
        "rows": 31,
        "labels": {"ham": 0, "spam": 31},
        "characters": audited.splits["test"]["characters"],
    }
    lengths = sorted(len(sentence(n)) for n in range(99, 130))
    assert audited.splits["test"]["characters"]["max"] == lengths[-1]
    assert audited.splits["test"]["characters"]["median"] == lengths[15]


def test_there_and_back(found, tmp_path):
    _, audited = found
    audited.save(tmp_path / "audit.json")
    again = load(tmp_path / "audit.json")
    assert (again.splits, again.findings, again.leaked.tolist()) == (
        audited.splits,
        audited.findings,
        audited.leaked.tolist(),
    )


def test_another_room_fills_the_length_in(found):
    _, audited = found
    filled = audited.with_finding(length_finding(0, 10, 0, 100, 256))
    assert by_code(filled)["A009"].bin == "passed"
    assert len(filled.findings) == len(audited.findings)
    more = filled.with_finding(Finding("G001", "passed", "Every answer ends."))
    assert by_code(more)["G001"].message == "Every answer ends." and len(more.findings) == len(filled.findings) + 1


def test_clean_data_passes(tmp_path):
    values = {
        split: [(sentence(n), "xy"[n % 2]) for n in rows_]
        for split, rows_ in (("train", range(100)), ("dev", range(100, 140)), ("test", range(140, 180)))
    }
    for split, part in values.items():
        put(tmp_path / "set", f"{split}.csv", csv_bytes(part))
    said = []
    codes = by_code(audit(read(tmp_path / "set", into=tmp_path / "out"), lambda *what: said.append(what)))
    assert {code for code, finding in codes.items() if finding.bin in ("issue", "tip")} == set()
    assert {stage for stage, _, _ in said} == {"looking for repeats", "looking at texts", "looking at languages"}
    assert all(total is None or done <= total for _, done, total in said)


def test_pairs_and_several_labels(tmp_path):
    lines = [{"premise": sentence(n), "hypothesis": sentence(n + 1), "label": ["a", "b"][: n % 3]} for n in range(60)]
    lines.append({"premise": "me@x.org", "hypothesis": "here", "label": ["a"]})
    path = put(tmp_path, "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
    data = read(path, into=tmp_path / "out")
    audited = audit(data)
    assert sorted(finding.code for finding in audited.findings) == CODES_OF_AUDIT
    (example,) = by_code(audited)["A011"].evidence["examples"]
    assert (example["text"], example["text_pair"]) == ("[e-mail]", "here")


def test_a_change_joins_the_finding_of_its_code():
    passed, issue = Finding("A016", "passed", "Fine."), Finding("A013", "issue", "3 rows had no label.")
    ledger = {"train": SplitLedger(9, 9), "test": SplitLedger(4, 4)}
    ledger["train"].change("A016", "blanks were taken off", "a.csv", [2, 3])
    ledger["test"].change("A016", "blanks were taken off", "b.csv", [7])
    ledger["test"].change("A013", "a negative left out", "b.csv", [8])
    ledger["test"].change("A020", "a place was searched", "b.csv", [9])
    found = {one.code: one for one in with_changes([passed, issue], ledger)}
    assert (found["A016"].bin, found["A016"].place) == ("tip", "train, test")
    assert found["A016"].message == "Kept, but not as they stood: 3 rows: blanks were taken off."
    assert found["A016"].evidence["changed"] == {"blanks were taken off": 3}
    assert found["A013"].bin == "issue" and found["A013"].message.startswith("3 rows had no label. Kept, ")
    assert found["A020"].bin == "tip"
    assert with_changes([passed, issue], {"train": SplitLedger(9, 9)}) == [passed, issue]
