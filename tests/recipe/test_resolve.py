from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recipe.made_facts import FACTS
from whet.recipe import from_options
from whet.recipe.names import Method
from whet.recipe.reading import all_options
from whet.recipe.resolve import Facts, candidates, resolve

COLUMNS = ("text", "text_pair", "label", "negative", "group", "speaker")
_ASKED = ("prompting.base", "prompting.instruction", "prompting.max_tokens", "judge.instruction", "judge.against")
_SOURCES = ("sources.template", "sources.source_language", "sources.target_language")
_BESIDE = ("selection.rows", "distillation.max_tokens", "search.space", "search.metric")
DECIDED_LATER = {"chat.template", *_ASKED, *_SOURCES, *_BESIDE, *(f"data.{name}" for name in COLUMNS)}
"""Columns are found in the file; the reading stage records which and why.
What is asked, and who, depends on the base; how many rows are chosen, on the pool; what is searched, on methods."""


def resolved(options: dict[str, Any] | None = None, **facts: Any) -> dict[str, Any]:
    found = resolve(from_options({"data.source": "a.csv", **(options or {})}), Facts(**FACTS | facts))
    assert list(found) and set(found) == set(all_options())
    assert all(choice.reason for choice in found.values())
    return {name: choice.value for name, choice in found.items()}


@given(
    st.integers(1, 10**7),
    st.integers(1, 500),
    st.integers(10**5, 10**11),
    st.integers(2**28, 2**41),
    st.sampled_from(get_args(Method)),
)
def test_every_option_has_a_value_and_a_reason(rows: int, mean: int, size: int, memory: int, method: str):
    found = resolved(
        {"method": method},
        num_rows=rows,
        num_tokens=rows * mean,
        longest=2 * mean,
        num_parameters=size,
        memory_bytes=memory,
    )
    left = {name for name, value in found.items() if value == "auto"}
    assert left <= DECIDED_LATER | {"lora.target_modules", "regularisation.dropout"}
    assert found["training.micro_batch_tokens"] >= 2 * mean
    assert 3 <= found["training.epochs"] <= 10
    assert 256 <= found["training.batch_tokens"] <= 16_384
    assert 0 < found["training.head_learning_rate"] <= 5 * found["training.learning_rate"]


def test_what_was_set_is_kept_and_said():
    options = {"training.epochs": 2.5, "training.learning_rate": 1e-3, "seed": 4}
    recipe = from_options({"data.source": "a.csv", **options})
    found = resolve(recipe, Facts(**FACTS))
    for name, value in options.items():
        assert (found[name].value, found[name].reason) == (value, "set in the recipe")
    assert found["data.source"].reason == "set in the recipe"
    assert found["training.weight_decay"].reason == "default"
    assert found["training.head_learning_rate"].value == pytest.approx(5e-3), "follows the rate below it"


def test_facts_become_values():
    found = resolved()
    assert found["method"] == "full"
    assert found["data.max_length"] == 256
    assert (found["head.pooling"], found["training.precision"]) == ("mean", "bf16")
    assert found["training.batch_tokens"] == 32 * 15
    assert found["training.micro_batch_tokens"] == 720  # a batch may hold a little more than it is asked to
    assert found["training.epochs"] == 3.0


def test_a_base_that_does_not_fit_is_adapted_by_lora():
    big = resolved(num_parameters=7_000_000_000)
    assert big["method"] == "lora"
    assert big["training.learning_rate"] == pytest.approx(1e-4), "five times that of full tuning"
    assert resolved({"method": "full"}, num_parameters=7_000_000_000)["method"] == "full", "unless asked for"


@pytest.mark.parametrize(("task", "probed"), [("regression", True), ("question-answering", False), ("ranking", False)])
def test_a_probe_is_spoken_of_where_there_is_one(task: str, probed: bool):
    reason = resolve(from_options({"data.source": "a.csv", "task": task}), Facts(**FACTS))["method"].reason
    assert reason.endswith("are free; the probe is trained as well" if probed else "are free")


def test_few_rows_are_seen_more_often():
    assert [resolved(num_rows=n)["training.epochs"] for n in (100, 4000, 50_000)] == [8.0, 6.0, 3.0]


def test_larger_bases_take_smaller_steps():
    rates = [resolved(num_parameters=n)["training.learning_rate"] for n in (2e7, 5e7, 1e8, 3e8)]
    assert rates == sorted(rates, reverse=True)
    assert len(set(rates)) == 4


def test_the_head_moves_faster_than_what_is_below_it():
    for task in ("text-classification", "question-answering", "token-classification"):
        found = resolved({"task": task})
        assert found["training.head_learning_rate"] == 5 * found["training.learning_rate"]
        adapted = resolved({"task": task, "method": "lora"})  # adapters take larger steps, a head does not
        assert adapted["training.head_learning_rate"] == pytest.approx(found["training.head_learning_rate"])


