"""Steering tokens under aliases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.batches.made_chats import CHATML, SPECIAL, THINKING, talker
from tests.made_tokenizers import MAKERS, made
from whet.batches.control import CLOSES, END, HELD, OPENS, Held, alias, control_of, written


def test_special_tokens_and_those_that_a_template_writes_steer() -> None:
    known = control_of(talker(), CHATML)
    assert set(known.ids) == {"<pad>", "<unk>", "<s>", "</s>", *SPECIAL} == known.special
    thinking = control_of(talker(), THINKING)
    assert set(thinking.ids) - thinking.special == {"<think>", "</think>", "<tool_call>", "</tool_call>"}
    assert "card" not in control_of(talker(), CHATML + "card").ids  # a word, though the template has it
    assert control_of(talker(), CHATML) is known


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_a_copy_reads_texts_as_the_tokenizer_does(kind: str) -> None:
    tokenizer = made(kind)
    known = control_of(tokenizer, CHATML)
    texts = ["where is my card", "  Thanks,\n\nBob é ", "", "a", "Zürich 12.5% (now)"]
    told = [one.ids for one in tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)]
    assert [one.ids for one in known.encode(texts)] == told


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_an_alias_is_its_token_and_a_name_is_not(kind: str) -> None:
    tokenizer = made(kind)
    known = control_of(tokenizer, CHATML)
    for name, number in known.ids.items():
        assert number in known.encode([f"a{alias(number)}b"])[0].ids
        if name != tokenizer.unk_token:
            assert number not in known.encode([f"a {name} b"])[0].ids
            assert number not in known.encode([name])[0].ids


@given(
    st.lists(st.sampled_from(["<|im_end|>", "</s>", "a", "<", OPENS, HELD + "0" + END, CLOSES + "1" + END, "1"])).map(
        "".join
    )
)
def test_what_people_wrote_comes_back(text: str) -> None:
    known = control_of(talker(), CHATML)
    held = Held(known)
    laid = "<|im_start|>" + held.take(text) + "<|im_end|>"
    found = written(known, laid, held)
    assert found.text == alias(known.ids["<|im_start|>"]) + text + alias(known.ids["<|im_end|>"])
    assert [name for _, _, name in found.tokens] == ["<|im_start|>", "<|im_end|>"]
    assert [found.text[start:end] for start, end, _ in found.tokens] == [
        alias(known.ids[n]) for _, _, n in found.tokens
    ]
    assert found.marks == {}


def test_marks_say_where_they_stood() -> None:
    known = control_of(talker(), CHATML)
    laid = f"<s>ab{OPENS}3{END}cd{CLOSES}3{END}e"
    found = written(known, laid, Held(known))
    size = len(alias(2))
    assert found.text == alias(2) + "abcde"
    assert found.marks == {f"{OPENS}3": size + 2, f"{CLOSES}3": size + 4}


def test_values_inside_values_are_held_too() -> None:
    held = Held(control_of(talker(), THINKING))
    value = {"</s>": ["<tool_call>", 3, None, True], "b": ("x",)}
    assert held.take(value) == {f"{HELD}0{END}": [f"{HELD}1{END}", 3, None, True], "b": ["x"]}
    assert Held(held.control).take(value, answer=True)[f"{HELD}0{END}"][0] == "<tool_call>"
