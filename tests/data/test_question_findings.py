from __future__ import annotations

import pytest

from tests.data.question_rows import PARIS, ROME
from whet.data.answer_text import f1
from whet.data.forms import Examples, Shape
from whet.data.question_findings import findings
from whet.data.questions import ANSWERS, Questions

Answers = list[tuple[int, str]]


def split(name: str, rows: list[tuple[str, str, Answers]], groups: list[str] | None = None) -> Examples:
    import pyarrow as pa

    columns = {
        "text": [question for question, _, _ in rows],
        "text_pair": [context for _, context, _ in rows],
        "answers": [[{"start": start, "text": text} for start, text in answers] for _, _, answers in rows],
    }
    shape = Shape((("text_pair", pa.string()), ("answers", ANSWERS)))
    if groups is not None:
        return Examples.of({**columns, "group": groups}, shape.having("group", pa.string()), name)
    return Examples.of(columns, shape, name)


def found(**splits: Examples) -> dict:
    return {finding.code: finding for finding in findings(splits)}


SURE = ("What is the capital?", PARIS, [(0, "Paris")])
TWICE = ("What does it lie on?", PARIS, [(47, "Seine")])
NONE = ("Who is Napoleon?", PARIS, [])


def test_places_that_are_not_the_only_ones():
    one = found(train=split("train", [SURE, TWICE, NONE]))["A020"]
    assert (one.bin, one.evidence["count"], one.evidence["rows"]) == ("tip", 1, 2)
    assert one.evidence["examples"][0]["text"] == TWICE[0]
    assert found(train=split("train", [SURE, NONE]))["A020"].bin == "passed"


@pytest.mark.parametrize(
    ("train", "test", "is_bin"),
    [([SURE], [SURE], "passed"), ([SURE, NONE], [NONE], "passed"), ([SURE], [NONE], "issue"), ([NONE], [SURE], "tip")],
)
def test_questions_without_answer(train, test, is_bin):
    every = found(train=split("train", train), test=split("test", test))
    assert every["A021"].bin == is_bin
    assert ("A008" in every) == (NONE in [*train, *test])


def test_long_answers():
    text = " ".join(["word"] * 31)
    one = found(train=split("train", [("q", text, [(0, text)]), SURE]))["A022"]
    assert one.bin == "tip"
    assert one.evidence["max"] == 31
    assert "answers.max_tokens" in one.remedy
    assert found(train=split("train", [SURE]))["A022"].bin == "passed"


def test_agreement_is_of_each_answer_with_the_others():
    texts = ["the Seine", "Seine", "a river"]
    rows = [("q", PARIS, [(43, texts[0]), (47, texts[1]), (71, texts[2])]), SURE]
    one = found(train=split("train", [SURE]), test=split("test", rows))["A023"]
    expected = [f1(text, [other for other in texts if other != text]) for text in texts]
    assert expected == [1, 1, 0]
    assert one.evidence["f1"] == pytest.approx(sum(expected) / 3)
    assert one.evidence["exact_match"] == pytest.approx(2 / 3)
    assert one.evidence["rows"] == 1
    assert found(train=split("train", [SURE]))["A023"].bin == "not_applicable"


def test_documents_in_several_splits():
    rome = ("Who?", ROME, [(0, "Rome")])
    assert found(train=split("train", [SURE]))["A024"].bin == "not_applicable"
    assert found(train=split("train", [SURE]), test=split("test", [rome]))["A024"].bin == "passed"
    one = found(train=split("train", [SURE]), test=split("test", [NONE, rome]))["A024"]
    assert (one.bin, one.evidence) == ("tip", {"count": 1, "contexts": 1, "rows": 2})
    one = found(train=split("train", [SURE], ["a"]), test=split("test", [NONE, rome], ["b", "a"]))["A024"]
    assert one.evidence == {"count": 2, "contexts": 1, "rows": 2}


def test_the_form_hands_them_on():
    assert {finding.code for finding in Questions().findings({"train": split("train", [SURE])}, ())} == {
        *("A020", "A021", "A022", "A023", "A024")
    }
