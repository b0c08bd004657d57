"""Layers that keep their inputs alone, and are computed again on the way back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from .ready import Ready

Made = Callable[..., Ready]


def slopes(ready: Ready) -> dict[str, torch.Tensor]:
    """Gradients of a loss over the vectors of a batch."""
    ready.model.zero_grad()
    ready.model.features(ready.batch()).float().square().sum().backward()
    return {name: one.grad.clone() for name, one in ready.model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("flat", [True, False], ids=["flat", "padded"])
def test_gradients_stay_the_same(made: Made, flat: bool):
    ready = made("llama", "mean")
    if flat:
        assert ready.model.use_flat_batches()
    ready.model.train()
    plain = slopes(ready)
    assert ready.model.save_memory() and not ready.model.save_memory(), "once"
    saved = slopes(ready)
    assert saved.keys() == plain.keys() and len(plain) > 5
    for name, one in plain.items():
        torch.testing.assert_close(saved[name], one, atol=1e-6, rtol=1e-5)


def test_not_where_attention_draws_by_a_number(made: Made):
    ready = made("llama", "mean")
    assert ready.model.use_flat_batches()
    ready.model.network.layers[0].self_attn.attention_dropout = 0.3
    assert not ready.model.save_memory()


def test_not_where_dropout_would_draw_other_bytes(made: Made):
    """Ours on a CPU, which is drawn from a stream that nobody winds back."""
    ready = made("bert", "mean")
    assert ready.model.use_flat_batches()
    assert not ready.model.save_memory()
