from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.made import problems_of, put
from tests.data.question_rows import PARIS, ROWS, one_file, placed, squad
from whet.errors import UserError


def document(*questions: object, context: object = PARIS) -> bytes:
    return json.dumps({"data": [{"paragraphs": [{"context": context, "qas": list(questions)}]}]}, indent=1).encode()


ASKED = {"question": "Where?", "answers": [{"text": "Paris", "answer_start": 0}]}

BAD = {
    "impossible and answered": (document({**ASKED, "is_impossible": True}), "D067", "no answer, and has one"),
    "possible and not answered": (
        document({**ASKED, "answers": [], "is_impossible": False}),
        "D067",
        "an answer, and has none",
    ),
    "a question that is a text": (document("Where?"), "D016", "no object with a question"),
    "no context": (
        b'{"data": [{"paragraphs": [{"qas": [{"question": "q?", "answers": []}]}]}]}',
        "D023",
        "no 'context'",
    ),
    "a context that is a list": (document(ASKED, context=["Paris"]), "D023", "'context' is a list"),
    "questions that are no list": (
        b'{"data": [{"paragraphs": [{"context": "c", "qas": {}}]}]}',
        "D016",
        "'qas' is no list",
    ),
    "an article that is a text": (b'{"data": ["x", {"paragraphs": []}]}', "D016", "no object with keys"),
    "a key twice": (b'{"data": [{"paragraphs": [], "title": "a", "title": "b"}]}', "D014", "the key 'title' twice"),
    "cut short": (document(ASKED)[:-20], "D015", "malformed JSON"),
    "a missing comma": (b'{"data": [{"paragraphs": []} {"paragraphs": []}]}', "D015", "malformed JSON"),
    "a missing colon": (b'{"data": [{"paragraphs": [], "title" "a"}]}', "D015", "malformed JSON"),
    "a comma too many": (b'{"data": [{"paragraphs": [],}]}', "D015", "malformed JSON"),
    "something behind": (document(ASKED) + b"]", "D016", ""),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_documents(tmp_path, case):
    content, code, words = BAD[case]
    found = problems_of(one_file, put(tmp_path, "dev.json", content))
    if case == "something behind":
        assert found[0].code in ("D015", "D016")
        return
    assert found[0].code == code
    assert words in found[0].what
    assert found[0].where.startswith("dev.json:")


def test_a_document_without_questions(tmp_path):
    [problem] = problems_of(one_file, put(tmp_path, "dev.json", b'{"data": [{"title": "x", "paragraphs": []}]}'))
    assert problem.code == "D003"


def test_other_encodings_and_marks(tmp_path):
    text = squad([ROWS[0], ROWS[2]])
    wide = put(tmp_path, "wide.json", text.encode("utf-16"))
    assert placed(one_file(wide, encoding="utf-16").examples) == placed(
        one_file(put(tmp_path, "bom.json", b"\xef\xbb\xbf" + text.encode())).examples
    )
    assert problems_of(one_file, wide)[0].code == "D008"
    assert problems_of(one_file, put(tmp_path, "x.json", text.encode()), encoding="nonsense")[0].code == "D008"


def test_a_long_document_comes_in_blocks(tmp_path):
    article = json.loads(squad(ROWS[:2]))["data"][0]
    several = {"data": [{**article, "title": f"City {number}"} for number in range(5000)]}
    found = one_file(put(tmp_path, "dev.json.gz", json.dumps(several).encode())).examples
    assert len(found) == 10_000
    assert len(list(found.blocks())) == 2
    assert len(set(found.column("group"))) == 5000


def test_rows_that_only_speak_of_paragraphs_are_rows(tmp_path):
    rows = [{**one, "note": '"paragraphs": ["a"]'} for one in ROWS]
    assert len(one_file(put(tmp_path, "rows.json", json.dumps(rows).encode())).examples) == 4


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(["cut", "drop", "double"]))
def test_a_damaged_document_is_told_and_nothing_else_happens(place, damage):
    text = squad(ROWS[:2], indent=1)
    place %= len(text)
    damaged = {
        "cut": text[:place],
        "drop": text[:place] + text[place + 1 :],
        "double": text[: place + 1] + text[place:],
    }[damage]
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), "dev.json", damaged.encode())
        try:
            found = one_file(path)
        except UserError as error:
            assert all(problem.code.startswith("D0") and problem.what for problem in error.problems)
        else:
            for context, answers in zip(found.examples.column("text_pair"), placed(found.examples), strict=True):
                assert all(context[start : start + len(text)] == text for start, text in answers)
