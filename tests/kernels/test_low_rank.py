from __future__ import annotations

import pytest
import torch
from torch import Tensor

from whet.kernels import low_rank as module
from whet.kernels.low_rank import low_rank, reference


def parts(
    dtype: torch.dtype, bias: bool, dropped: bool, width: int = 9
) -> tuple[list[Tensor], Tensor, Tensor | None, Tensor | None]:
    """x, A and B with gradients; W, b and what dropout keeps without."""
    random = torch.Generator().manual_seed(0)
    x, a, b = (torch.randn(*size, generator=random, dtype=dtype) for size in ((2, 7, 12), (3, 12), (width, 3)))
    weight = torch.randn(width, 12, generator=random, dtype=dtype)
    added = torch.randn(width, generator=random, dtype=dtype) if bias else None
    kept = (torch.rand(2, 7, 12, generator=random) > 0.25).to(torch.int8) if dropped else None
    return [one.requires_grad_() for one in (x, a, b)], weight, added, kept


@pytest.mark.parametrize("dropped", [False, True], ids=["whole", "dropped"])
@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("few", [module.FEW, 0], ids=["few", "many"])
@pytest.mark.parametrize("width", [9, 15], ids=["narrows", "widens"])
def test_answers_and_gradients_are_those_of_the_parts(
    bias: bool, dropped: bool, few: int, width: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "FEW", few)
    found = []
    for compute in (low_rank, reference):
        (x, a, b), weight, added, kept = parts(torch.float64, bias, dropped, width)
        said = compute(x, weight, added, a, b, kept, 0.5)
        assert said.shape == (2, 7, width)
        slope = torch.linspace(-1, 2, said.numel(), dtype=said.dtype).view_as(said)
        found.append((said, *torch.autograd.grad((said * slope).sum(), (x, a, b))))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-10)


def test_the_layer_gets_no_gradient_and_its_input_none_that_nobody_asked_for():
    (x, a, b), weight, _, _ = parts(torch.float64, False, False)
    low_rank(x.detach(), weight, None, a, b, None, 2.0).sum().backward()
    assert a.grad is not None and b.grad is not None and x.grad is None and weight.grad is None


def test_in_16_bits_it_is_as_near_as_the_parts():
    (x, a, b), weight, added, kept = parts(torch.float64, True, True)
    exact = reference(x, weight, added, a, b, kept, 0.5).detach()
    assert kept is not None
    short = [None if one is None else one.detach().to(torch.bfloat16) for one in (x, weight, added, a, b)]
    ours, plain = (compute(*short, kept, 0.5).double() for compute in (low_rank, reference))  # type: ignore[arg-type]
    assert float((ours - exact).abs().max()) <= 1.5 * float((plain - exact).abs().max()) + 1e-3
