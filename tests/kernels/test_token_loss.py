from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from whet.kernels import token_loss as module
from whet.kernels.token_loss import token_loss, token_nats


def made(bias: bool, dtype: torch.dtype = torch.float32, k: int = 37, words: int = 50):
    torch.manual_seed(0)
    features = torch.randn(k, 8, dtype=dtype, requires_grad=True)
    weight = torch.randn(words, 8, dtype=dtype, requires_grad=True)
    shift = torch.randn(words, dtype=dtype, requires_grad=True) if bias else None
    return features, weight, shift, torch.randint(words, (k,)), torch.rand(k)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cells", [50, 173, 1 << 23])
@pytest.mark.parametrize("cap", [None, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_it_is_cross_entropy_with_its_gradients(
    monkeypatch: pytest.MonkeyPatch, bias: bool, cells: int, cap: float | None, smoothing: float
) -> None:
    monkeypatch.setattr(module, "CELLS_AT_ONCE", cells)
    monkeypatch.setattr(module, "CELLS_IN_CACHE", cells // 3)
    features, weight, shift, targets, counts = made(bias)
    parts = [part for part in (features, weight, shift) if part is not None]
    logits = F.linear(features, weight, shift)
    logits = logits if cap is None else cap * torch.tanh(logits / cap)
    plain = (F.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing) * counts).sum()
    wanted = torch.autograd.grad(3 * plain, parts)
    found = token_loss(features, weight, shift, targets, counts, cap, smoothing)
    assert found.item() == pytest.approx(plain.item(), rel=1e-5)
    for one, other in zip(torch.autograd.grad(3 * found, parts), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    whole = token_loss(features, weight, shift, targets, counts, cap, smoothing, whole=True)
    torch.testing.assert_close(whole, plain)


def test_frozen_weights_get_no_gradient() -> None:
    features, weight, _, targets, counts = made(False)
    weight.requires_grad_(False)
    token_loss(features, weight, None, targets, counts).backward()
    assert weight.grad is None and features.grad is not None and features.grad.abs().sum() > 0


@pytest.mark.parametrize("cells", [50, 173, 1 << 23])
def test_half_precision_is_near(monkeypatch: pytest.MonkeyPatch, cells: int) -> None:
    monkeypatch.setattr(module, "CELLS_AT_ONCE", cells)
    monkeypatch.setattr(module, "CELLS_IN_CACHE", cells // 3)
    features, weight, shift, targets, counts = made(True, torch.bfloat16)
    exact = [part.detach().float().requires_grad_() for part in (features, weight, shift)]  # type: ignore[union-attr]
    plain = (F.cross_entropy(F.linear(*exact), targets, reduction="none") * counts).sum()
    found = token_loss(features, weight, shift, targets, counts)
    assert found.item() == pytest.approx(plain.item(), rel=1e-2)
    wanted = torch.autograd.grad(plain, exact)
    for one, other in zip(torch.autograd.grad(found, (features, weight, shift)), wanted, strict=True):
        torch.testing.assert_close(one.float(), other, rtol=5e-2, atol=5e-2)


def test_no_token_is_no_loss() -> None:
    features, weight, _, targets, counts = made(False, k=0)
    found = token_loss(features, weight, None, targets, counts)
    found.backward()
    assert found.item() == 0.0 and weight.grad is not None and not weight.grad.any()


def test_nats_and_the_likeliest() -> None:
    features, weight, shift, targets, _ = made(True)
    logits = F.linear(features, weight, shift)
    targets[:5] = logits.argmax(1)[:5]
    nats, right = token_nats(features, weight, shift, targets)
    torch.testing.assert_close(nats, F.cross_entropy(logits, targets, reduction="none").detach())
    assert right.tolist() == (logits.argmax(1) == targets).tolist()
