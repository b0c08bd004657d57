"""How an answer reads while it is being said."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made_tokenizers import MAKERS
from whet.generation.spoken import Spoken

KINDS = ("bytes", "bpe, prepended", "unigram")


@cache
def reading(kind: str) -> Any:
    """A tokenizer that can read what it wrote."""
    from tokenizers import decoders

    sentencepiece = [
        decoders.Replace("\u2581", " "),
        decoders.ByteFallback(),
        decoders.Fuse(),
        decoders.Strip(" ", 1, 0),
    ]
    found = MAKERS[kind]()
    found.backend_tokenizer.decoder = {
        "bytes": decoders.ByteLevel(),
        "bpe, prepended": decoders.Sequence(sentencepiece),
        "unigram": decoders.Metaspace(),
    }[kind]
    return found


def spoken(tokenizer: Any, text: str, stop: tuple[str, ...] = ()) -> list[Spoken]:
    """After each token."""
    found = []
    for size in range(1, len(tokenizer(text, add_special_tokens=False).input_ids) + 1):
        one = Spoken(tokenizer, frozenset([tokenizer.eos_token_id]), stop)
        for token in tokenizer(text, add_special_tokens=False).input_ids[:size]:
            one.say(token, 0.5)
        found.append(one)
    return found


@given(st.sampled_from(KINDS), st.text(alphabet="ab é€😀.\n", min_size=1, max_size=12))
def test_what_is_certain_stays(kind: str, text: str) -> None:
    tokenizer = reading(kind)
    steps = spoken(tokenizer, text, ("b.", "😀a"))
    for before, after in pairwise(steps):
        if before.finished:
            break
        assert after.text.startswith(before.certain)


def test_a_torn_character_waits() -> None:
    steps = spoken(reading("bytes"), "a😀")
    assert [one.certain for one in steps] == ["a", "a", "a", "a", "a😀"]


def test_the_beginning_of_a_stop_text_waits() -> None:
    steps = spoken(reading("bytes"), "ab#x##z", ("##",))
    assert [one.certain for one in steps] == ["a", "ab", "ab", "ab#x", "ab#x", "ab#x", "ab#x"]
    assert [one.finished for one in steps] == [False] * 5 + [True, True]
    assert steps[5].text == "ab#x"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_token_is_not_read(kind: str) -> None:
    tokenizer = reading(kind)
    one = Spoken(tokenizer, frozenset([tokenizer.eos_token_id]))
    ids = [*tokenizer("abc", add_special_tokens=False).input_ids, tokenizer.eos_token_id]
    for token in ids:
        assert not one.finished
        one.say(token, 0.25)
    assert one.finished and one.ids == ids
    assert one.text.strip() == "abc"
    assert one.nats == 0.25 * len(ids)
