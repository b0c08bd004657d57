from __future__ import annotations

import pytest

from tests.data.made import problems_of, sentence
from whet.data.columns import Columns, choose

TEXTS = [sentence(number) for number in range(60)]
WORDS = [("red", "green", "blue")[number % 3] for number in range(60)]
NUMBERS = [str(number) for number in range(60)]


def pick(sample, **named):
    return choose(list(sample), sample, where="a.csv", **named)


def test_the_example_data():
    """Columns message, intent, urgent: two of them could be labels, one has a known name."""
    urgent = ["yes" if number % 5 else "no" for number in range(60)]
    found = pick({"message": TEXTS, "intent": WORDS, "urgent": urgent})
    assert (found.text, found.text_pair, found.label) == ("message", None, "intent")
    assert found.reasons == {
        "text": "column 'message': its name is a known one for the text",
        "label": "column 'intent': its name is a known one for the label",
    }


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        (["text", "label"], "text", "label"),
        (["Label", "Review Text"], "Review Text", "Label"),
        (["title", "body", "category"], "body", "category"),
        (["text", "label", "intent"], "text", "label"),
        (["id", "tweet", "sentiment"], "tweet", "sentiment"),
    ],
)
def test_by_name(columns, text, label):
    found = pick(dict.fromkeys(columns, TEXTS))
    assert (found.text, found.label) == (text, label)


@pytest.mark.parametrize(
    ("first", "second"),
    [("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("text", "text_pair")],
)
def test_known_pairs(first, second):
    sample = {second: TEXTS, first: TEXTS, "label": WORDS}
    found = pick(sample)
    assert (found.text, found.text_pair, found.label) == (first, second, "label")
    assert pick(sample, text=first).text_pair is None
    assert pick(sample, text=first, text_pair=second).wanted == [first, second, "label"]


def test_a_pair_that_is_not_wanted():
    assert pick({"text": TEXTS, "text_pair": TEXTS, "label": WORDS}, pairs=False).text_pair is None


def test_by_content_with_the_reason():
    found = pick({"id": NUMBERS, "was geschrieben wurde": TEXTS, "farbe": WORDS})
    assert (found.text, found.label) == ("was geschrieben wurde", "farbe")
    assert "long, mostly different" in found.reasons["text"]
    assert "3 different ones in the first 60 rows" in found.reasons["label"]


@pytest.mark.parametrize(
    "name", ["id", "user_id", "Ticket ID", "uuid", "index", "url", "created_at", "(column 1)", "Unnamed: 0"]
)
def test_an_id_is_never_chosen_by_content(name):
    (problem,) = problems_of(pick, {name: WORDS, "text": TEXTS})
    assert (problem.code, "none looks like it" in problem.what) == ("D021", True)
    (problem,) = problems_of(pick, {name: TEXTS, "label": WORDS, "number": NUMBERS})
    assert problem.code == "D021"


def test_two_candidates_are_a_question():
    (problem,) = problems_of(pick, {"text": TEXTS, "colour": WORDS, "shade": WORDS})
    assert (problem.code, problem.where) == ("D021", "a.csv")
    assert "it could be 'colour' or 'shade' (columns: text, colour, shade)" in problem.what
    assert problem.remedy == "Name it with --label."
    (problem,) = problems_of(pick, {"message": TEXTS, "comment": TEXTS, "label": WORDS})
    assert "'message' or 'comment'" in problem.what


def test_the_much_longer_text_is_chosen():
    long = [" ".join([text] * 5) for text in TEXTS]
    assert pick({"kurz und knapp": TEXTS, "ausführlich": long, "label": WORDS}).text == "ausführlich"


def test_named_columns_must_exist():
    for option, named in (("data.text", {"text": "mesage"}), ("data.label", {"label": "mesage"})):
        (problem,) = problems_of(pick, {"message": TEXTS, "intent": WORDS}, **named)
        assert (problem.code, problem.where) == ("D020", option)
        assert str(problem).endswith(
            "'mesage' is not a column of a.csv (columns: message, intent). Did you mean 'message'?"
        )


def test_one_column_cannot_be_two_things():
    (problem,) = problems_of(pick, {"text": TEXTS, "label": WORDS}, text="label", label="label")
    assert problem.code == "D021"


def test_a_named_label_is_not_taken_as_text():
    assert pick({"text": WORDS, "what they wrote": TEXTS}, label="text").text == "what they wrote"


def test_a_header_that_is_a_row():
    (problem,) = problems_of(pick, {"the owl sees the cat today": TEXTS, "red": WORDS})
    assert (problem.code, problem.where) == ("D021", "a.csv:1")
    assert "looks like a row" in problem.what


def test_without_labels_only_a_text_is_needed():
    assert pick({"anything": WORDS}, labelled=False).wanted == ["anything"]
    assert pick({"id": NUMBERS, "message": TEXTS}, labelled=False).wanted == ["message"]


def test_json_there_and_back():
    found = pick({"text": TEXTS, "label": WORDS})
    assert Columns(**found.to_json()) == found
