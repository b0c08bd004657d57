"""The difference of two distributions over a vocabulary, chunk by chunk, against torch's own on whole tables."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from whet.kernels import divergence
from whet.kernels.divergence import token_divergence

K, H, V = 23, 6, 17


def inputs() -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    sizes = ((K, H), (K, H), (V, H), (V,))
    found = [torch.randn(size, generator=random, requires_grad=True) for size in sizes]
    return [*found, torch.rand(K, generator=random)]


def plain(one: Tensor, other: Tensor, weight: Tensor, bias: Tensor | None, counts: Tensor, cap: float | None) -> Tensor:
    """In float64, as a sum of two divergences."""
    logits = [(x.double() @ weight.double().T + (0 if bias is None else bias.double())) for x in (one, other)]
    p, q = ((x if cap is None else cap * torch.tanh(x / cap)).log_softmax(1) for x in logits)
    there = F.kl_div(q, p, reduction="none", log_target=True).sum(1)
    back = F.kl_div(p, q, reduction="none", log_target=True).sum(1)
    return ((there + back) / 2 * counts.double()).sum()


@pytest.mark.parametrize("cap", [None, 3.0])
@pytest.mark.parametrize("cells", [5 * V, 1 << 20], ids=["five rows at once", "all at once"])
@pytest.mark.parametrize("biased", [True, False])
def test_values_and_gradients(monkeypatch: pytest.MonkeyPatch, cap: float | None, cells: int, biased: bool):
    monkeypatch.setattr(divergence, "CELLS_AT_ONCE", cells)
    found, wanted = [], []
    for function, into in ((token_divergence, found), (plain, wanted)):
        one, other, weight, bias, counts = inputs()
        value = function(one, other, weight, bias if biased else None, counts, cap)
        value.backward()  # type: ignore[no-untyped-call]
        into += [value, one.grad, other.grad, weight.grad, *([bias.grad] if biased else [])]
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours is not None and theirs is not None
        assert torch.allclose(ours.double(), theirs.double(), atol=2e-5, rtol=2e-5)


def test_equal_passes_do_not_differ():
    one, _, weight, bias, counts = inputs()
    assert token_divergence(one, one, weight, bias, counts).item() == 0.0


def test_nothing_to_say():
    one, other, weight, bias, counts = inputs()
    assert float(token_divergence(one[:0], other[:0], weight, bias, counts[:0])) == 0.0
