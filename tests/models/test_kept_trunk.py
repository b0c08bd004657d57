"""Vectors of frozen layers, worked out once, in the place of the layers themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import FAMILIES
from whet.batches.flat import FlatBatch
from whet.models import adaptations
from whet.models.dropouts import drops_anything
from whet.models.kept_trunk import KeptTrunk, frozen_layers, quiet_below
from whet.models.work import flops_per_token

from .ready import Ready

Made = Callable[..., Ready]
OPTIONS: dict[str, Any] = {"layers.top": 1}


def topped(made: Made, family: str, pooling: str | None = None) -> tuple[Ready, FlatBatch]:
    """The last layer alone moves."""
    ready = made(family, pooling)
    ready.model.use_flat_batches()
    adaptations.adapt(ready.model, "top-layers", OPTIONS, "base", 0)
    return ready, ready.batch()


def step(ready: Ready, batch: FlatBatch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradients of what moves."""
    ready.model.zero_grad()
    logits = ready.model(batch)
    logits.square().sum().backward()
    return logits.detach(), {n: p.grad.clone() for n, p in ready.model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("family", [one for one in FAMILIES if one != "albert"])
def test_what_was_kept_gives_the_same_logits_and_gradients(made: Made, family: str, tmp_path: Path):
    ready, batch = topped(made, family)
    layers = frozen_layers(ready.model)
    assert layers
    plain, wanted = step(ready, batch)
    trunk = KeptTrunk(ready.model, layers)
    trunk.keep(ready.model, batch.encoded, tmp_path / "train", 64, None)
    asked: list[int] = []
    hooks = [part.register_forward_hook(lambda *_: asked.append(1)) for layer in layers for part in layer.children()]
    found, same = step(ready, batch)
    assert not asked, "no part of a frozen layer computes"
    for hook in hooks:
        hook.remove()
    torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-5)
    assert same.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(same[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")
    trunk.let_go(ready.model)
    assert ready.model.kept_trunk is None
    torch.testing.assert_close(step(ready, batch)[0], plain, atol=0, rtol=0)


def test_rows_that_were_not_kept_or_were_changed_are_computed(made: Made, tmp_path: Path):
    ready, batch = topped(made, "bert")
    trunk = KeptTrunk(ready.model, frozen_layers(ready.model))
    trunk.keep(ready.model, batch.encoded, tmp_path / "train", 64, None)
    other = replace(batch, input_ids=batch.input_ids.clone())
    other.input_ids[0, 1] = other.input_ids[0, 2]
    found = step(ready, other)[0]
    foreign = step(ready, ready.batch(("not among them", "nor this")))[0]
    trunk.let_go(ready.model)
    assert torch.equal(found, step(ready, other)[0])
    assert torch.equal(foreign, step(ready, ready.batch(("not among them", "nor this")))[0])
    assert not torch.allclose(found, step(ready, batch)[0])


def test_a_file_that_is_there_is_read(made: Made, tmp_path: Path):
    ready, batch = topped(made, "bert")
    first = KeptTrunk(ready.model, frozen_layers(ready.model))
    first.keep(ready.model, batch.encoded, tmp_path / "train", 64, None)
    before = step(ready, batch)[0]
    first.let_go(ready.model)
    told: list[int] = []
    again = KeptTrunk(ready.model, frozen_layers(ready.model))
    again.keep(ready.model, batch.encoded, tmp_path / "train", 64, told.append)
    assert not told
    assert torch.equal(step(ready, batch)[0], before)


@pytest.mark.parametrize("method", ["full", "bitfit", "lora"])
def test_nothing_stands_still_where_something_below_moves(made: Made, method: str):
    ready = made("bert", "mean")
    options = {
        **OPTIONS,
        **{f"lora.{name}": value for name, value in {"rank": 2, "alpha": 4.0, "dropout": 0.0}.items()},
        "lora.target_modules": "auto",
        "lora.rank_stabilised": False,
        "lora.dora": False,
        "lora.start": "zeros",
    }
    adaptations.adapt(ready.model, method, options, "base", 0)
    assert not frozen_layers(ready.model)


def test_dropout_is_kept_above_what_stands_still(made: Made):
    ready, _ = topped(made, "bert", "mean")
    layers = frozen_layers(ready.model)
    assert all(drops_anything(layer) for layer in layers)
    quiet_below(ready.model)
    assert not any(drops_anything(layer) for layer in layers)
    assert not drops_anything(ready.model.trunk.embeddings)
    assert drops_anything(ready.model.trunk.encoder.layer[-1])
    whole = made("bert", "mean").model
    quiet_below(whole)
    assert drops_anything(whole.trunk.encoder.layer[0])


def test_what_is_kept_is_no_work(made: Made, tmp_path: Path):
    ready, batch = topped(made, "bert", "mean")
    plain = flops_per_token(ready.model, 10.0)
    trunk = KeptTrunk(ready.model, frozen_layers(ready.model))
    trunk.keep(ready.model, batch.encoded, tmp_path / "train", 64, None)
    still = sum(p.numel() for layer in trunk.layers for p in layer.parameters() if p.ndim > 1)
    config = ready.model.network.config
    attention = 4.0 * 10.0 * config.hidden_size * len(trunk.layers)
    assert plain - flops_per_token(ready.model, 10.0) == pytest.approx(2.0 * still + attention)
    assert np.isfinite(plain)