@pytest.mark.parametrize(
    ("task", "start"),
    [
        ("text-classification", "probe"),
        ("regression", "probe"),
        ("token-classification", "random"),
        ("question-answering", "random"),
    ],
)
def test_heads_start_from_the_probe_where_that_helps(task, start):
    assert resolved({"task": task})["head.start"] == start
    assert resolved({"task": "token-classification", "head.start": "probe"})["head.start"] == "probe"


def test_the_probe_is_always_trained_first():
    assert candidates("probe", from_options({"data.source": "rows.csv"})) == ["probe"]
    assert candidates("full", from_options({"data.source": "rows.csv"})) == ["probe", "full"]
    assert candidates("lora", from_options({"data.source": "rows.csv"})) == ["probe", "lora"]


MINILM = {"adapter_width": 41_472, "narrowest": 384, "num_layers": 6, "hidden_size": 384}


def test_the_rank_of_an_adapter_follows_from_what_there_is_to_learn():
    few = resolved({"method": "lora"}, **MINILM)
    assert (few["lora.rank"], few["lora.alpha"]) == (16, 32)  # 62,000 bits want 31,000 weights, less than one rank
    talk = {"task": "text-generation", "method": "lora"}
    # 6 million bits want 3 million weights, which are 72 ranks: the next power of two is 128
    assert resolved(talk, **MINILM, num_tokens=6_000_000, num_labels=0)["lora.rank"] == 128
    assert resolved(talk, **MINILM, num_tokens=10**9, num_labels=0)["lora.rank"] == 128
    assert resolved(talk, **{**MINILM, "narrowest": 24}, num_tokens=10**9, num_labels=0)["lora.rank"] == 8
    stable = resolved({"method": "lora", "lora.rank": 64, "lora.rank_stabilised": True}, **MINILM)
    assert stable["lora.alpha"] == 16  # twice the root of the rank


def test_few_weights_take_larger_steps():
    rates = {
        one: resolved({"method": one}, **MINILM)["training.learning_rate"] for one in ("full", "top-layers", "lora")
    }
    assert rates["full"] == rates["top-layers"] < rates["lora"]
    assert resolved({"method": "top-layers"}, **MINILM)["layers.top"] == 1
    assert resolved({"method": "qlora"}, **MINILM)["quantisation.bits"] == 4
    assert resolved({"method": "lora"}, **MINILM)["quantisation.bits"] == 16


@pytest.mark.parametrize(
    ("loss", "method", "size", "rate"),
    [
        ("dpo", "full", 7e9, 5e-7),
        ("ipo", "full", 135e6, 5e-6),
        ("kto", "full", 1e9, 1e-6),
        ("auto", "lora", 7e9, 5e-6),
        ("auto", "lora", 135e6, 5e-5),
        ("orpo", "full", 7e9, 8e-6),
    ],
)
def test_preferences_take_smaller_steps_and_fewer_passes(loss: str, method: str, size: float, rate: float):
    """What teaches answers by heart, 8 passes at 5e-5, leads far from the reference."""
    options = {"task": "preference", "preference.loss": loss, "method": method}
    found = resolved(options, num_rows=500, num_parameters=int(size), columns=("prompt", "chosen"), num_labels=0)
    assert found["training.learning_rate"] == pytest.approx(rate)
    assert found["training.epochs"] == 3
    assert resolved(options, num_rows=60_000, num_labels=0)["training.epochs"] == 1
    tuned = resolved({"task": "text-generation", "method": method}, num_parameters=int(size), num_labels=0)
    assert tuned["training.learning_rate"] > found["training.learning_rate"]


@pytest.mark.parametrize(
    ("layers", "width", "device", "expected"),
    [
        (6, 384, "cpu", 4096),  # minilm
        (30, 576, "cpu", 1041),  # a Llama of 135 M weights
        (32, 4096, "cpu", 512),
        (32, 4096, "cuda", 4096),
        (0, 0, "cpu", 4096),  # not known
    ],
)
def test_deep_and_wide_models_compute_less_at_once_on_a_processor(layers: int, width: int, device: str, expected: int):
    options = {"training.batch_tokens": 100_000}
    facts = {"num_layers": layers, "hidden_size": width, "device": device}
    assert resolved(options, **facts)["training.micro_batch_tokens"] == expected
    assert resolved({"training.batch_tokens": 200}, **facts)["training.micro_batch_tokens"] == 300
    longest = resolved(options, **facts, longest=10_000)["training.micro_batch_tokens"]
    assert longest == 10_000  # a row is not cut
