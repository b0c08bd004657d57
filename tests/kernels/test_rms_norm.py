from __future__ import annotations

import pytest
import torch

from whet.kernels.rms_norm import reference, rms_norm


def parts(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, 12, generator=random).mul_(3).to(dtype)
    weight = (torch.rand(12, generator=random) + 0.5).to(dtype)
    return x.requires_grad_(), weight.requires_grad_()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_answers_are_the_same_bit_for_bit(dtype: torch.dtype):
    x, weight = parts(dtype)
    assert torch.equal(rms_norm(x, weight, 1e-5), reference(x, weight, 1e-5))


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 3e-2)])
def test_gradients_are_those_of_the_parts(dtype: torch.dtype, near: float):
    found = []
    for compute in (rms_norm, reference):
        x, weight = parts(dtype)
        said = compute(x, weight, 1e-2)
        slope = torch.linspace(-1, 2, said.numel()).view_as(said)
        found.append(torch.autograd.grad((said.float() * slope).sum(), (x, weight)))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours.float(), plain.float(), atol=near, rtol=near)


def test_they_are_the_slopes_of_what_it_computes():
    """Against float64, which the kernel itself never computes in."""
    x, weight = parts(torch.float32)
    slope = torch.linspace(-1, 2, x.numel()).view_as(x)
    ours = torch.autograd.grad((rms_norm(x, weight, 1e-2) * slope).sum(), (x, weight))
    exact_x, exact_weight = (one.detach().double().requires_grad_() for one in (x, weight))
    exact = exact_weight * exact_x * torch.rsqrt(exact_x.square().mean(-1, keepdim=True) + 1e-2)
    wanted = torch.autograd.grad((exact * slope).sum(), (exact_x, exact_weight))
    for one, other in zip(ours, wanted, strict=True):
        torch.testing.assert_close(one.double(), other, atol=1e-5, rtol=1e-5)


def test_only_what_is_asked_for_has_a_gradient():
    x, weight = parts(torch.float32)
    rms_norm(x.detach(), weight, 1e-5).sum().backward()
    assert weight.grad is not None and x.grad is None
    x, weight = parts(torch.float32)
    rms_norm(x, weight.detach(), 1e-5).sum().backward()
    assert x.grad is not None and weight.grad is None
