"""The table of families says what transformers does."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from tests.made_models import DECODERS, ENCODERS, config
from whet.models.families import FAMILIES
from whet.models.networks import auto_class

LISTED = (*ENCODERS, *DECODERS)
KINDS = ("classes", "tokens", "span")


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
    assert (output is None) == (cls is None)
    if output is None:
        return
    last = network.get_submodule(output.last)
    assert isinstance(last, nn.Linear)
    assert last.out_features == (2 if kind == "span" else 3)
    if output.dense:
        dense = network.get_submodule(output.dense)
        assert dense.in_features == dense.out_features
    if "." in facts.positions or facts.positions == "wpe":
        assert isinstance(network.base_model.get_submodule(facts.positions), nn.Embedding)


@pytest.mark.parametrize("family", LISTED)
def test_pluggable_attention_is_what_the_table_says(family: str):
    _, network = made(family, "tokens")
    assert FAMILIES[family].flat == bool(type(network)._supports_attention_backend)


@pytest.mark.parametrize("family", LISTED)
def test_decoders_are_causal(family: str):
    assert FAMILIES[family].causal == (family in DECODERS)


@pytest.mark.parametrize("family", LISTED)
def test_what_is_not_usual_is_explained(family: str):
    facts = FAMILIES[family]
    if not facts.flat or facts.text is None or facts.span_is_tagger:
        assert facts.remark
