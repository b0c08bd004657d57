"""One step: sums over micro-batches divided once, clipping, and precision."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from whet.engine.precision import Weights, fastest_dtype
from whet.engine.protocols import StepLoss
from whet.engine.step import StepResult, gradients, halved, is_out_of_memory
from whet.errors import ModelTooLarge

from .regression import ROWS, TOKENS_PER_ROW, Rows, network, rows, squares

SIZES = (1, 2, 5, 7, ROWS)


def step(size: int, clip_norm: float = 1e9, objective=squares) -> tuple[StepResult, dict[str, torch.Tensor]]:  # type: ignore[no-untyped-def]
    model = network(dropout=0.0, dtype=torch.float64)
    weights = Weights(model, torch.float32)
    asked: list[int] = []
    result = gradients(weights, objective, rows(torch.float64), size * TOKENS_PER_ROW, asked.append, clip_norm)
    assert asked == list(range(math.ceil(ROWS / size)))
    return result, {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("clip_norm", [1e9, 0.1])
@pytest.mark.parametrize("size", SIZES)
def test_loss_and_gradients_are_those_of_the_mean_over_all_rows(size: int, clip_norm: float):
    model = network(dropout=0.0, dtype=torch.float64)
    known = rows(torch.float64)
    loss = (model(known.inputs) - known.targets).square().mean()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    result, found = step(size, clip_norm)
    assert result.loss == pytest.approx(float(loss.detach()), rel=1e-12)
    assert result.grad_norm == pytest.approx(float(norm), rel=1e-12)
    assert result.finite
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-13, rtol=1e-11)


@pytest.mark.parametrize("size", SIZES)
def test_pieces_that_count_unevenly_are_weighted_by_their_counts(size: int):
    """Tokens that carry loss are spread unevenly: a mean of means would be wrong."""

    def uneven(model: nn.Module, batch: Rows) -> StepLoss:
        counted = batch.inputs[:, 0] > -1.0
        each = (model(batch.inputs) - batch.targets).square().squeeze(1)
        return StepLoss(each[counted].sum(), int(counted.sum()))

    whole, expected = step(ROWS, objective=uneven)
    result, found = step(size, objective=uneven)
    assert result.loss == pytest.approx(whole.loss, rel=1e-12)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-13, rtol=1e-11)


def test_a_failed_piece_ends_the_step():
    calls = []

    def failing(model: nn.Module, batch: Rows) -> StepLoss:
        calls.append(len(batch.inputs))
        return StepLoss(squares(model, batch).total * math.inf, len(batch.inputs))

    model = network(0.0)
    result = gradients(Weights(model, torch.float32), failing, rows(), 9, lambda _: None, 1.0)
    assert calls == [3]
    assert not result.finite


def test_halving_ends_at_one_row():
    batch = rows()
    tokens, sizes = 1000, []
    with pytest.raises(ModelTooLarge):
        while True:
            tokens = halved(tokens, batch)
            sizes.append(max(len(piece.inputs) for piece in batch.split(tokens)))
    assert sizes == [12, 6, 3, 1]


def test_memory_errors_are_known_by_type_or_words():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"))
    assert not is_out_of_memory(ValueError("out of memory"))
    assert not is_out_of_memory(RuntimeError("expected scalar type Float"))


def test_in_bf16_masters_hold_what_the_model_rounds_away():
    model = network(0.0)
    exact = {name: p.detach().clone() for name, p in model.named_parameters()}
    model[0].weight.requires_grad_(False)
    weights = Weights(model, torch.bfloat16, exact=["3."])
    assert {n: p.dtype for n, p in model.named_parameters()} == {
        "0.weight": torch.bfloat16,
        "0.bias": torch.bfloat16,
        "3.weight": torch.float32,
        "3.bias": torch.float32,
    }
    assert set(weights.masters) == {"0.bias", "3.weight", "3.bias"}
    assert all(torch.equal(master, exact[name]) for name, master in weights.masters.items())
    with torch.no_grad():
        for master in weights.masters.values():
            master += 1e-4  # less than bf16 can tell near 1
    weights.publish()
    assert torch.equal(model[0].bias, (exact["0.bias"] + 1e-4).bfloat16())
    assert torch.equal(model[3].bias, exact["3.bias"] + 1e-4)
    kept = {name: value.clone() for name, value in weights.state().items()}
    weights.load({name: torch.zeros_like(value) for name, value in kept.items()})
    assert not model[0].bias.any()
    weights.load(kept)
    assert torch.equal(model[0].bias, (exact["0.bias"] + 1e-4).bfloat16())


def test_bf16_gradients_are_summed_in_fp32():
    model = nn.Linear(1, 1, bias=False)
    weights = Weights(model, torch.bfloat16)
    master = weights.masters["weight"]
    for repetition in (1, 2):  # what one step leaves behind does not reach the next
        for _ in range(300):  # in bf16 a sum of ones stalls at 256
            model(torch.ones(1, 1, dtype=torch.bfloat16)).sum().backward()
            assert weights.trained["weight"].grad is None
        assert master.grad is not None and master.grad.item() == 300.0, repetition
        weights.scale_gradients(0.5)
        assert master.grad.item() == 150.0
        weights.clear_gradients()
        assert master.grad is None


def test_the_fastest_precision_comes_with_its_reason():
    dtype, reason = fastest_dtype(torch.device("cpu"))
    assert dtype in (torch.float32, torch.bfloat16)
    assert reason.startswith("the CPU ")
