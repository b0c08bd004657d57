from __future__ import annotations

import importlib
import os
import re
from pathlib import Path

import pytest

import whet.data
from tests.data.labelled_reading import read
from tests.data.made import (
    all_rows,
    column_of,
    csv_bytes,
    csv_file,
    json_lines,
    problems_of,
    put,
    refused,
    rows,
    sentence,
)
from whet.data.reading import reopen
from whet.files import read_json, sha256


def test_one_file_becomes_three_splits(tmp_path):
    path = csv_file(tmp_path, 400)
    found = read(path, into=tmp_path / "out")
    assert {split: len(examples) for split, examples in found.splits.items()} == {
        "train": 240,
        "validation": 80,
        "test": 80,
    }
    assert sorted(all_rows(found)) == sorted(text for text, _ in rows(400))
    assert (found.labels, found.multi_label) == (("ham", "spam"), False)
    for examples in found.splits.values():
        counts = examples.label_counts(found.labels)
        assert counts[0] == counts[1]
        assert column_of(examples, "line") == sorted(column_of(examples, "line"))
    (facts,) = found.fingerprint
    assert (facts.name, facts.bytes, facts.sha256, facts.rows) == ("rows.csv", path.stat().st_size, sha256(path), 400)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        *("train.arrow", "validation.arrow", "test.arrow", "ledger.json", "fingerprint.json")
    }


