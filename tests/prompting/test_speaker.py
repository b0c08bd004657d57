from __future__ import annotations

import pytest

from whet.prompting.replies import fingerprint, reply_of
from whet.prompting.speaker import Reply, Spent, estimated_tokens, said_in, text_tokens
from whet.store.rows import ReplyRow


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (" yes\n", "yes"),
        ("<think>is it?</think>\nyes", "yes"),
        ("is it? </think> no </think> yes", "yes"),
        ("<think>is it? is", ""),
        ("2 <think> 3", "2 <think> 3"),
        ("", ""),
    ],
)
def test_what_of_a_text_is_the_answer(text: str, answer: str):
    assert said_in(text) == answer


def test_what_replies_cost_together():
    spent = Spent(price=0.0)
    spent.add(Reply("a", True, 10, 2, 0.5), 0.25)
    spent.add(Reply("b", True, 20, 3, 1.0), 0.5)
    spent.add(Reply("b", True, 20, 3, 1.0, cached=True), 0.5)
    assert spent == Spent(2, 1, 30, 5, 1.5, 0.75)


def test_estimates_are_on_the_high_side():
    assert [text_tokens(text) for text in ("", "a", "four", "fives", "世界", "a世")] == [0, 1, 1, 2, 2, 2]
    assert estimated_tokens([{"role": "system", "content": "four"}, {"role": "user", "content": None}]) == 4 + 1 + 4


def test_a_fingerprint_is_of_all_that_is_asked_and_of_no_order():
    messages = [{"role": "user", "content": "ä"}]
    known = fingerprint("u", "m", messages, {"a": 1, "b": 2})
    assert known == fingerprint("u", "m", [{"content": "ä", "role": "user"}], {"b": 2, "a": 1})
    others = [
        fingerprint("v", "m", messages, {"a": 1, "b": 2}),
        fingerprint("u", "n", messages, {"a": 1, "b": 2}),
        fingerprint("u", "m", [*messages, *messages], {"a": 1, "b": 2}),
        fingerprint("u", "m", messages, {"a": 1, "b": 3}),
    ]
    assert len({known, *others}) == 5 and len(known) == 64
    assert fingerprint("u", "m", [{"role": "user", "content": "\ud800"}], {})  # half a character


def test_a_kept_reply_is_cut_at_the_first_stop():
    row = ReplyRow("h", "<think>a\nb</think>one | two\nthree", 5, 6, "length", 0.5)
    assert reply_of(row, ("\n", "|"), True) == Reply("one", True, 5, 6, 0.5, True)
    assert reply_of(row, (), False) == Reply("one | two\nthree", False, 5, 6, 0.5, False)
