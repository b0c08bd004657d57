from __future__ import annotations

import pytest

from tests.data.made import json_lines, problems_of, put
from tests.data.question_rows import PARIS, ROME, ROWS, one_file, placed, row
from whet.data.question_tables import choose
from whet.data.row_form import Choice
from whet.errors import UserError


def chosen(rows: list[dict], **named):
    columns = list(dict.fromkeys(key for one in rows for key in one))
    return choose(columns, {name: [one.get(name) for one in rows] for name in columns}, "rows.jsonl", Choice(**named))


def renamed(**names: str) -> list[dict]:
    return [{names.get(key, key): value for key, value in one.items()} for one in ROWS]


def test_known_names_have_their_reasons():
    found = chosen([{**one, "title": f"t{number}", "id": "x"} for number, one in enumerate(ROWS)])
    assert (found.text, found.text_pair, found.label, found.group) == ("question", "context", "answers", "title")
    assert found.reasons == {
        "text": "column 'question': its name is a known one for the question",
        "text_pair": "column 'context': its name is a known one for the context",
        "label": "column 'answers': its name is a known one for the answers",
        "group": "column 'title': its name is a known one for the document of a question",
    }


@pytest.mark.parametrize(
    "names",
    [
        {"question": "Query", "context": "Passage", "answers": "label"},
        {"question": "text", "context": "text_pair"},
        {"question": "asked", "context": "read", "answers": "said"},
    ],
)
def test_other_names_and_content(names):
    found = chosen(renamed(**names))
    assert found.text == names["question"]
    assert found.text_pair == names["context"]
    assert found.label == names.get("answers", "answers")


def test_plain_answers_are_known_by_standing_in_the_context():
    rows = [
        {"asked": "Which city?", "read": PARIS, "said": "Paris", "other": "London"},
        {"asked": "Which people?", "read": ROME, "said": "Romans", "other": "Rome"},
    ]
    found = chosen(rows)
    assert (found.text, found.text_pair, found.label) == ("asked", "read", "said")
    assert found.reasons["label"] == "column 'said': the one whose values stand in the context"
    assert found.reasons["text"] == "column 'asked': the one whose values end with a question mark"
    assert found.reasons["text_pair"] == "column 'read': the one with the longest values"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"question": "a?", "context": PARIS}], "which column is the answers is not clear: none looks like it"),
        ([{"question": "a?", "context": PARIS, "answer": "Paris", "answer_text": "P"}], "'answer' or 'answer_text'"),
        ([{"one": "a?", "two": "b?", "context": PARIS}], "the question is not clear: it could be 'one' or 'two'"),
        ([{"question": "a?", "one": PARIS, "two": PARIS}], "which column is the context is not clear"),
        ([{"context": PARIS, "answers": []}], "which column is the question is not clear: none"),
    ],
)
def test_what_is_not_clear_is_asked(rows, words):
    with pytest.raises(UserError) as caught:
        chosen(rows)
    [problem] = caught.value.problems
    assert problem.code == "D021"
    assert words in problem.what
    assert "--" in problem.remedy


def test_one_column_cannot_be_two_things():
    with pytest.raises(UserError, match="D021"):
        chosen(ROWS, text="context", text_pair="context")


def test_rows_only_for_prediction_need_no_answers():
    found = chosen([{"question": "a?", "context": PARIS, "title": "x"}], labelled=False)
    assert (found.label, found.group) == (None, None)


def test_a_contradiction_over_two_columns_has_its_line(tmp_path):
    rows = [
        {**row("a?", PARIS), "is_impossible": False},
        {"question": "b?", "context": PARIS, "answers": "Paris", "is_impossible": True},
        {**row("c?", PARIS, (0, "Paris")), "is_impossible": False},
    ]
    found = problems_of(one_file, put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert [(problem.code, problem.where) for problem in found] == [("D067", "rows.jsonl:1"), ("D067", "rows.jsonl:2")]
    assert placed(one_file(put(tmp_path, "good.jsonl", json_lines(rows[2:]))).examples) == [[(0, "Paris")]]


def test_a_start_column_beside_structures_is_another_thing(tmp_path):
    rows = [{**one, "start": "9:00"} for one in ROWS]
    assert len(one_file(put(tmp_path, "rows.jsonl", json_lines(rows))).examples) == 4
