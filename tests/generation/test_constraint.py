"""Answers of a given form."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_tokenizers import MAKERS
from whet.errors import UserError
from whet.generation import constraint
from whet.generation.constraint import json_schema, regular
from whet.generation.loop import Sampling, generate

installed = pytest.mark.skipif(not importlib.util.find_spec("llguidance"), reason="llguidance is not installed")
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Rome", "Oslo"]}, "warm": {"type": "boolean"}},
    "required": ["city", "warm"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False},
}


@cache
def model() -> tuple[Any, Any]:
    """A decoder with random weights over bytes."""
    from tokenizers import decoders
    from transformers import GPT2Config, GPT2LMHeadModel

    words = MAKERS["bytes, unframed"]()
    words.backend_tokenizer.decoder = decoders.ByteLevel()
    torch.manual_seed(3)
    shape = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128, "tie_word_embeddings": False}
    return GPT2LMHeadModel(GPT2Config(vocab_size=len(words), **shape)).eval(), words


def answers(form: Any, sampling: Sampling) -> list[Any]:
    network, words = model()
    given = [np.array([50 + number, 60]) for number in range(4)]
    return generate(network, words, given, sampling, eos_ids=[words.eos_token_id], constraint=form)


@installed
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_every_answer_follows_the_schema(temperature: float) -> None:
    _, words = model()
    form = json_schema(words, SCHEMA, [words.eos_token_id])
    sampling = Sampling(max_tokens=60, temperature=temperature, seed=2)
    found = answers(form, sampling)
    for one in found:
        told = json.loads(one.text)
        assert set(told) == {"city", "warm"} and told["city"] in ("Rome", "Oslo") and isinstance(told["warm"], bool)
        assert one.finished and one.ids[-1] == words.eos_token_id
    assert answers(form, sampling) == found  # the same rows once more
    assert answers(json_schema(words, json.dumps(SCHEMA), [words.eos_token_id]), sampling) == found


@installed
def test_every_answer_matches_the_pattern() -> None:
    _, words = model()
    found = answers(regular(words, "[a-c]{2,5}!", [words.eos_token_id]), Sampling(max_tokens=60, temperature=1.0))
    assert all(re.fullmatch("[a-c]{2,5}!", one.text) for one in found)


@installed
@pytest.mark.parametrize("schema", ["{", "[1]", '{"type": "nothing"}'])
def test_a_schema_that_cannot_be_followed_is_refused(schema: str) -> None:
    with pytest.raises(UserError, match="C014"):
        json_schema(model()[1], schema, [3])


@installed
def test_a_pattern_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(UserError, match="C014"):
        regular(model()[1], "a(", [3])


@installed
def test_something_must_end_an_answer() -> None:
    with pytest.raises(UserError, match="C015"):
        json_schema(model()[1], SCHEMA, [])


def test_the_refusal_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constraint, "_LIBRARY", "no_such_library_here")
    with pytest.raises(UserError, match=r"C013.*pip install llguidance"):
        json_schema(model()[1], SCHEMA, [3])
