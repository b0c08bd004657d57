from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from whet.kernels.dropout import (
    ByteDropout,
    ByteStream,
    install,
    keep_scale,
    kept_ones,
    kept_scale,
    only,
    only_,
    packed,
    threshold,
    unpacked,
)


def test_a_stream_is_a_function_of_its_seed():
    def drawn(seed: int) -> torch.Tensor:
        return torch.cat([ByteStream(seed).take(5), ByteStream(seed).take(100_000)])

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_a_stream_goes_on_and_starts_again():
    stream = ByteStream(7)
    first, second = stream.take(1000).clone(), stream.take(1000).clone()
    assert not torch.equal(first, second)
    stream.reseed(7)
    assert torch.equal(stream.take(1000), first)
    assert stream.take(3 << 20).numel() == 3 << 20, "more than the pool holds"


def test_bytes_are_even():
    counts = np.bincount(ByteStream(0).take(1 << 20).numpy(), minlength=256)
    expected = (1 << 20) / 256
    assert ((counts - expected) ** 2 / expected).sum() < 400, "chi squared of 255 degrees: mean 255, deviation 23"


@pytest.mark.parametrize("chance", [0.05, 0.1, 0.5, 0.9])
def test_the_chance_and_the_expectation_are_kept(chance: float):
    like = torch.empty(1000, 1000)
    found = keep_scale(like, chance, ByteStream(1))
    cut = threshold(chance)
    assert cut / 256 == pytest.approx(chance, abs=1 / 512)
    assert found.unique().tolist() == pytest.approx([0.0, 256 / (256 - cut)])
    share = float((found == 0).float().mean())
    assert share == pytest.approx(cut / 256, abs=0.003)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.01 / (1 - chance))


def test_not_everything_is_dropped_however_high_the_chance():
    assert threshold(0.9999) == 255
    assert torch.isfinite(keep_scale(torch.empty(64), 0.9999, ByteStream(1))).all()


def test_evaluation_and_a_chance_of_zero_change_nothing():
    inputs = torch.randn(4, 4)
    layer = ByteDropout(0.5, ByteStream(1))
    assert not torch.equal(layer(inputs), inputs)
    assert layer.eval()(inputs) is inputs
    assert ByteDropout(0.0, ByteStream(1))(inputs) is inputs


def test_the_gradient_flows_where_values_flow():
    inputs = torch.ones(100, requires_grad=True)
    found = ByteDropout(0.5, ByteStream(2))(inputs)
    found.sum().backward()
    assert inputs.grad is not None
    assert torch.equal(inputs.grad, found.detach())


def test_install_replaces_every_dropout_and_keeps_its_mode():
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.3), nn.Sequential(nn.Dropout(0.1), nn.ReLU()))
    model[2].eval()
    stream = ByteStream()
    assert install(model, stream) == 2
    assert install(model, stream) == 0
    outer, inner = model[1], model[2][0]
    assert isinstance(outer, ByteDropout) and isinstance(inner, ByteDropout)
    assert (outer.p, inner.p) == (0.3, 0.1)
    assert (outer.training, inner.training) == (True, False)
    assert outer.stream is stream


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_bits_keep_what_factors_keep(dtype):
    """The same elements of the same stream, whole and unscaled; not a number is dropped like all others."""
    values = torch.randn(50, 7).to(dtype)
    values[:, 0] = torch.nan
    kept = kept_ones(values, 0.3, ByteStream(4))
    factors = keep_scale(values, 0.3, ByteStream(4))
    assert torch.equal(kept != 0, factors != 0) and 0 < int((kept == 0).sum()) < kept.numel()
    expected = torch.where(factors != 0, values, torch.zeros((), dtype=dtype))
    torch.testing.assert_close(only(kept, values), expected, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(only_(kept, values.clone()), expected, rtol=0, atol=0, equal_nan=True)
    assert packed(kept).nbytes == 44 and torch.equal(unpacked(packed(kept), values), kept), "350 bits"
    torch.testing.assert_close(factors.max().double(), torch.tensor(kept_scale(0.3)).double(), rtol=4e-3, atol=0)
