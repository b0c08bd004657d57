from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.made_questions import MADE, made_tokenizer, shared_tokenizer
from whet.batches import words_at_once
from whet.batches.tokenising import uncut_backend
from whet.batches.words_at_once import Sequences, WordsAtOnce

KINDS = ("wordpiece", "bert-base-cased")
ALPHABET = (
    *(
        "card",
        "CARD",
        "Übergröße",
        "naïve",
        "antidisestablishmentarianism",
        "x" * 120,
        "東京都",
        "Москва",
        "🏛",
        "’",
        "ﬁ",
    ),
    *(
        "İ",
        "ß",
        "Σ",
        "\u0301",
        "\u00a0",
        "\u2028",
        "\x85",
        "\x7f",
        "\x01",
        "\0",
        "\x0b",
        "\x1c",
        " ",
        "  ",
        "\n",
        "\t\r",
    ),
    *(
        "[MASK]",
        "[mask]",
        "[CLS]",
        "[",
        "]",
        "!",
        "-",
        "don't",
        "<s>",
        "<unk>",
        "New",
        "yorkshire",
        "cafe",
        "CAFÉ",
        "7,000",
    ),
)
texts = st.lists(st.lists(st.sampled_from(ALPHABET), max_size=9).map("".join) | st.text(max_size=12), max_size=12)


@cache
def backend_of(kind: str) -> Any:
    return uncut_backend(made_tokenizer(kind) if kind in MADE else shared_tokenizer(kind))


@cache
def words_of(kind: str) -> WordsAtOnce:
    found = WordsAtOnce.of(backend_of(kind))
    assert found is not None
    return found


def apart(found: Sequences) -> list[list[int]]:
    return [ids.tolist() for ids in np.split(found.ids, np.cumsum(found.lengths))[:-1]]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(rows=texts)
def test_texts_have_the_tokens_that_they_have_one_by_one(kind: str, rows: list[str]):
    assert apart(words_of(kind).singles(rows)) == [one.ids for one in backend_of(kind).encode_batch(rows)]


@settings(max_examples=100)
@given(rows=texts)
def test_pairs_have_them_too_and_it_is_known_where_the_second_text_starts(rows: list[str]):
    backend = backend_of("bert-base-cased")
    pairs = list(zip(rows[::2], rows[1::2], strict=False))
    found = words_of("bert-base-cased").pairs([one for one, _ in pairs], [other for _, other in pairs])
    truth = backend.encode_batch(pairs)
    assert apart(found) == [one.ids for one in truth]
    assert found.second is not None and found.second.tolist() == [one.type_ids.index(1) for one in truth]


@pytest.mark.parametrize(("name", "value"), [("SLOTS", 1), ("PART", 40), ("MOST_WORDS", 3), ("MOST_BYTES", 20)])
@settings(max_examples=40)
@given(rows=texts)
def test_neither_room_for_words_nor_how_texts_are_parted_shows(name: str, value: int, rows: list[str]):
    backend = backend_of("wordpiece")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(words_at_once, name, value)
        found = WordsAtOnce.of(backend)
        assert found is not None
        for _ in range(2):
            assert apart(found.singles(rows)) == [one.ids for one in backend.encode_batch(rows)]


@pytest.mark.parametrize("normalized", [True, False])
def test_tokens_that_were_added_are_found_wherever_they_stand(normalized: bool):
    from tokenizers import AddedToken

    backend = uncut_backend(made_tokenizer("wordpiece"))
    backend.add_tokens([AddedToken("@Drug$", normalized=normalized), AddedToken("cafe", normalized=normalized)])
    rows = [
        "take @Drug$ now",
        "take@Drug$,",
        "@drug$ or @DRUG$",
        "naïve cafe",
        "CAFÉ!",
        "decaffeinated cafeteria",
        "@ Drug $",
    ]
    found = WordsAtOnce.of(backend)
    assert found is not None
    truth = [one.ids for one in backend.encode_batch(rows)]
    assert apart(found.singles(rows)) == truth
    assert truth != [one.ids for one in backend_of("wordpiece").encode_batch(rows)]


def test_each_different_word_is_asked_for_once():
    backend = _Counting(backend_of("wordpiece"))
    found = WordsAtOnce.of(backend)
    assert found is not None
    found.singles(["my card, my Card"] * 50 + ["where is a card of anticonstitutionnellement"])
    found.singles(["where is my card"])
    assert sorted(backend.asked) == sorted(["my", "card", ",", "where", "is", "a", "of", "anticonstitutionnellement"])


class _Counting:
    """A tokenizer that keeps what it was asked."""

    def __init__(self, backend: Any) -> None:
        self.backend, self.asked = backend, list[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def encode_batch_fast(self, some: list[str], **more: Any) -> Any:
        self.asked += some
        return self.backend.encode_batch_fast(some, **more)


@pytest.mark.parametrize("kind", ["words", "bytes", "metaspace", "last", "gpt2", "t5"])
def test_other_kinds_of_tokenizers_read_text_by_text(kind: str):
    assert WordsAtOnce.of(backend_of(kind)) is None


def test_so_do_those_with_a_space_in_an_added_token_or_that_keep_control_characters():
    spaced = uncut_backend(made_tokenizer("wordpiece"))
    spaced.add_tokens(["New York"])
    assert WordsAtOnce.of(spaced) is None
    kept = uncut_backend(made_tokenizer("wordpiece"))
    kept.normalizer.clean_text = False
    assert WordsAtOnce.of(kept) is None
