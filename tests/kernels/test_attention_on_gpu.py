"""Attention as a GPU computes it: the padded form runs anywhere, the unpadded one against a stand-in for its kernel."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from whet.kernels import attention_on_gpu
from whet.kernels.attention import reference
from whet.kernels.flat import layout

HEADS, WIDTH = 4, 8
LENGTHS = [[3, 1, 6, 2], [4, 4, 4], [7], [1, 1]]
WINDOWS = [None, 3, 50]


def triple(num_tokens: int, num_groups: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    heads = (HEADS, num_groups, num_groups)
    return [torch.randn(num_tokens, n, WIDTH, generator=random, dtype=dtype).requires_grad_() for n in heads]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("num_groups", [HEADS, 2])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_the_padded_form_equals_the_reference(lengths: list[int], num_groups: int, causal: bool, window: int | None):
    where, results = layout(torch.tensor(lengths)), []
    for number in range(2):
        inputs = triple(where.num_tokens, num_groups)
        if number:
            found = attention_on_gpu.attend(*inputs, where, 0.4, causal, 0.0, window)
        else:
            found = reference(*inputs, where, 0.4, causal=causal, window=window)
        weights = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).view_as(found)
        results.append((found, *torch.autograd.grad((found * weights).sum(), inputs)))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-12, rtol=1e-10)


def stand_in(
    query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, others: Tensor, longest: int, other: int, **more: Any
) -> Tensor:
    """torch's attention over sequences of any length, as it is documented, one sequence after the other."""
    assert bounds.dtype == torch.int32 and torch.equal(bounds, others) and longest == other
    assert all(part.is_contiguous() for part in (query, key, value))
    before, behind = more.get("window_size", (-1, -1))
    repeat, found = query.shape[1] // key.shape[1], []
    assert repeat == 1 or more.get("enable_gqa")
    for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        q, k, v = (part[start:end].transpose(0, 1).float() for part in (query, key, value))
        k, v = k.repeat_interleave(repeat, 0), v.repeat_interleave(repeat, 0)
        places = torch.arange(end - start)
        far = places[None, :] - places[:, None]  # of a key behind a query
        hidden = torch.zeros_like(far, dtype=torch.bool)
        hidden |= (far < -before) if before >= 0 else False
        hidden |= (far > behind) if behind >= 0 else False
        scores = (q @ k.transpose(1, 2) * more["scale"]).masked_fill(hidden, -torch.inf)
        found.append((scores.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(found).to(query.dtype)


@pytest.mark.parametrize("groups", [True, False], ids=["groups heads", "does not"])
@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_the_unpadded_form_asks_for_the_same(
    monkeypatch: pytest.MonkeyPatch, lengths: list[int], causal: bool, window: int | None, groups: bool
):
    monkeypatch.setattr(attention_on_gpu, "_kernel", lambda: (stand_in, groups))
    where = layout(torch.tensor(lengths))
    inputs = [part.detach().to(torch.bfloat16) for part in triple(where.num_tokens, 2)]
    assert attention_on_gpu.takes(inputs[0])
    found = attention_on_gpu.attend(*inputs, where, 0.4, causal, 0.0, window)
    plain = reference(*(part.float() for part in inputs), where, 0.4, causal=causal, window=window)
    torch.testing.assert_close(found.float(), plain, atol=2e-2, rtol=2e-2)


def test_when_the_kernel_without_padding_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attention_on_gpu, "_kernel", lambda: (stand_in, True))
    assert not attention_on_gpu.takes(torch.zeros(1, 1, 8))
    assert not attention_on_gpu.takes(torch.zeros(1, 1, 12, dtype=torch.bfloat16))
    assert not attention_on_gpu.takes(torch.zeros(1, 1, 264, dtype=torch.bfloat16))
    monkeypatch.setattr(attention_on_gpu, "_kernel", lambda: None)
    assert not attention_on_gpu.takes(torch.zeros(1, 1, 8, dtype=torch.bfloat16))


def test_this_torch_has_the_kernel_as_it_is_called_here():
    """Its name and what it takes; it runs on CUDA alone."""
    known = attention_on_gpu._kernel()
    assert known is not None and callable(known[0])


def test_dropped_weights_are_scaled():
    where = layout(torch.tensor([40, 30]))
    query, key, _ = triple(where.num_tokens, HEADS)
    ones = torch.ones_like(key)
    torch.manual_seed(0)
    found = attention_on_gpu.attend(query, key, ones, where, 0.1, False, 0.25, None)
    assert found.mean().item() == pytest.approx(1.0, abs=0.02) and found.std() > 0.01
