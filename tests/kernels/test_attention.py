from __future__ import annotations

import pytest
import torch
from torch import Tensor

from whet.kernels import attention
from whet.kernels.attention import attend, reference
from whet.kernels.dropout import ByteStream
from whet.kernels.flat import layout

HEADS, GROUPS, WIDTH = 4, 2, 5
LENGTHS = [[3, 1, 6, 2], [4, 4, 4], [7], [1, 1]]


def triple(num_tokens: int, num_groups: int = HEADS, seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    heads = (HEADS, num_groups, num_groups)
    return [torch.randn(num_tokens, n, WIDTH, generator=random, dtype=dtype).requires_grad_() for n in heads]


@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("num_groups", [HEADS, GROUPS, 1])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_forward_and_backward_equal_the_reference(lengths: list[int], num_groups: int, causal: bool):
    where = layout(torch.tensor(lengths))
    results = []
    for compute in (attend, reference):
        inputs = triple(where.num_tokens, num_groups)
        found = compute(*inputs, where, 0.4, causal=causal)
        assert found.shape == (where.num_tokens, HEADS, WIDTH)
        weights = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view_as(found)
        gradients = torch.autograd.grad((found * weights).sum(), inputs)
        results.append((found, *gradients))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_our_own_causal_form_is_the_same(monkeypatch: pytest.MonkeyPatch, lengths: list[int]):
    where = layout(torch.tensor(lengths))
    inputs = triple(where.num_tokens, GROUPS)
    fused = attend(*inputs, where, 0.4, causal=True)
    wanted = torch.autograd.grad(fused.square().sum(), inputs)
    monkeypatch.setattr(attention, "_fused", lambda *_: None)
    ours = attend(*inputs, where, 0.4, causal=True)
    torch.testing.assert_close(ours, fused, atol=1e-12, rtol=1e-10)
    for one, other in zip(torch.autograd.grad(ours.square().sum(), inputs), wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize(("width", "longest"), [(8, 40), (64, 40), (64, 300)])
def test_half_precision_is_near_whatever_computes_it(width: int, longest: int):
    where = layout(torch.tensor([longest, longest // 2, 3]))
    random = torch.Generator().manual_seed(0)
    exact = [torch.randn(where.num_tokens, 2, width, generator=random, dtype=torch.bfloat16) for _ in range(3)]
    short = [part.clone().requires_grad_() for part in exact]
    plain = [part.double().requires_grad_() for part in exact]
    found = attend(*short, where, width**-0.5, causal=True)
    wanted = reference(*plain, where, width**-0.5, causal=True)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, atol=0.03, rtol=0.03)
    grads = torch.autograd.grad(found.float().sum(), short)
    for one, other in zip(grads, torch.autograd.grad(wanted.sum(), plain), strict=True):
        torch.testing.assert_close(one.double(), other, atol=0.1, rtol=0.1)


@pytest.mark.parametrize("causal", [False, True])
def test_gradients_pass_the_numerical_check(causal: bool):
    where = layout(torch.tensor([2, 3]))
    inputs = triple(5, GROUPS)
    assert torch.autograd.gradcheck(lambda q, k, v: attend(q, k, v, where, 0.5, causal), inputs)


@pytest.mark.parametrize("lengths", [[3, 2, 4], [3, 3, 3]], ids=str)
def test_changing_a_neighbour_changes_nothing_for_me(lengths: list[int]):
    where = layout(torch.tensor(lengths))
    mine = slice(lengths[0], lengths[0] + lengths[1])
    inputs = triple(where.num_tokens, dtype=torch.float32)
    before = attend(*inputs, where, 0.5)[mine]
    with torch.no_grad():
        for tensor, other in zip(inputs, triple(where.num_tokens, seed=9, dtype=torch.float32), strict=True):
            kept = tensor[mine].clone()
            tensor.copy_(100 * other)
            tensor[mine] = kept
    after = attend(*inputs, where, 0.5)
    assert torch.equal(after[mine], before)
    gradients = torch.autograd.grad(after[mine].sum(), inputs)
    for gradient in gradients:
        outside = torch.ones(where.num_tokens, dtype=torch.bool)
        outside[mine] = False
        assert not gradient[outside].any(), "my loss does not reach a neighbour either"


def test_a_causal_token_knows_nothing_of_what_follows():
    where = layout(torch.tensor([5, 3]))
    inputs = triple(8)
    before = attend(*inputs, where, 0.5, causal=True)
    with torch.no_grad():
        for tensor in inputs:
            tensor[3:5] += 1.0
    after = attend(*inputs, where, 0.5, causal=True)
    assert torch.equal(after[:3], before[:3])
    assert torch.equal(after[5:], before[5:])
    assert not torch.allclose(after[3:5], before[3:5])


def test_dropout_of_weights_keeps_the_expectation():
    where = layout(torch.tensor([4, 6]))
    inputs = [t.detach() for t in triple(10)]
    still = attend(*inputs, where, 0.5)
    stream = ByteStream(3)
    drawn = torch.stack([attend(*inputs, where, 0.5, keep=stream, chance=0.1) for _ in range(2000)])
    assert not torch.equal(drawn[0], drawn[1])
    torch.testing.assert_close(drawn.mean(0), still, atol=0.06, rtol=0)
    assert torch.equal(attend(*inputs, where, 0.5, keep=stream, chance=0.0), still)


@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("chance", [0.0, 0.25])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_tables_in_pieces_are_the_same(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, chance: float, causal: bool
):
    """Answers and gradients, dropout included."""
    where, found = layout(torch.tensor([7, 3, 9, 9, 1])), []
    monkeypatch.setattr(attention, "_fused", lambda *_: None)
    for cells in (1 << 19, 100):
        monkeypatch.setattr(attention, "CELLS_AT_ONCE", cells)
        inputs = triple(where.num_tokens, GROUPS, dtype=dtype)
        said = attend(*inputs, where, 0.4, causal=causal, keep=ByteStream(5), chance=chance)
        weights = torch.linspace(-1, 2, said.numel(), dtype=torch.float64).view(said.shape).to(dtype)
        found.append((said, *torch.autograd.grad((said * weights).sum(), inputs)))
    for whole, pieces in zip(*found, strict=True):
        near = {torch.bfloat16: 1e-2, torch.float32: 1e-5, torch.float64: 1e-12}[dtype]
        torch.testing.assert_close(whole, pieces, atol=near, rtol=near)
