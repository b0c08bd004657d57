"""What replies say, and which rows are shown: the parts that prompting is made of."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.baselines import prompt_costs
from whet.baselines.prompt_asking import Form, together
from whet.baselines.prompt_entities import found
from whet.baselines.prompt_questions import stands
from whet.baselines.prompt_replies import Labels, listed, number, objects, unquoted
from whet.baselines.prompt_shots import drawn, nearest
from whet.baselines.prompt_texts import GO_ON, Talk
from whet.baselines.tfidf_cosine import Searched
from whet.prompting.speaker import Reply, Spent
from whet.seeds import generator

KNOWN = Labels(["card", "card_lost", "Refund", "refund", "a.b", "\u79ef\u6781", "10"])


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("card", 0),
        (" Card. ", 0),
        ("**card-lost**", 1),
        ("It is card lost, not card.", 1),
        ("the card; later card_lost", 0),
        ("Refund", 2),
        ("refund", 3),
        ("REFUND", 2),
        ("Label: 'a.b'", 4),
        ("axb", None),
        ("\u8fd9\u662f\u79ef\u6781\u7684", 5),
        ("discard the cards", None),
        ("10.", 6),
        ("100", None),
        ("", None),
        ("...", None),
    ],
)
def test_the_label_that_is_named(reply, label):
    assert KNOWN.named(reply) == label


def test_no_labels_are_named_by_nothing():
    assert Labels([]).named("card") is None


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=12), min_size=1, max_size=8, unique=True))
def test_a_label_as_it_stands_is_itself(labels):
    known = Labels(labels)
    for place, label in enumerate(labels):
        if label.strip() == label:
            assert known.named(label) == place


@given(st.lists(st.sampled_from(["a b", "c", "a"]), max_size=4), st.text(max_size=10))
def test_lists_are_found_in_what_stands_around(items, noise):
    clean = noise.replace("[", "(")
    assert listed(f"{clean}{json.dumps(items)}{clean}") == items


def test_objects_of_lists_that_are_cut_off():
    assert objects('[{"text": "a", "type": "x"}, {"text": "b", "ty') == [{"text": "a", "type": "x"}]
    assert objects("[] and nothing") == []
    assert objects('["a", "b"]') is None
    assert objects("nothing") is None
    assert objects('{"a": 1} {"b": [}') == [{"a": 1}]
    assert objects("[" * 5000) is None


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("4", 4.0),
        ("Score: -0.5 or so", -0.5),
        ("3,5", 3.5),
        ("1,200.5 points", 1200.5),
        ("12,345", 12345.0),
        ("\u22122", -2.0),
        (".5", 0.5),
        ("4/5", 4.0),
        ("1e3", 1000.0),
        ("v2 is 7", 7.0),
        ("1e999", None),
        ("none", None),
        ("1.2.3.4", None),
    ],
)
def test_the_first_number(reply, value):
    assert number(reply) == value


@given(st.floats(-1e6, 1e6))
def test_numbers_as_they_are_written(value):
    assert number(f"about {value:.3f} I think") == pytest.approx(value, abs=1e-3)


def test_quotes_are_taken_off():
    assert unquoted('```text\n"a b".\n```') == "a b"
    assert unquoted("U.S.") == "U.S."
    assert unquoted("") == ""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("Rome", "Rome"),
        ("rome", "Rome"),
        ("in Rome.", "in Rome"),
        ("The answer is the old city of Rome", "the old city"),
        ("cat", "cat"),
        ("the", None),
        ("zebra", None),
        ("", None),
    ],
)
def test_where_an_answer_stands(said, words):
    context = "In the old city, in Rome, the category of a cat was unknown."
    place = stands(context, said)
    assert (None if place is None else context[slice(*place)]) == words


def test_entities_are_taken_in_order_and_none_across_another():
    known = Labels(["person", "place"])
    said = [
        {"text": "Ann", "type": "person"},
        {"text": "Ann Lee", "type": "person"},
        {"text": "Lee", "type": "planet"},
        {"text": "ann", "type": "PERSON"},
        {"text": "", "type": "place"},
        {"text": 3, "type": None},
    ]
    assert found("Hannah, Ann and Ann Lee saw ANN", said, known) == ([(8, 11, 0), (16, 23, 0), (28, 31, 0)], 3)
    assert found("", said, known) == ([], 6)


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=3, unique=True).map(tuple), max_size=20),
    st.integers(0, 8),
    st.integers(0, 5),
)
def test_draws_hold_different_rows(keys, wanted, seed):
    draw = drawn(keys, wanted, generator(seed, "draw"))
    assert len(draw) == len(set(draw)) == min(wanted, len(keys))
    assert all(0 <= row < len(keys) for row in draw)
    assert draw == drawn(keys, wanted, generator(seed, "draw"))


@given(st.lists(st.integers(0, 4), min_size=10, max_size=40), st.integers(1, 10), st.integers(0, 99))
def test_draws_are_spread_over_labels(labels, wanted, seed):
    """No label is shown twice more than another that has rows left."""
    draw = drawn([(one,) for one in labels], wanted, generator(seed, "draw"))
    shown, there = Counter(labels[row] for row in draw), Counter(labels)
    for one in there:
        for other in there:
            assert shown[one] <= shown[other] + 1 or shown[other] == there[other]


@settings(max_examples=40)
@given(
    st.lists(st.text("ab c", min_size=1, max_size=8), min_size=1, max_size=8),
    st.lists(st.text("ab cd", max_size=8), max_size=5),
    st.integers(0, 5),
)
def test_the_nearest_rows_by_cosines_one_by_one(known, asked, wanted):
    near = Searched.of(known)
    otherwise = tuple(range(len(known)))[:wanted]
    for text, rows in zip(asked, nearest(near, asked, wanted, otherwise), strict=True):
        assert len(rows) == len(set(rows)) == min(wanted, len(known))
        cosines = near.words.cosines([text] * len(known), known)
        values = [cosines[row] for row in rows]
        positive = [value for value in values if value > 1e-12]
        assert positive == sorted(positive) and values[len(values) - len(positive) :] == positive
        np.testing.assert_allclose(sorted(values), np.sort(cosines)[len(cosines) - len(rows) :], atol=1e-9)


def test_one_chat():
    form = Form(("Text",), "Label")
    shown = [[{"role": "system", "content": "x"}, *form.of(["a"]).turns(), {"role": "assistant", "content": "A"}]]
    whole = together("Do.", shown, [{"role": "system", "content": "s"}, {"role": "user", "content": "b"}])
    assert [(one["role"], one["content"]) for one in whole] == [
        ("system", "s"),
        ("user", "Do.\n\nText: a\nLabel:"),
        ("assistant", "A"),
        ("user", "b"),
    ]
    assert form.of(["abcdefgh"]).turns(0.5)[0]["content"] == "Text: abcd\nLabel:"


def test_talks_in_turn():
    rows = [
        {"role": "developer", "content": "Be."},
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": None, "tool_calls": '[{"name": "f"}]'},
        {"role": "tool", "content": "7"},
        {"role": "assistant", "content": "seven"},
    ]
    talk = Talk.of(rows, answered=True)
    assert talk.messages == (
        ("system", "Be."),
        ("user", "one\n\ntwo"),
        ("assistant", '[{"name": "f"}]'),
        ("user", "7"),
    )
    assert Talk.of(rows, answered=False).messages[-1] == ("user", GO_ON)
    assert [one["content"] for one in talk.turns(0.01)] == ["Be.", "7"]
    assert Talk.of([{"role": "system", "content": "s"}], answered=False).turns()[-1]["content"] == GO_ON
    short = Talk.of([{"role": "user", "content": "abcdefghij"}], answered=False).turns(0.5)
    assert short == [{"role": "user", "content": "fghij"}]


def test_what_a_request_costs():
    replies = [Reply("x", True, 10 * n, n, 0.1 * n) for n in range(1, 12)]
    costs = prompt_costs.of_replies(replies, (1.0, 2.0))
    assert costs["tokens_in"] == {"low": 20.0, "mean": 60.0, "high": 100.0}
    assert costs["price"] == {name: pytest.approx(value * 1.2e-6) for name, value in costs["tokens_in"].items()}
    assert prompt_costs.of_replies([], None) == dict.fromkeys(("seconds", "tokens_in", "tokens_out", "price"))
    weighing = prompt_costs.of_weighing(8.0, [10, 30], 4)
    assert weighing["seconds"] == {"low": pytest.approx(1.2), "mean": 2.0, "high": pytest.approx(2.8)}
    assert prompt_costs.evenly(3.0, 2)["seconds"] == {"low": 1.5, "mean": 1.5, "high": 1.5}
    before, after = Spent(1, 2, 3, 4, 0.5, 0.25), Spent(2, 2, 13, 5, 1.5, 0.5)
    told = {"requests": 1, "cached": 0, "tokens_in": 10, "tokens_out": 1, "seconds": 1.0, "price": 0.25}
    assert prompt_costs.since(before, after) == told
    assert prompt_costs.since(Spent(), Spent())["price"] is None
