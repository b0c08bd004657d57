"""The table of families says what transformers does."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from tests.made_models import CAUSAL, DECODERS, ENCODERS, MASKED, MORE_DECODERS, config
from whet.models.families import FAMILIES
from whet.models.networks import auto_class, guesses, why_no_language

LISTED = (*ENCODERS, *DECODERS, *MORE_DECODERS)
KINDS = ("classes", "tokens", "span", "language")


def test_every_family_that_is_promised_is_listed():
    assert set(LISTED) <= set(FAMILIES)
    assert set(FAMILIES) - set(LISTED) == {"camembert", "deberta", "mt5"}, "listed as the same as another one"


def made(family: str, kind: Any) -> tuple[Any, Any]:
    settings = config(family, 50, 0)
    settings.num_labels = 2 if kind == "span" else 3
    cls = auto_class(settings, kind, pooled=False)
    return cls, None if cls is None else cls.from_config(settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", LISTED)
def test_names_of_modules_exist(family: str, kind: Any):
    facts = FAMILIES[family]
    cls, network = made(family, kind)
    output = facts.output(kind)
    if facts.encoder and kind == "language":  # both halves are used; transformers itself names the last layer
        assert output is None
        assert isinstance(network.get_output_embeddings(), nn.Linear)
        return
    assert (output is None) == (cls is None)
    if output is None:
        return
    last = network.get_submodule(output.last)
    assert isinstance(last, nn.Linear)
    assert last.out_features == {"span": 2, "language": 50}.get(kind, 3)
    if output.dense:
        dense = network.get_submodule(output.dense)
        assert dense.in_features == dense.out_features
    if "." in facts.positions or facts.positions == "wpe":
        assert isinstance(network.base_model.get_submodule(facts.positions), nn.Embedding)


@pytest.mark.parametrize("family", LISTED)
def test_pluggable_attention_is_what_the_table_says(family: str):
    _, network = made(family, "classes" if family in ("opt", "gemma3_text") else "tokens")
    assert FAMILIES[family].flat == bool(type(network)._supports_attention_backend)


@pytest.mark.parametrize("family", LISTED)
def test_decoders_are_causal(family: str):
    assert FAMILIES[family].causal == (family in (*DECODERS, *MORE_DECODERS))


@pytest.mark.parametrize("family", LISTED)
def test_what_language_models_say(family: str):
    others = {"xlnet": "permuted", "t5": "target"}
    wanted = {**dict.fromkeys(CAUSAL, "next"), **dict.fromkeys(MASKED, "masked"), **others}.get(family)
    settings = config(family, 50, 0)
    assert guesses(settings) == wanted
    assert bool(why_no_language(settings)) == (wanted is None)
    last = FAMILIES[family].language
    if last is not None:
        _, network = made(family, "language")
        assert network.get_output_embeddings() is network.get_submodule(last.last)


@pytest.mark.parametrize("family", LISTED)
def test_what_is_not_usual_is_explained(family: str):
    facts = FAMILIES[family]
    if not facts.flat or facts.text is None or facts.span_is_tagger:
        assert facts.remark
