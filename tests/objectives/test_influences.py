"""What has a say in a step: against plain references, over micro-batches, and resumed exactly."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.engine.regression import Memory, Rows, Trial, network, plan, rows, same, squares
from tests.engine.test_resuming import bf16_squares, check_equal, stopping_after
from whet import seeds
from whet.engine.precision import Weights
from whet.engine.protocols import Influence
from whet.engine.step import gradients
from whet.errors import Interrupted
from whet.kernels.dropout import ByteStream
from whet.objectives.gradual import Gradual
from whet.objectives.mixout import Mixout
from whet.objectives.start import TowardsStart

MATRICES = ("0.weight", "3.weight")
ALL = (*MATRICES, "0.bias", "3.bias")
DEPTHS = {"0.weight": 2, "0.bias": 2, "3.weight": 1, "3.bias": 0}
Make = Callable[[Weights], Sequence[Influence]]
INFLUENCES: dict[str, Make] = {
    "start": lambda weights: [TowardsStart(weights, ALL, 0.3)],
    "mixout": lambda weights: [Mixout(weights, MATRICES, 0.4, 7)],
    "gradual": lambda weights: [Gradual(DEPTHS, 2, 9)],
    "all": lambda weights: [
        Gradual(DEPTHS, 2, 9),
        TowardsStart(weights, ALL, 0.3),
        Mixout(weights, MATRICES, 0.4, 7),
    ],
}


def moved(dropout: float = 0.0) -> tuple[nn.Module, Weights, dict[str, Tensor]]:
    """A network whose weights are not where they began; and where that was."""
    model = network(dropout)
    weights = Weights(model, torch.float32)
    return model, weights, {name: p.detach().clone() for name, p in weights.masters.items()}


def shift(weights: Weights) -> None:
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for master in weights.masters.values():
            master += 0.3 * torch.randn(master.shape, generator=random)
    weights.publish()


def computed(weights: Weights, influences: Sequence[Influence], size: int = 1000, step: int = 4) -> dict[str, Any]:
    result = gradients(weights, squares, rows(), size, lambda _: None, 1e9, influences, step)
    assert result.finite
    return {name: None if p.grad is None else p.grad.clone() for name, p in weights.masters.items()}


@pytest.mark.parametrize("size", [1000, 7], ids=["whole", "micro-batches"])
def test_the_pull_to_the_start_is_the_gradient_of_its_penalty(size: int):
    model, weights, start = moved()
    pull = TowardsStart(weights, ALL[:3], 0.3)
    shift(weights)
    found = computed(weights, [pull], size)
    weights.clear_gradients()
    loss = squares(model, rows())
    penalty = sum((p - start[n]).square().sum() for n, p in model.named_parameters() if n in ALL[:3])
    (loss.total / loss.num_counted + 0.15 * penalty).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        assert torch.allclose(found[name], parameter.grad, atol=1e-5), name


@pytest.mark.parametrize("size", [1000, 7], ids=["whole", "micro-batches"])
def test_mixout_is_the_gradient_through_mixed_weights(size: int):
    """The reference mixes with a graph, as the paper writes it."""
    chance, seed, step = 0.25, 7, 4
    model, weights, start = moved()
    mixout = Mixout(weights, MATRICES, chance, seed)
    shift(weights)
    before = weights.state()
    before = {name: value.clone() for name, value in before.items()}
    found = computed(weights, [mixout], size, step)
    assert same(dict(model.named_parameters()), before), "the weights themselves are as they were"

    stream = ByteStream(seeds.derive(seed, "mixout", step))
    leaves = {name: value.clone().requires_grad_(True) for name, value in before.items()}
    mixed, masked = dict(leaves), 0
    for name in MATRICES:
        drawn = stream.take(2 * start[name].numel()).numpy().view(np.uint16)
        mask = torch.from_numpy(drawn < chance * 65536).float().view(start[name].shape)
        mixed[name] = (mask * start[name] + (1 - mask) * leaves[name] - chance * start[name]) / (1 - chance)
        masked += int(mask.sum())
    assert 0 < masked < 30
    known = rows()
    said = torch.func.functional_call(model, mixed, (known.inputs,))
    (said - known.targets).square().sum().div(len(known.inputs)).backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert torch.allclose(found[name], leaf.grad, atol=1e-5), name


def test_mixout_is_the_weight_on_average():
    _, weights, start = moved()
    mixout = Mixout(weights, ["0.weight"], 0.5, 1)
    shift(weights)
    seen = []
    for step in range(400):
        with mixout.during(weights, step):
            seen.append(weights.trained["0.weight"].detach().clone())
    mean, apart = torch.stack(seen).mean(0), (weights.masters["0.weight"] - start["0.weight"]).detach()
    assert float((mean - weights.masters["0.weight"].detach()).abs().max()) < 4 * float(apart.abs().max()) / 20
    assert float((torch.stack(seen) == start["0.weight"]).float().mean()) == pytest.approx(0.5, abs=0.03)


def test_the_smallest_chance_has_an_effect():
    """It is drawn as it is said, not in 256ths; the smallest there is where it is smaller still."""
    many = nn.Linear(1000, 1000, bias=False)
    weights = Weights(many, torch.float32)
    for chance, wanted in ((0.001, 0.001), (0.3, 0.3), (1e-9, 1 / 65536)):
        mixout = Mixout(weights, ["weight"], chance, 1)
        mixout.start["weight"] = mixout.start["weight"] + 1.0
        with mixout.during(weights, 0):
            share = float((weights.trained["weight"] == mixout.start["weight"]).float().mean())
        assert share == pytest.approx(wanted, rel=0.15 if wanted > 1e-4 else 1.0) and share > 0


def test_mixed_weights_are_not_held_while_a_batch_is_computed():
    _, weights, start = moved()
    values = {name: torch.zeros_like(value) for name, value in start.items()}
    kept = [weakref.ref(value) for value in values.values()]
    with weights.lent(values):
        del values
        assert [one() for one in kept] == [None] * len(kept)
        assert all(float(p.detach().abs().max()) == 0.0 for p in weights.trained.values())
    assert same(dict(weights.masters), start)


def test_mixout_puts_weights_back_when_a_batch_fails():
    model, weights, _ = moved()
    mixout = Mixout(weights, MATRICES, 0.5, 1)
    shift(weights)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    with pytest.raises(MemoryError), mixout.during(weights, 0):
        raise MemoryError
    assert same(dict(model.named_parameters()), before)


def test_layers_are_set_free_from_the_top():
    order = Gradual({"a": 0, "b": 1, "c": 2, "d": 3}, 3, 10)
    assert [order.free(step) for step in range(12)] == [1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]
    assert order.begins() == [0, 4, 7]


def test_what_is_not_free_has_no_gradient_and_no_moments():
    trial = Trial(settings=plan(influences=[Gradual(DEPTHS, 2, 12)]), dropout=0.0)
    before = trial.state()
    asked: list[tuple[str, ...]] = []

    def objective(model: nn.Module, batch: Rows) -> Any:
        asked.append(tuple(name for name, p in model.named_parameters() if p.requires_grad))
        return squares(model, batch)

    trial.objective = objective
    for event in trial.start():
        if event.to_json().get("step") == 4 and event.kind == "evaluation":
            held = trial.state()
    assert [len(one) for one in asked] == [2] * 6 + [4] * 12
    assert torch.equal(held["0.weight"], before["0.weight"]) and not torch.equal(held["3.weight"], before["3.weight"])
    kept = trial.keeper.load("last")
    assert kept is not None
    steps = {name: int(kept[0][f"optimiser/{name}/step"]) for name in ALL}
    assert steps == {"0.weight": 12, "0.bias": 12, "3.weight": 18, "3.bias": 18}


@pytest.mark.parametrize("name", INFLUENCES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_stopped_and_resumed(name: str, precision: torch.dtype):
    def trial(keeper: Memory) -> Trial:
        more = {} if precision == torch.float32 else {"objective": bf16_squares}
        made = Trial(keeper, precision=precision, **more)
        made.settings = replace(made.settings, influences=INFLUENCES[name](made.weights))
        return made

    whole = trial(Memory())
    whole.run()
    plain = Trial(precision=precision, **({} if precision == torch.float32 else {"objective": bf16_squares}))
    plain.run()
    assert not same(whole.state(), plain.state())
    for step in (3, 8, 13):
        keeper = Memory()
        with pytest.raises(Interrupted):
            list(trial(keeper).start(stopping_after(step)))
        again = trial(keeper)
        again.run()
        check_equal(again, whole)
