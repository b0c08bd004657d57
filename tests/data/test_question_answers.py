from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.made import json_lines, problems_of, put
from tests.data.question_rows import PARIS, ROME, ROWS, one_file, row, squad
from whet.data.question_answers import Answers, answers, is_answers, places, spelled
from whet.data.values import Place
from whet.errors import Problem, Problems

THINGS = "Ünïcode 🏛 temple and temple"


def read(values, contexts) -> tuple[Answers, list[Problem]]:
    problems = Problems()
    place = Place("rows.csv", range(2, 2 + len(values)), "answers")
    return answers(values, contexts, place, problems), problems.kept


def one(value, context: str = PARIS) -> Problem:
    _, [problem] = read([value], [context])
    assert problem.where == "rows.csv:2"
    return problem


BAD = {
    "a number of another kind": (3.5, "D061", "3.5, which is no answer"),
    "true": (True, "D061", "True, which is no answer"),
    "an object without text": ({"start": 3}, "D061", "no answer"),
    "a list of numbers in lists": ([[1]], "D061", "no answer"),
    "not in the context": ("London", "D062", "'London' does not stand in its context."),
    "other letters": ("the capital OF", "D062", "At 9 stands 'the capital of': copy it as it is there."),
    "other blanks": ("capital\n of", "D062", "At 13 stands 'capital of'"),
    "elsewhere and not there": ({"text": ["London"], "answer_start": [4]}, "D062", "(at 4 stands 's is t')"),
    "a start that is none": ({"text": "Paris", "answer_start": "first"}, "D063", "the start 'first'"),
    "half a start": ({"text": "Paris", "answer_start": 0.5}, "D063", "the start 0.5"),
    "before the context": ({"text": "Paris", "answer_start": -1}, "D064", "-1 to 4, lies outside its context of 79"),
    "behind the context": ({"text": ["river"], "answer_start": [78]}, "D064", "It stands at 73, 5 characters back."),
    "off by one": ({"text": ["Seine"], "answer_start": [46]}, "D065", "It stands at 47, 1 character on."),
    "another text": ({"text": ["Seine"], "answer_start": [9]}, "D065", "at 9 stands 'the c', not the answer 'Seine'"),
    "fewer starts": ({"text": ["Paris", "France"], "answer_start": [0]}, "D066", "2 answers and 1 starts"),
    "an empty answer": ({"text": [""], "answer_start": [0]}, "D068", "an empty answer"),
    "a blank in a list": (["Paris", " "], "D068", "[] where the question has none"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_answer_is_told(case):
    value, code, words = BAD[case]
    problem = one(value)
    assert problem.code == code
    assert words in f"{problem.what} {problem.remedy}"


@pytest.mark.parametrize(("start", "unit"), [(15, "bytes"), (11, "UTF-16 units")])
def test_starts_that_count_something_else(start, unit):
    problem = one({"text": ["temple"], "answer_start": [start]}, THINGS)
    assert problem.code == "D065"
    assert f"seems to count {unit}; count characters." in problem.remedy


def test_every_problem_has_its_file_and_line(tmp_path):
    rows = [
        *ROWS,
        row("Where?", PARIS, (1, "Paris")),
        row("Which?", ROME, (0, "Milan")),
        row("Why?", ROME, (900, "Rome")),
    ]
    found = problems_of(one_file, put(tmp_path, "rows.jsonl", json_lines(rows)))
    assert [(problem.code, problem.where) for problem in found] == [
        ("D065", "rows.jsonl:5"),
        ("D062", "rows.jsonl:6"),
        ("D064", "rows.jsonl:7"),
    ]
    document = squad([*ROWS, rows[4]], indent=2)
    [problem] = problems_of(one_file, put(tmp_path, "dev.json", document.encode()))
    line = 1 + document[: document.index("Where?")].count("\n") - 1
    assert problem.where == f"dev.json:{line}"


def test_missing_and_none_are_told_apart():
    found, problems = read([None, "", "  ", [], {"text": [], "answer_start": []}, "[]", {"text": None}], [PARIS] * 7)
    assert found.rows == [None, None, None, [], [], [], None]
    assert problems == []


def test_rows_without_a_context_are_not_blamed_for_it():
    found, problems = read(["Paris"], [" "])
    assert (found.rows, problems) == ([[]], [])


def test_numbers_are_looked_for_as_they_are_written():
    found, _ = read([1973, {"text": [1973], "answer_start": ["4"]}], ["The 1973 oil crisis"] * 2)
    assert found.rows == [[{"start": 4, "text": "1973"}]] * 2


def test_whole_words_come_first():
    found, _ = read(["art", "par", "art"], ["a party of art lovers", "party", "art for the sake of art"])
    assert [entry[0]["start"] for entry in found.rows] == [11, 0, 0]
    assert found.unsure == [2], "one whole word, no whole word but one place, two whole words"


def test_cells_that_spell_a_structure():
    assert spelled('{"text": ["a"], "answer_start": [1]}') == {"text": ["a"], "answer_start": [1]}
    assert spelled("{'text': ['a'], 'answer_start': [1]}") == {"text": ["a"], "answer_start": [1]}
    assert spelled('["a", "b"]') == ["a", "b"]
    for plain in ("[1]", "[sic]", "{x}", '{"a": 1}', "text", 5, None, "[" * 5000):
        assert spelled(plain) == plain
    assert is_answers([]) and is_answers('{"text": []}') and is_answers([{"text": "a"}])
    assert not is_answers("text") and not is_answers(["text"]) and not is_answers({"start": 1}) and not is_answers(3)


@given(st.text(min_size=1, max_size=30), st.data())
def test_any_part_of_any_context_is_found_again(context, data):
    start = data.draw(st.integers(0, len(context) - 1))
    text = context[start : data.draw(st.integers(start + 1, len(context)))]
    found, problems = read([{"text": [text], "answer_start": [start]}, [text]], [context] * 2)
    if not text.strip():
        assert {problem.code for problem in problems} <= {"D068"}
        return
    assert problems == []
    assert found.rows[0] == [{"start": start, "text": text}]
    [placed] = found.rows[1]
    assert context[placed["start"] :].startswith(text)
    assert start in places(text, context)
    if found.unsure == []:
        assert len(list(places(text, context))) >= 1
