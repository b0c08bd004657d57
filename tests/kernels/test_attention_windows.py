"""Local attention: a token sees those less than a window away."""

from __future__ import annotations

import pytest
import torch

from whet.kernels.attention import attend, reference
from whet.kernels.flat import layout


def tables(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(sum(lengths))
    total = sum(lengths)
    return tuple(torch.randn(total, 2, 4, generator=random, dtype=torch.float64) for _ in range(3))  # type: ignore[return-value]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("window", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("lengths", [[5, 5], [1, 9, 3], [12]])
def test_as_the_plain_form(lengths: list[int], window: int, causal: bool):
    q, k, v = tables(lengths)
    where = layout(torch.tensor(lengths))
    found = attend(q, k, v, where, 0.5, causal=causal, window=window)
    torch.testing.assert_close(found, reference(q, k, v, where, 0.5, causal, window))


def test_a_window_of_one_sees_itself():
    q, k, v = tables([4, 2])
    torch.testing.assert_close(attend(q, k, v, layout(torch.tensor([4, 2])), 1.0, window=1), v)


@pytest.mark.parametrize("causal", [False, True])
def test_a_window_that_holds_every_sequence_changes_nothing(causal: bool):
    q, k, v = tables([3, 6])
    where = layout(torch.tensor([3, 6]))
    assert torch.equal(attend(q, k, v, where, 1.0, causal, window=6), attend(q, k, v, where, 1.0, causal))


def test_gradients_reach_the_window_only():
    q, k, v = (t.requires_grad_() for t in tables([6]))
    attend(q, k, v, layout(torch.tensor([6])), 1.0, window=2)[0].sum().backward()
    assert v.grad is not None
    assert [bool(row.any()) for row in v.grad] == [True, True, False, False, False, False]
