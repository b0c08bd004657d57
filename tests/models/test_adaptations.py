from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.made_models import FAMILIES, LAYERS
from whet.errors import UserError
from whet.models import adaptations

from .ready import LABELS, Ready
from .told import TOLD

Made = Callable[..., Ready]


def moving(ready: Ready) -> set[str]:
    return {name for name, p in ready.model.named_parameters() if p.requires_grad}


def lora(ready: Ready, targets: str | list[str] = "auto") -> None:
    adaptations.adapt_lora(ready.model, 2, 4.0, 0.1, targets, str(ready.place.folder), seed=1)


@pytest.mark.parametrize("pooling", [None, "mean"], ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_lora_moves_adapters_and_what_is_new_on_top(made: Made, family: str, pooling: str | None):
    ready = made(family, pooling)
    lora(ready)
    head = {id(p) for p in ready.model.head.parameters()}
    names = moving(ready)
    adapters = {n for n in names if "lora_" in n}
    on_top = {n for n, p in ready.model.named_parameters() if n in names - adapters and id(p) not in head}
    assert len(adapters) >= 2 * LAYERS * 6, "queries, keys, values, outputs and both halves of the feed-forward part"
    assert all("modules_to_save" in n for n in on_top), on_top
    assert head <= {id(p) for n, p in ready.model.named_parameters() if n in names}


def test_lora_starts_where_the_base_is(made: Made):
    ready = made("bert", "mean")
    before = ready.logits()
    lora(ready)
    ready.model.eval()
    torch.testing.assert_close(ready.logits(), before, atol=1e-6, rtol=0)


def test_lora_is_drawn_from_the_seed(made: Made):
    states = []
    for _ in range(2):
        ready = made("bert", "mean")
        torch.rand(3)  # somebody else drew in between
        lora(ready)
        states.append({n: p.clone() for n, p in ready.model.named_parameters() if "lora_A" in n})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_target_modules_are_taken_by_name(made: Made):
    ready = made("bert", "mean")
    lora(ready, ["query", "attention.self.value"])
    touched = {n.partition(".lora_")[0].rsplit(".", 1)[-1] for n in moving(ready) if "lora_" in n}
    assert touched == {"query", "value"}


def test_target_modules_that_match_nothing_are_named_with_what_there_is(made: Made):
    with pytest.raises(UserError) as caught:
        lora(made("bert", "mean"), ["q_proj"])
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("M020", "lora.target_modules")
    assert "q_proj" in problem.what
    assert "query" in problem.remedy


def test_linear_layers_leave_out_head_and_poolers(made: Made):
    for family in FAMILIES:
        model = made(family, None).model
        names = adaptations.linear_layers(model)
        assert names
        assert not any("pooler" in n or "classifier" in n or n == "score" for n in names)


def test_freeze_leaves_the_head(made: Made):
    ready = made("distilbert", None)
    adaptations.freeze(ready.model)
    assert moving(ready) == {"network.classifier.weight", "network.classifier.bias"}
    size = ready.model.head.weight.numel() + len(LABELS)
    assert adaptations.count_trainable(ready.model) == size


@pytest.mark.parametrize("pooling", [None, "mean"], ids=str)
def test_rate_groups_hold_every_moving_weight_once(made: Made, pooling: str | None):
    ready = made("bert", pooling)
    adaptations.adapt_full(ready.model)
    groups = adaptations.rate_groups(ready.model)
    listed = [name for group in groups for name, _ in group.parameters]
    assert sorted(listed) == sorted(moving(ready))
    head = {id(p) for p in ready.model.head.parameters()}
    for group in groups:
        for name, parameter in group.parameters:
            assert (id(parameter) in head) == group.is_head, name
            assert group.decays == (parameter.ndim > 1 and "embed" not in name), name


# --- adaptations by their names -------------------------------------------------------------------------


def adapt(ready: Ready, method: str, **more: object) -> None:
    options = {**TOLD, **{name.replace("__", "."): value for name, value in more.items()}}
    adaptations.adapt(ready.model, method, options, str(ready.place.folder), seed=1)


def test_top_layers_leave_embeddings_and_lower_layers(made: Made):
    ready = made("bert", None)
    adapt(ready, "top-layers")
    names = {name.removeprefix("network.") for name in moving(ready)}
    assert {name.split(".")[:4][-1] for name in names if ".layer." in name} == {"1"}
    assert not any("embeddings" in name for name in names)
    assert {"bert.pooler.dense.weight", "classifier.weight"} <= names


@pytest.mark.parametrize(("family", "last"), [("gpt2", "ln_f"), ("llama", "norm"), ("opt", "final_layer_norm")])
def test_what_stands_above_the_last_layer_moves_with_it(made: Made, family: str, last: str):
    ready = made(family, "last")
    adapt(ready, "top-layers")
    assert any(name.endswith(f"{last}.weight") and "layers" not in name for name in moving(ready))


def test_biases_move_and_nothing_else(made: Made):
    ready = made("distilbert", None)
    adapt(ready, "bitfit")
    names = moving(ready) - {"network.classifier.weight"}
    own = {f"network.{name}" for name in ready.model.fresh for name in (f"{name}.weight", f"{name}.bias")}
    assert names - own
    assert all(name.endswith(".bias") for name in names - own)
    biases = {name for name, _ in ready.model.named_parameters() if name.endswith(".bias")}
    assert biases <= moving(ready)


def test_factors_start_at_one_and_do_not_decay(made: Made):
    ready = made("bert", "mean")
    before = ready.logits()
    adapt(ready, "ia3")
    ready.model.eval()
    torch.testing.assert_close(ready.logits(), before, atol=1e-6, rtol=0)
    factors = {name for name in moving(ready) if "ia3_l" in name}
    assert len(factors) == 3 * LAYERS, "keys, values and the way out of each feed-forward part"
    groups = adaptations.rate_groups(ready.model)
    assert not any(name in factors for group in groups if group.decays for name, _ in group.parameters)
    assert factors == set(adaptations.exact_weights(ready.model))


@pytest.mark.parametrize(
    ("method", "family", "more", "code", "what"),
    [
        ("bitfit", "llama", {}, "M060", "no biases"),
        ("top-layers", "albert", {}, "M061", "share"),
        ("top-layers", "bert", {"layers__top": 3}, "M061", "2 layers"),
        ("lora", "bert", {"lora__rank": 17}, "M062", "16 wide"),
        ("lora", "bert", {"lora__target_modules": ["q_proj"]}, "M020", "q_proj"),
        ("qlora", "bert", {}, "M066", "64"),
    ],
)
def test_what_a_base_cannot_take_is_refused(
    made: Made, method: str, family: str, more: dict[str, object], code: str, what: str
):
    with pytest.raises(UserError) as caught:
        adapt(made(family, "mean"), method, **more)
    (problem,) = caught.value.problems
    assert problem.code == code
    assert what in problem.what
    assert problem.remedy


def test_rates_fall_with_depth_and_rise_for_second_matrices(made: Made):
    ready = made("bert", None)
    adapt(ready, "full")
    factors = {n: g.factor for g in adaptations.rate_groups(ready.model, layer_decay=0.5) for n, _ in g.parameters}
    assert factors["network.classifier.weight"] == 1.0
    assert factors["network.bert.pooler.dense.weight"] == 1.0
    assert factors["network.bert.encoder.layer.1.output.dense.weight"] == 1.0
    assert factors["network.bert.encoder.layer.0.output.dense.weight"] == 0.5
    assert factors["network.bert.embeddings.word_embeddings.weight"] == 0.25
    other = made("bert", None)
    adapt(other, "lora")
    found = {n: g.factor for g in adaptations.rate_groups(other.model, rate_ratio=16.0) for n, _ in g.parameters}
    assert {factor for name, factor in found.items() if "lora_B" in name} == {16.0}
    assert {factor for name, factor in found.items() if "lora_B" not in name} == {1.0}


def test_what_moves_is_said(made: Made):
    ready = made("bert", "mean")
    adapt(ready, "lora")
    told = adaptations.described(ready.model, "lora", TOLD)
    assert told.startswith(f"lora: adapters of rank 2, alpha 4, on {6 * LAYERS} linear layers; ")
    assert f"{adaptations.count_trainable(ready.model):,} weights move" in told
