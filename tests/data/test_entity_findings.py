from __future__ import annotations

from pathlib import Path

from tests.data.made import json_lines, put, sentence
from tests.data.made_entities import examples_of
from whet.data.audit import audit
from whet.data.entities import Entities
from whet.data.entity_findings import agreement_finding, novelty_finding, places_finding
from whet.data.reading import read
from whet.findings import CODES

LABELS = ("LOC", "PER")


def test_entities_within_words_are_counted() -> None:
    train = examples_of([("Londoners in Oslo", [(0, 6, "LOC"), (13, 17, "LOC")]), ("Ann", [(0, 3, "PER")])], "train")
    test = examples_of([("Ann", [(1, 3, "PER")]), ("AnnLee", [(0, 3, "PER"), (3, 6, "PER")])])
    found = places_finding({"train": train, "test": test}, LABELS)
    assert (found.code, found.bin) == ("A016", "issue")
    assert found.evidence["count"] == 4
    assert found.evidence["splits"] == {"train": 1, "test": 3}
    assert found.evidence["entities"] == 6
    assert [one["text"] for one in found.evidence["examples"]] == ["Londoners in Oslo", "Ann", "AnnLee"]
    assert "4 of 6 entities (66.7%)" in found.message


def test_entities_of_whole_words_pass() -> None:
    train = examples_of([("Ann in Oslo", [(0, 3, "PER"), (7, 11, "LOC")])], "train")
    assert places_finding({"train": train}, LABELS).bin == "passed"


def test_words_that_are_now_this_now_that() -> None:
    rows = [("May came", [(0, 3, "PER")])] * 3 + [("in May", [])] * 2 + [("Oslo", [(0, 4, "LOC")])] * 4
    found = agreement_finding(examples_of(rows, "train"), LABELS)
    assert (found.code, found.bin) == ("A017", "tip")
    assert found.evidence["count"] == 2
    assert found.evidence["mentions"] == 7
    assert found.evidence["examples"] == [
        {"words": "May", "counts": {"PER": 3, "no entity": 2}, "reads": "PER 3, no entity 2"}
    ]
    assert "2 places in training (29% of its 7 mentions)" in found.message


def test_words_that_stand_but_twice_prove_nothing() -> None:
    rows = [("May came", [(0, 3, "PER")]), ("in May", [])]
    assert agreement_finding(examples_of(rows, "train"), LABELS).bin == "passed"


def test_what_the_test_asks_that_is_new() -> None:
    train = examples_of([("Ann in Oslo", [(0, 3, "PER"), (7, 11, "LOC")])], "train")
    test = examples_of([("ann oslo Rome", [(0, 3, "PER"), (4, 8, "LOC"), (9, 13, "LOC")])])
    found = novelty_finding({"train": train, "validation": train, "test": test})
    assert (found.code, found.bin) == ("A018", "passed")
    assert found.evidence == {
        "training_forms": 2,
        "validation": {"entities": 2, "new": 0},
        "test": {"entities": 3, "new": 1},
    }
    assert "0% of validation, 33% of test" in found.message
    assert novelty_finding({"train": train, "test": train}).bin == "tip"
    assert novelty_finding({"train": train, "test": examples_of([("x", [])])}).bin == "not_applicable"


def test_the_audit_has_them(tmp_path: Path) -> None:
    rows = [
        {"tokens": sentence(n).split(), "tags": ["O", "B-PER", "O", "O", "B-LOC" if n % 2 else "O", "O"]}
        for n in range(40)
    ]
    form = Entities()
    found = read(put(tmp_path, "a.jsonl", json_lines(rows)), into=tmp_path / "out", form=form)
    codes = [finding.code for finding in audit(found, form).findings]
    assert {"A008", "A015", "A016", "A017", "A018"} <= set(codes)
    assert codes == sorted(codes)
    assert all(code in CODES for code in codes)
