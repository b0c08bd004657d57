"""Scores, and texts that belong together: from files to rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.made import csv_bytes, json_lines, problems_of, put, real, sentence
from whet.data import reading
from whet.data.audit import audit
from whet.data.forms import Examples
from whet.data.other_reading import read_for_evaluation, read_unlabelled
from whet.data.row_form import Choice, RowForm
from whet.data.scored import Relevant, Scored, Similar
from whet.data.scored_checks import bins
from whet.data.scored_values import MOST, numbers
from whet.data.values import Place
from whet.errors import Problems


def read(form: RowForm, path: Path, **choice: Any) -> reading.ReadResult:
    return reading.read(path, into=path.parent / "read here", form=form, choice=Choice(**choice))


def refused(form: RowForm, path: Path, **choice: Any) -> list[tuple[str, str]]:
    found = problems_of(read, form, path, **choice)
    into = path.parent / "read here"
    assert not into.exists() or list(into.iterdir()) == []
    return [(problem.code, problem.where) for problem in found]


def every(found: reading.ReadResult, column: str) -> list[Any]:
    return [value for examples in found.splits.values() for value in examples.column(column)]


def pairs(count: int) -> list[tuple[str, str, str]]:
    return [(sentence(number), sentence(999 - number), f"{number % 6}") for number in range(count)]


SCORED_PAIRS = ("sentence1", "sentence2", "score")


# --- numbers --------------------------------------------------------------------------------------


def test_numbers_are_read_as_files_spell_them():
    values = [1, 2.5, "3", " -4.25 ", "+.5", "6e-1", "7.", None, "", "  "]
    problems = Problems()
    found = numbers(values, Place("a.csv", range(2, 12), "score"), problems)
    assert found == [1.0, 2.5, 3.0, -4.25, 0.5, 0.6, 7.0, None, None, None]
    assert problems.count == 0


@pytest.mark.parametrize(
    ("value", "code"),
    [
        *[(value, "D070") for value in ("high", "1,5", "1_000", "٣", "0x1", [1.0], {}, True, "1 2")],
        *[(value, "D071") for value in (math.nan, math.inf, "NaN", "-inf", "1e999", 10**400, 1e39, "-1e300", 2e15)],
    ],
)
def test_what_is_no_finite_number_is_named_by_line(value, code):
    problems = Problems()
    numbers([1.0, value], Place("a.csv", (2, 3), "score"), problems)
    assert [(one.code, one.where) for one in problems.kept] == [(code, "a.csv:3")]


def test_a_decimal_comma_is_told_from_nonsense():
    problems = Problems()
    numbers(["3,5"], Place("a.csv", (2,), "score"), problems)
    assert "3.5" in problems.kept[0].remedy


def test_the_largest_number_survives_its_square_in_32_bits():
    problems = Problems()
    assert numbers([MOST, -MOST], Place("a.csv", (2, 3), "score"), problems) == [1e15, -1e15]
    assert problems.count == 0
    assert np.isfinite(np.float32(MOST) ** 2 * np.float32(1e8))
    numbers(["1e39"], Place("a.csv", (4,), "price"), problems)
    assert "'price' is '1e39', beyond 1e+15" in problems.kept[0].what


@given(st.floats(-MOST, MOST))
def test_any_number_comes_back_from_a_file(value):
    problems = Problems()
    assert numbers([repr(value), value], Place("a", (1, 2), "s"), problems) == [value, value]
    assert problems.count == 0


# --- similarity -----------------------------------------------------------------------------------


def test_pairs_with_a_score(tmp_path):
    found = read(Similar(), put(tmp_path, "rows.csv", csv_bytes(pairs(60), SCORED_PAIRS)))
    assert found.columns.wanted == ["sentence1", "sentence2", "score"]
    assert "known pair" in found.columns.reasons["text"] and "score" in found.columns.reasons["label"]
    rows = set(zip(every(found, "text"), every(found, "text_pair"), every(found, "score"), strict=True))
    assert rows == {(one, other, float(score)) for one, other, score in pairs(60)}
    assert found.labels == () and found.form == "similar" and not found.multi_label


def test_made_splits_are_balanced_by_score(tmp_path):
    scores = np.random.default_rng(3).gamma(2.0, size=400)
    rows = [(sentence(number), sentence(999 - number), f"{score:.6f}") for number, score in enumerate(scores)]
    found = read(Similar(), put(tmp_path, "rows.csv", csv_bytes(rows, SCORED_PAIRS)))
    for examples in found.splits.values():
        share = np.mean(np.asarray(examples.column("score")) > np.quantile(scores, 0.9))
        assert share == pytest.approx(0.1, abs=0.015)


def test_pairs_that_belong_together_with_negatives(tmp_path):
    values = [
        {"anchor": sentence(n), "positive": sentence(n + 100), "negative": [sentence(n + 200), sentence(n + 300)]}
        for n in range(40)
    ]
    values[1]["negative"] = [values[1]["positive"], " ", sentence(500), sentence(500)]
    values[2]["negative"] = None
    values[3]["negative"] = sentence(600)
    found = read(Similar(), put(tmp_path, "rows.jsonl", json_lines(values)))
    assert found.columns.wanted == ["anchor", "positive", "negative"] and found.columns.label is None
    by_anchor = dict(zip(every(found, "text"), every(found, "negative"), strict=True))
    assert by_anchor[sentence(0)] == [sentence(200), sentence(300)]
    assert by_anchor[sentence(1)] == [sentence(500)]
    assert by_anchor[sentence(2)] == [] and by_anchor[sentence(3)] == [sentence(600)]
    changed = {entry.reason: entry.places for entry in found.ledger["train"].changed}
    assert changed == {
        "an empty negative, left out": ["rows.jsonl:2"],
        "a negative that is the row's own text, left out": ["rows.jsonl:2"],
    }


def test_rows_that_share_a_text_stay_on_one_side(tmp_path):
    draw = np.random.default_rng(5)
    rows = [(sentence(n // 3), sentence(500 + (n // 3 if draw.random() < 0.7 else n))) for n in range(240)]
    found = read(Similar(), put(tmp_path, "rows.csv", csv_bytes(rows, ("anchor", "positive"))))
    for column in ("text", "text_pair"):
        sides = [set(examples.column(column)) for examples in found.splits.values()]
        assert not sides[0] & sides[1] and not sides[0] & sides[2] and not sides[1] & sides[2]


def test_a_label_column_of_classes_gives_way_to_the_score(tmp_path):
    rows = [(one, other, "entailment", score) for one, other, score in pairs(40)]
    path = put(tmp_path, "rows.csv", csv_bytes(rows, ("sentence1", "sentence2", "label", "score")))
    assert read(Similar(), path).columns.label == "score"


def test_no_score_column_means_that_texts_belong_together(tmp_path):
    path = put(tmp_path, "rows.csv", csv_bytes([row[:2] for row in pairs(40)], SCORED_PAIRS[:2]))
    found = read(Similar(), path)
    assert found.columns.label is None and "belong together" in found.columns.reasons["label"]


def test_label_none_leaves_scores_out(tmp_path):
    found = read(Similar(), put(tmp_path, "rows.csv", csv_bytes(pairs(40), SCORED_PAIRS)), label="none")
    assert found.columns.label is None and not found.splits["train"].shape.has("score")


def test_columns_are_found_by_content(tmp_path):
    rows = [(str(n), *row) for n, row in enumerate(pairs(40))]
    path = put(tmp_path, "rows.csv", csv_bytes(rows, ("id", "left", "right", "closeness")))
    found = read(Similar(), path).columns
    assert (found.text, found.text_pair, found.label) == ("left", "right", "closeness")
    assert found.reasons["label"].endswith("the only one of numbers")


@pytest.mark.parametrize(
    ("titles", "choice", "code"),
    [
        (("left", "right", "third", "score"), {}, "D021"),
        (("left", "right", "third", "score"), {"text": "left"}, "D021"),
        (("sentence1", "sentence2", "closeness", "weight"), {}, "D021"),
        (("sentence1", "sentence2", "negative_1", "negative_2"), {"negative": "nix"}, "D020"),
        (("anchor", "positive", "negative_1", "negative_2"), {}, "D021"),
        (("sentence1", "sentence2", "other", "score"), {"label": "scores"}, "D020"),
        (("left", "right", "other", "score"), {"text": "left", "text_pair": "left"}, "D021"),
    ],
)
def test_unclear_columns_are_a_question(tmp_path, titles, choice, code):
    third = [sentence(n + 300) for n in range(40)] if titles[2] in ("third", "other") else ["1.5"] * 40
    rows = [(*row[:2], extra, row[2]) for row, extra in zip(pairs(40), third, strict=True)]
    assert refused(Similar(), put(tmp_path, "rows.csv", csv_bytes(rows, titles)), **choice)[0][0] == code


def test_every_bad_score_is_told_at_once(tmp_path):
    rows = pairs(30)
    rows[4] = (*rows[4][:2], "good")
    rows[9] = (*rows[9][:2], "nan")
    path = put(tmp_path, "rows.csv", csv_bytes(rows, SCORED_PAIRS))
    assert refused(Similar(), path) == [("D070", "rows.csv:6"), ("D071", "rows.csv:11")]


def test_a_missing_score_is_refused_or_left_out_on_record(tmp_path):
    rows = pairs(30)
    rows[4] = (*rows[4][:2], "")
    path = put(tmp_path, "rows.csv", csv_bytes(rows, SCORED_PAIRS))
    assert refused(Similar(), path) == [("D030", "rows.csv")]
    found = read(Similar(), path, drop_unlabelled=True)
    assert [(entry.reason, entry.places) for entry in found.ledger["train"].dropped] == [("no score", ["rows.csv:6"])]


@pytest.mark.parametrize("form", [Similar(), Scored()])
def test_one_score_for_all_teaches_nothing(tmp_path, form):
    rows = [(*row[:2], "2.0") for row in pairs(30)]
    assert refused(form, put(tmp_path, "rows.csv", csv_bytes(rows, SCORED_PAIRS))) == [
        ("D073", str(tmp_path / "rows.csv"))
    ]


def test_one_positive_for_all_teaches_nothing(tmp_path):
    rows = [(row[0], "the same") for row in pairs(30)]
    assert refused(Similar(), put(tmp_path, "rows.csv", csv_bytes(rows, ("anchor", "positive"))))[0][0] == "D073"


def test_a_negative_that_is_no_text(tmp_path):
    values = [{"anchor": sentence(n), "positive": sentence(n + 100), "negative": sentence(n + 200)} for n in range(30)]
    values[7]["negative"] = {"text": "no"}
    values[8]["negative"] = [1]
    path = put(tmp_path, "rows.jsonl", json_lines(values))
    assert refused(Similar(), path) == [("D076", "rows.jsonl:8"), ("D076", "rows.jsonl:9")]


def test_scores_beyond_training_and_their_shift_are_findings(tmp_path):
    rows = pairs(60)
    put(tmp_path, "data/train.csv", csv_bytes(rows, SCORED_PAIRS))
    test = [(*row[:2], str(float(row[2]) + 3)) for row in pairs(60)]
    put(tmp_path, "data/test.csv", csv_bytes(test, SCORED_PAIRS))
    found = reading.read(tmp_path / "data", into=tmp_path / "out", form=Similar())
    findings = {finding.code: finding for finding in audit(found, Similar()).findings}
    assert findings["A026"].bin == "issue" and findings["A026"].evidence["splits"] == {"test": 30}
    assert findings["A026"].evidence["examples"][0] == {"split": "test", "place": "test.csv:5", "score": 6.0}
    assert findings["A027"].bin == "issue"
    assert findings["A027"].evidence["test"]["distance"] == pytest.approx(0.5, abs=0.06)
    assert not {"A006", "A007", "A008", "A015"} & findings.keys()


def test_a_single_text_a_line_is_refused(tmp_path):
    path = put(tmp_path, "lines.txt", b"one text\nanother\n")
    found = problems_of(read_unlabelled, path, into=tmp_path / "out", form=Similar())
    assert found[0].code == "D077"


def test_rows_that_want_a_prediction_need_no_score(tmp_path):
    path = put(tmp_path, "rows.csv", csv_bytes(pairs(12), SCORED_PAIRS))
    found = read_unlabelled(path, into=tmp_path / "out", form=Similar())
    assert found.examples.split == "predict" and not found.examples.shape.has("score")
    assert found.examples.column("text_pair") == [row[1] for row in pairs(12)]


def test_rows_to_evaluate_on_are_read_by_the_names_of_training(tmp_path):
    path = put(tmp_path, "rows.csv", csv_bytes(pairs(12), SCORED_PAIRS))
    choice = Choice("sentence1", "score", "sentence2")
    found = read_for_evaluation(path, into=tmp_path / "out", form=Similar(), labels=(), choice=choice)
    assert found.examples.column("score") == [float(row[2]) for row in pairs(12)]


# --- regression -----------------------------------------------------------------------------------


def test_single_texts_with_a_number(tmp_path):
    rows = [(sentence(n), f"{n / 7:.3f}") for n in range(60)]
    found = read(Scored(), put(tmp_path, "rows.csv", csv_bytes(rows, ("review", "rating"))))
    assert (found.columns.text, found.columns.label, found.columns.text_pair) == ("review", "rating", None)
    assert found.columns.reasons.keys() == {"text", "label"}
    assert set(zip(every(found, "text"), every(found, "score"), strict=True)) == {(a, float(b)) for a, b in rows}


def test_regression_needs_a_score(tmp_path):
    rows = [(sentence(n), sentence(n + 100)) for n in range(60)]
    assert refused(Scored(), put(tmp_path, "rows.csv", csv_bytes(rows, ("text", "more"))))[0][0] == "D021"


def test_a_bad_cell_of_a_column_of_numbers_is_named(tmp_path):
    """Its column is still the only one of numbers, so that the cell is what is wrong, not the choice."""
    rows = [(sentence(n), "high" if n == 17 else str(n)) for n in range(50)]
    path = put(tmp_path, "rows.csv", csv_bytes(rows, ("review", "cost")))
    (problem,) = problems_of(read, Scored(), path)
    assert (problem.code, problem.where) == ("D070", "rows.csv:19")
    assert "'cost' is 'high'" in problem.what
    half = [(text, value if n % 2 else "high") for n, (text, value) in enumerate(rows)]
    assert refused(Scored(), put(tmp_path, "half.csv", csv_bytes(half, ("review", "cost"))))[0][0] == "D021"


def test_a_text_is_no_score(tmp_path):
    rows = [(sentence(n), str(n)) for n in range(30)]
    path = put(tmp_path, "rows.csv", csv_bytes(rows, ("text", "score")))
    assert refused(Scored(), path, text="score", label="score")[0][0] == "D021"


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60))
def test_bins_follow_the_order_of_scores(values):
    scores = np.asarray(values)
    found = bins(scores)
    assert found.min() == 0 and set(found.tolist()) == set(range(found.max() + 1))
    order = np.argsort(scores, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert all(len(set(found[scores == value].tolist())) == 1 for value in scores)


# --- relevance ------------------------------------------------------------------------------------


def judged(count: int = 30) -> list[tuple[str, str, str]]:
    return [(sentence(n // 3), sentence(500 + n), str(max(0, 2 - n % 3))) for n in range(count)]


JUDGED = ("query", "passage", "relevance")


def test_judged_passages(tmp_path):
    found = read(Relevant(), put(tmp_path, "rows.csv", csv_bytes(judged(90), JUDGED)))
    assert found.columns.wanted == list(JUDGED)
    rows = set(zip(every(found, "text"), every(found, "text_pair"), every(found, "score"), strict=True))
    assert rows == {(one, other, float(score)) for one, other, score in judged(90)}
    sides = [set(examples.column("text")) for examples in found.splits.values()]
    assert sum(map(len, sides)) == 30  # no query stands on two sides


def test_true_and_false_are_relevances(tmp_path):
    values = [{"query": q, "passage": p, "label": score != "0"} for q, p, score in judged(60)]
    found = read(Relevant(), put(tmp_path, "rows.jsonl", json_lines(values)))
    assert set(every(found, "score")) == {0.0, 1.0}


def test_relevance_is_never_below_zero(tmp_path):
    rows = judged()
    rows[5] = (*rows[5][:2], "-1")
    assert refused(Relevant(), put(tmp_path, "rows.csv", csv_bytes(rows, JUDGED))) == [("D072", "rows.csv:7")]


def test_a_passage_judged_twice_and_not_alike(tmp_path):
    rows = [*judged(), (*judged()[4][:2], "2"), judged()[7]]
    found = problems_of(read, Relevant(), put(tmp_path, "rows.csv", csv_bytes(rows, JUDGED)))
    assert [(one.code, one.where) for one in found] == [("D074", "rows.csv:32")]
    assert "rows.csv:6" in found[0].what


@pytest.mark.parametrize("change", ["none relevant", "one passage"])
def test_nothing_to_rank(tmp_path, change):
    rows = [(q, p, "0") if change == "none relevant" else (q, "only one", "1") for q, p, _ in judged()]
    assert refused(Relevant(), put(tmp_path, "rows.csv", csv_bytes(rows, JUDGED)))[0][0] == "D075"


def test_queries_without_a_relevant_passage_are_a_finding(tmp_path):
    rows = [(q, p, "0" if q == sentence(4) else score) for q, p, score in judged(90)]
    for split in ("train", "validation", "test"):
        put(tmp_path, f"data/{split}.csv", csv_bytes(rows, JUDGED))
    found = reading.read(tmp_path / "data", into=tmp_path / "out", form=Relevant())
    findings = {finding.code: finding for finding in audit(found, Relevant()).findings}
    assert findings["A025"].bin == "issue"
    assert findings["A025"].evidence["splits"] == {"train": 1, "validation": 1, "test": 1}
    assert findings["A025"].evidence["examples"][0] == {
        "split": "train",
        "place": "train.csv:14",
        "text": sentence(4),
    }
    assert findings["A028"].bin == "passed" and findings["A028"].evidence["splits"]["test"] == 90


def test_queries_that_training_knows_are_told(tmp_path):
    for split, first in (("train", 0), ("validation", 300), ("test", 60)):
        rows = [(query, f"{passage} in {split}", score) for query, passage, score in judged(first + 90)[first:]]
        put(tmp_path, f"{split}.csv", csv_bytes(rows, JUDGED))
    found = read(Relevant(), tmp_path)
    findings = {one.code: one for one in audit(found, Relevant()).findings}
    assert findings["A029"].bin == "issue" and findings["A029"].evidence == {"count": 10, "queries": 30}
    assert findings["A004"].bin == "passed"  # its passages are others


def test_lists_of_passages_become_rows(tmp_path):
    values = [
        {
            "query": sentence(n),
            "pos": [sentence(n + 100), sentence(n + 200)],
            "neg": sentence(n + 300),
            "who": sentence(n)[::-1],
        }
        for n in range(40)
    ]
    values[3]["pos"] = []
    values[4]["pos"] = ["", sentence(104)]
    values[5]["neg"] = None
    found = read(Relevant(), put(tmp_path, "rows.jsonl", json_lines(values)), group="who")
    rows = set(zip(every(found, "text"), every(found, "text_pair"), every(found, "score"), strict=True))
    assert (sentence(0), sentence(100), 1.0) in rows and (sentence(0), sentence(300), 0.0) in rows
    assert len(rows) == 40 * 3 - 2 - 1 - 1
    dropped = found.ledger["train"].dropped
    assert [(entry.reason, entry.places) for entry in dropped] == [("empty pos", ["rows.jsonl:4", "rows.jsonl:5"])]
    train = found.splits["train"]
    assert train.column("group") == [query[::-1] for query in train.column("text")]
    lines = {sentence(n): f"rows.jsonl:{n + 1}" for n in range(40)}
    assert [train.place(row) for row in range(len(train))] == [lines[query] for query in train.column("text")]


def test_lists_that_hold_no_texts(tmp_path):
    values = [{"query": sentence(n), "positive": sentence(n + 100), "negative": []} for n in range(30)]
    values[6]["positive"] = 7
    assert refused(Relevant(), put(tmp_path, "rows.jsonl", json_lines(values))) == [("D076", "rows.jsonl:7")]


def test_lists_and_judgements_at_once_are_a_question(tmp_path):
    values = [{"query": sentence(n), "positive": sentence(n + 100), "negative": [], "relevance": 1} for n in range(30)]
    path = put(tmp_path, "rows.jsonl", json_lines(values))
    assert refused(Relevant(), path, label="relevance", negative="negative")[0][0] == "D021"


def test_lists_are_read_again_by_the_names_of_training(tmp_path):
    values = [
        {"query": sentence(n), "positive": [sentence(n + 100)], "negative": [sentence(n + 200)]} for n in range(9)
    ]
    path = put(tmp_path, "rows.jsonl", json_lines(values))
    choice = Choice("query", "relevance", "positive")
    found = read_for_evaluation(path, into=tmp_path / "out", form=Relevant(), labels=(), choice=choice)
    assert found.examples.column("score") == [1.0, 0.0] * 9


def test_passages_without_any_judgement_are_a_question(tmp_path):
    rows = [row[:2] for row in judged()]
    assert refused(Relevant(), put(tmp_path, "rows.csv", csv_bytes(rows, JUDGED[:2])))[0][0] == "D021"


# --- real rows ------------------------------------------------------------------------------------


def test_the_scores_of_sick(tmp_path):
    found = reading.read(real("sick_nli"), into=tmp_path / "out", form=Similar(), choice=Choice(label="score"))
    assert found.columns.wanted == ["text", "text_pair", "score"]
    assert {split: len(rows) for split, rows in found.splits.items()} == {
        "train": 4500,
        "validation": 500,
        "test": 4927,
    }
    scores = np.asarray(found.splits["train"].column("score"))
    assert scores.min() == 1.0 and scores.max() == 5.0 and scores.mean() == pytest.approx(3.53, abs=0.01)
    findings = {finding.code: finding.bin for finding in audit(found, Similar()).findings}
    assert findings["A026"] == findings["A027"] == "passed"


def test_sick_as_regression(tmp_path):
    found = reading.read(real("sick_nli"), into=tmp_path / "out", form=Scored(), choice=Choice(label="score"))
    examples: Examples = found.splits["validation"]
    assert examples.has_pairs and len(examples.column("score")) == 500
