from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.made_models import FAMILIES, LAYERS
from whet.errors import UserError
from whet.models import adaptations

from .ready import LABELS, Ready

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
