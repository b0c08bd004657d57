"""Averages of weights: what they are, that they are what is looked at and kept, and that they resume exactly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from whet.engine.averages import Averages
from whet.engine.events import Evaluated
from whet.engine.precision import Weights
from whet.errors import Interrupted

from .regression import Memory, Trial, network, plan, rows, same
from .test_resuming import bf16_squares, check_equal, stopping_after

KINDS = [("ema", torch.float32), ("checkpoints", torch.float32), ("ema", torch.bfloat16)]


def averaged(kind: str, **changes: Any) -> Any:
    return plan(average=kind, average_decay=0.8, **changes)


def trial_of(kind: str, precision: torch.dtype, keeper: Memory | None = None, **changes: Any) -> Trial:
    more = {} if precision == torch.float32 else {"objective": bf16_squares}
    return Trial(keeper or Memory(), averaged(kind, **changes), precision=precision, **more)


def test_a_moving_average_by_hand():
    weights = {"w": torch.tensor([1.0])}
    found = Averages("ema", 0.5, weights)
    value, number = 1.0, 0
    for now in (2.0, 5.0, -1.0, 4.0, 4.0, 3.0):
        weights["w"].fill_(now)
        kept = min(0.5, (1 + number) / (10 + number))
        value = kept * value + (1 - kept) * now
        number = found.stepped(weights, number)
        assert found.looked(weights, number) == number
    assert number == 6
    assert float(found.values["w"]) == pytest.approx(value)


def test_the_mean_of_all_looks_by_hand():
    weights = {"w": torch.tensor([7.0])}
    found, number = Averages("checkpoints", 0.5, weights), 0
    for now in (2.0, 5.0, -1.0):
        weights["w"].fill_(now)
        assert found.stepped(weights, number) == number
        number = found.looked(weights, number)
    assert (number, float(found.values["w"])) == (3, pytest.approx(2.0))


def test_without_an_average_nothing_is_kept():
    found = Averages("none", 0.5, {"w": torch.ones(1)})
    assert found.values == {} and found.state() == {}


@pytest.mark.parametrize(("kind", "precision"), KINDS)
def test_what_is_looked_at_and_kept_is_the_average(kind: str, precision: torch.dtype):
    trial = trial_of(kind, precision)
    seen: list[dict[str, Tensor]] = []
    look = trial.evaluate

    def evaluate() -> Any:
        seen.append(trial.state())
        return look()

    trial.evaluate = evaluate  # type: ignore[method-assign]
    # the weights themselves, at every look, by an equal training that averages nothing
    other = trial_of("none", precision)
    plain: list[dict[str, Tensor]] = []
    for event in other.start():
        if isinstance(event, Evaluated):
            plain.append({name: p.detach().clone() for name, p in other.weights.masters.items()})
    trial.run()
    assert trial.weights.masters.keys() == plain[0].keys()
    assert same(seen[0], {name: value.to(precision) for name, value in plain[0].items()})
    if kind == "checkpoints":
        for number in range(1, len(plain)):
            mean = {n: torch.stack([one[n] for one in plain[1 : number + 1]]).mean(0) for n in plain[0]}
            for name, value in mean.items():
                assert torch.allclose(seen[number][name].float(), value.to(precision).float(), atol=1e-6)
    else:
        assert not same(seen[-1], {name: value.to(precision) for name, value in plain[-1].items()})
    best = trial.keeper.load("best")
    assert best is not None
    step = int(best[1]["best_step"])
    looked = [e.step for e in trial.of(Evaluated)].index(step)
    assert same({name: value.to(precision) for name, value in best[0].items()}, seen[looked])
    assert same(trial.state(), seen[looked])


@pytest.mark.parametrize(("kind", "precision"), KINDS)
def test_the_weights_go_on_as_if_nobody_had_averaged(kind: str, precision: torch.dtype):
    plain, trial = trial_of("none", precision), trial_of(kind, precision)
    plain.run(), trial.run()
    ours, theirs = trial.keeper.load("last"), plain.keeper.load("last")
    assert ours is not None and theirs is not None
    assert same({name: ours[0][name] for name in theirs[0]}, theirs[0])


@pytest.mark.parametrize(("kind", "precision"), KINDS)
@pytest.mark.parametrize("step", [1, 4, 7, 17])
def test_stopped_and_resumed(kind: str, precision: torch.dtype, step: int):
    whole = trial_of(kind, precision)
    whole.run()
    keeper = Memory()
    with pytest.raises(Interrupted):
        list(trial_of(kind, precision, keeper).start(stopping_after(step)))
    again = trial_of(kind, precision, keeper)
    again.run()
    check_equal(again, whole)


def test_lent_values_are_computed_with_and_taken_back():
    for precision in (torch.float32, torch.bfloat16):
        model = network(0.0)
        weights = Weights(model, precision)
        before = {name: p.detach().clone() for name, p in weights.masters.items()}
        inside = {name: p.detach().clone() for name, p in model.named_parameters()}
        inputs = rows().inputs.to(precision)
        with weights.lent({name: torch.zeros_like(value) for name, value in before.items()}):
            assert float(model(inputs).detach().abs().max()) == 0.0
            if precision == torch.bfloat16:
                assert same(dict(weights.masters), before)
        assert same(dict(weights.masters), before)
        assert same(dict(model.named_parameters()), inside)
