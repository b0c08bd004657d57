from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.tasks.made_questions import CORPUS, made_tokenizer, shared_tokenizer
from whet.batches import tokenising, words_at_once
from whet.batches.encoding import encode
from whet.batches.tokenising import Read, Reader

TEXTS = [" ".join((CORPUS[n % 3].split() * 3)[n % 11 : n % 11 + n % 29]) for n in range(200)]


def same(one: Read, other: Read) -> None:
    for name in ("ids", "lengths", "whole", "second"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


@pytest.mark.parametrize("limit", [3, 4, 9, 17, 400])
@pytest.mark.parametrize("kind", ["wordpiece", "metaspace", "last"])
def test_what_is_too_long_is_cut_as_the_tokenizer_cuts_it(kind: str, limit: int):
    tokenizer = made_tokenizer(kind)
    found = Reader(tokenizer, limit).read(TEXTS)
    backend = tokenising.uncut_backend(tokenizer)
    whole = [len(one.ids) for one in backend.encode_batch(TEXTS)]
    backend.enable_truncation(max_length=limit)
    truth = [one.ids for one in backend.encode_batch(TEXTS)]
    assert found.ids.tolist() == [token for ids in truth for token in ids]
    assert found.lengths.tolist() == [len(ids) for ids in truth]
    assert found.whole.tolist() == whole


@pytest.mark.parametrize("limit", [5, 9, 17, 400])
def test_of_pairs_the_longer_text_is_cut_first(limit: int):
    tokenizer = shared_tokenizer("bert-base-cased")
    firsts, seconds = TEXTS[:150], TEXTS[50:]
    same(Reader(tokenizer, limit).read(firsts, seconds), Reader(tokenizer, limit, at_once=False).read(firsts, seconds))


def test_once_words_come_out_otherwise_all_texts_are_read_one_by_one_and_that_is_known(monkeypatch: Any):
    tokenizer = made_tokenizer("wordpiece")
    truth = encode(tokenizer, [(TEXTS, None)], 20, None, at_once=False)
    sound = encode(tokenizer, [(TEXTS, None)], 20, None)
    monkeypatch.setattr(words_at_once, "KIND", bytes(256))  # all is white space
    found = encode(tokenizer, [(TEXTS, None)], 20, None)
    assert found.cut.one_by_one and found.cut.to_json()["one_by_one"]
    assert not sound.cut.one_by_one and "one_by_one" not in sound.cut.to_json()
    assert found.ids.tolist() == truth.ids.tolist() == sound.ids.tolist()


def test_it_can_be_switched_off(monkeypatch: Any):
    monkeypatch.setattr(words_at_once.WordsAtOnce, "of", lambda _: pytest.fail("was not wanted"))
    assert len(Reader(made_tokenizer("wordpiece"), 20, at_once=False).read(TEXTS).lengths) == len(TEXTS)