def test_reading_again_gives_the_same_bytes(tmp_path):
    path = csv_file(tmp_path, 100)
    read(path, into=tmp_path / "one")
    read(path, into=tmp_path / "two")
    for name in ("train.arrow", "test.arrow", "validation.arrow", "ledger.json", "fingerprint.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_another_seed_sets_other_rows_aside(tmp_path):
    path = csv_file(tmp_path, 100)
    one, two = (read(path, into=tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert column_of(one.splits["test"], "line") != column_of(two.splits["test"], "line")


def test_what_was_read_can_be_opened_again(tmp_path):
    found = read(csv_file(tmp_path, 100), into=tmp_path / "out")
    again = reopen(tmp_path / "out")
    for name in ("labels", "multi_label", "columns", "ledger", "fingerprint", "made", "notes"):
        assert getattr(again, name) == getattr(found, name)
    assert all_rows(again) == all_rows(found)


def test_the_ledger_accounts_for_every_row(tmp_path):
    values = [*rows(100), ("", "ham"), ("  \t", "spam"), ("kept", "ham")]
    found = read(put(tmp_path, "a.csv", csv_bytes(values)), into=tmp_path / "out")
    ledger = read_json(tmp_path / "out" / "ledger.json")["splits"]
    assert sum(entry["read"] for entry in ledger.values()) == 103
    assert sum(entry["kept"] for entry in ledger.values()) == 101 == len(all_rows(found))
    assert ledger["train"]["dropped"] == [
        {"code": "A001", "reason": "empty text", "count": 2, "lines": [102, 103], "places": ["a.csv:102", "a.csv:103"]}
    ]


def folder_of(tmp_path, **splits):
    for name, values in splits.items():
        put(tmp_path / "set", f"{name}.csv", csv_bytes(values))
    return tmp_path / "set"


def test_given_splits_stay_as_they_are(tmp_path):
    folder = folder_of(tmp_path, train=rows(60), dev=rows(10), test=rows(20))
    found = read(folder, into=tmp_path / "out")
    assert [len(examples) for examples in found.splits.values()] == [60, 10, 20]
    assert found.made == ()
    assert column_of(found.splits["test"], "text") == [text for text, _ in rows(20)]


def test_validation_cannot_serve_as_test(tmp_path):
    found = read(folder_of(tmp_path, train=rows(100), valid=rows(10)), into=tmp_path / "out")
    assert [(made.split, made.rows, made.out_of) for made in found.made] == [("test", 20, "train")]
    assert "validation decides when training stops, so it cannot serve as test as well" in found.notes


def test_shards_are_one_split_and_rows_know_their_file(tmp_path):
    for number in range(2):
        part = [(sentence(30 * number + i), "xy"[i % 2]) for i in range(30)]
        put(tmp_path / "set", f"train-{number}.csv", csv_bytes(part))
    found = read(tmp_path / "set", into=tmp_path / "out")
    assert sorted(all_rows(found)) == sorted(sentence(number) for number in range(60))
    train = found.splits["train"]
    assert {train.place(row).split(":")[0] for row in range(len(train))} == {"train-0.csv", "train-1.csv"}
    assert [facts.rows for facts in found.fingerprint] == [30, 30]


def test_files_of_different_formats_make_one_set(tmp_path):
    folder = folder_of(tmp_path, train=rows(60))
    put(folder, "test.jsonl.gz", json_lines([{"label": label, "text": text} for text, label in rows(10)]))
    assert len(read(folder, into=tmp_path / "out").splits["test"]) == 10


def test_problems_of_all_files_come_at_once(tmp_path):
    folder = folder_of(tmp_path, train=[*rows(60), ("short",)], dev=rows(10))
    put(folder, "test.jsonl", b"{\n" + json_lines([{"text": "a"}]))
    put(folder, "dev.csv", b"message,label\na,ham\n")
    found = refused(folder)
    assert {problem.code: problem.where for problem in found} == {
        "D012": "train.csv:62",
        "D022": "dev.csv",
        "D015": "test.jsonl:1",
    } | ({"D022": "test.jsonl"} if found[-1].where == "test.jsonl" else {})


def test_a_label_that_training_lacks(tmp_path):
    test = [*rows(10), ("new", "scam"), ("newer", "scam"), ("alike", "Ham")]
    alike, new = refused(folder_of(tmp_path, train=rows(60), test=test))
    assert (new.code, new.where) == ("D032", "test")
    assert "'scam' does not occur in training (test.csv:12, test.csv:13)" in new.what
    assert alike.remedy == "Training has 'ham': make them the same."


@pytest.mark.parametrize("count", [1, 30])
def test_missing_labels_are_listed(tmp_path, count):
    values = [*rows(40), *[("no label", " ")] * count]
    path = put(tmp_path, "a.csv", csv_bytes(values))
    (problem,) = refused(path)
    assert (problem.code, problem.where) == ("D030", "a.csv")
    assert ("1 row has" if count == 1 else "30 rows have") in problem.what
    assert ("(line 42)" if count == 1 else "42, 43, 44") in problem.what
    assert "data.drop_unlabelled=true" in problem.remedy
    found = read(path, into=tmp_path / "out", drop_unlabelled=True)
    (dropped,) = found.ledger["train"].dropped
    assert (dropped.code, dropped.count, len(dropped.lines)) == ("A013", count, min(count, 20))
    assert len(all_rows(found)) == 40


def test_one_class_only(tmp_path):
    (problem,) = refused(put(tmp_path, "a.csv", csv_bytes(rows(40, ["ham"]))))
    assert (problem.code, "'ham'" in problem.what) == ("D031", True)


def test_no_row_left(tmp_path):
    (problem,) = refused(put(tmp_path, "a.csv", csv_bytes([(" ", "ham")] * 5)))
    assert (problem.code, "none of the 5 rows" in problem.what) == ("D035", True)


def test_too_few_rows(tmp_path):
    assert refused(csv_file(tmp_path, 8))[0].code == "D040"


def test_several_labels_split_at_a_separator(tmp_path):
    values = [(sentence(n), ["a;b", "b", "a; c;", ";"][n % 4]) for n in range(40)]
    found = read(put(tmp_path, "a.csv", csv_bytes(values)), into=tmp_path / "out", label_separator=";")
    assert (found.labels, found.multi_label) == (("a", "b", "c"), True)
    labels = dict(zip(all_rows(found), all_rows(found, "label"), strict=True))
    assert [labels[sentence(n)] for n in range(4)] == [["a", "b"], ["b"], ["a", "c"], []]


def test_lists_of_labels(tmp_path):
    values = [{"text": sentence(n), "label": [["a", 1], [True, "a", "a"], []][n % 3]} for n in range(40)]
    found = read(put(tmp_path, "a.jsonl", json_lines(values)), into=tmp_path / "out")
    assert (found.labels, found.multi_label) == (("1", "a", "true"), True)
    assert ["true", "a"] in all_rows(found, "label")
    (problem,) = refused(put(tmp_path, "b.jsonl", json_lines([*values, {"text": "x", "label": "a"}])))
    assert (problem.code, problem.where) == ("D034", "b.jsonl:41")


def test_one_label_that_some_rows_lack_is_enough_where_rows_carry_several(tmp_path):
    values = [{"text": sentence(n), "label": ["toxic"] if n % 3 else []} for n in range(40)]
    assert read(put(tmp_path, "a.jsonl", json_lines(values)), into=tmp_path / "out").labels == ("toxic",)


def test_pairs(tmp_path):
    values = [(sentence(n), sentence(n + 1), "xy"[n % 2]) for n in range(40)]
    path = put(tmp_path, "a.csv", csv_bytes(values, ("premise", "hypothesis", "label")))
    found = read(path, into=tmp_path / "out")
    train = found.splits["train"]
    assert train.has_pairs
    assert dict(zip(all_rows(found), all_rows(found, "text_pair"), strict=True))[sentence(3)] == sentence(4)
    assert not read(path, into=tmp_path / "one", text="premise", text_pair="none").splits["train"].has_pairs


def test_equal_texts_stay_on_one_side(tmp_path):
    values = [(f"{sentence(n % 50)}{'!' * (n // 50)}", "xy"[n % 2]) for n in range(200)]
    found = read(put(tmp_path, "a.csv", csv_bytes(values)), into=tmp_path / "out")
    sides = [set(examples.hashes.tolist()) for examples in found.splits.values()]
    assert len(set().union(*sides)) == sum(map(len, sides)) == 50


def test_progress_goes_forward_to_the_end(tmp_path):
    said = []
    path = csv_file(tmp_path, 900)
    read(path, into=tmp_path / "out", progress=lambda *what: said.append(what))
    assert said[-1] == ("reading rows.csv", path.stat().st_size, path.stat().st_size)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    assert problems_of(read, csv_file(tmp_path), into=tmp_path / "out" / "data")[0].code == "F002"


def test_a_full_disk(tmp_path, monkeypatch):
    def full(self, *given, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whet.data.forms.ExamplesWriter.write_rows", full)
    assert refused(csv_file(tmp_path))[0].code == "F001"


def test_every_problem_code_is_explained():
    folder = Path(whet.data.__file__).parent
    used = {
        code for path in folder.glob("*.py") for code in re.findall(r'"(D\d{3})"', path.read_text(encoding="utf-8"))
    }
    explained = whet.data.__doc__ or ""
    for place in whet.data.ROW_FORMS.values():
        explained += importlib.import_module(place.partition(":")[0]).__doc__ or ""
    assert used <= spelled_out(explained)
    assert spelled_out(explained) - used <= {"D069", "D078", "D104"}  # said once the tokenizer is known


def spelled_out(text: str) -> set[str]:
    """The codes of a text, in which "D001 to D003" stands for three."""
    found = set(re.findall(r"D\d{3}", text))
    for first, last in re.findall(r"D(\d{3}) to D(\d{3})", text):
        found |= {f"D{number:03}" for number in range(int(first), int(last))}
    return found


def bound(path, form, **choice):
    from whet.data.reading import read as read_form
    from whet.data.row_form import Choice

    (problem,) = problems_of(read_form, path, into=path.parent / "out", form=form, choice=Choice(**choice))
    assert problem.code == "D040"
    return problem


def test_rows_of_one_group_are_named_as_the_cause(tmp_path):
    from whet.data.questions import Questions
    from whet.data.scored import Relevant, Scored

    from .question_rows import many

    made = [(sentence(n), str(n), "Bob") for n in range(30)]
    path = put(tmp_path, "rows.csv", csv_bytes(made, ("text", "score", "who")))
    found = bound(path, Scored(), group="who")
    assert "all 30 rows belong to one group (column 'who')" in found.what and "data.group=none" in found.remedy
    path = put(tmp_path, "questions.jsonl", json_lines(many(30, contexts=2)))
    found = bound(path, Questions())
    assert "all 30 rows belong to 2 groups (rows of one context belong together)" in found.what
    judged = [(sentence(1), sentence(n + 100), str(n % 2)) for n in range(30)]
    path = put(tmp_path, "judged.csv", csv_bytes(judged, ("query", "passage", "relevance")))
    found = bound(path, Relevant())
    assert "all 30 rows hang together by texts that they have in common" in found.what
    assert "data.group" not in found.remedy
    same = [("the same", str(n)) for n in range(30)]
    path = put(tmp_path, "same.csv", csv_bytes(same, ("text", "score")))
    assert "all 30 rows have the same text but for case" in bound(path, Scored()).what
