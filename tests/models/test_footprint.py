"""Bytes and operations of methods on models without weights, against real steps and sums by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import FAMILIES
from whet.batches import flat
from whet.batches.encoding import encode
from whet.batches.flat import FlatBatch, Targets
from whet.engine.optimisation import Group, adamw
from whet.engine.precision import Weights
from whet.engine.step import gradients
from whet.models import adaptations
from whet.models.footprint import Footprint, bytes_of, footprint, smallest
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.networks import read_config
from whet.models.places import find
from whet.models.shapes import without_weights
from whet.models.task_model import TaskModel
from whet.models.work import flops_per_token
from whet.tasks.text_classification import ClassificationLoss

from .told import TOLD

LABELS = ("a", "b", "c")
HEAD = Head("classes", LABELS, pooling="mean")
TEXTS = ["where is my card", "i want a refund for this item", "help", "no one answers the phone and why"] * 4
LORA = TOLD | {"lora.rank": 4, "lora.alpha": 8.0, "lora.dropout": 0.05}


def a_batch(folder: Path) -> FlatBatch:
    encoded = encode(load_tokenizer(find(str(folder))), [(TEXTS, None)], 30, into=None)
    return flat.make(encoded, np.arange(len(TEXTS)), Targets(torch.zeros(len(TEXTS), dtype=torch.int64)))


def adapt(method: str, model: TaskModel) -> None:
    adaptations.adapt(model, method, LORA, "base", 0)


def read(model: TaskModel, batch: FlatBatch) -> torch.Tensor:
    found: torch.Tensor = model(batch)
    return found


def rehearsed(folder: Path, method: str, dtype: torch.dtype, **more: Any) -> Footprint:
    place = find(str(folder))
    model = without_weights(read_config(place), HEAD, place)
    model.use_flat_batches()
    batch = a_batch(folder)
    of = partial(adapt, "lora" if method == "qlora" else method)
    return footprint(model, of, ClassificationLoss(), batch, batch, read, dtype, micro_batch_tokens=4096, **more)


def real(folder: Path, method: str, dtype: torch.dtype) -> tuple[TaskModel, Weights, torch.optim.Optimizer]:
    """The same step for real."""
    place = find(str(folder))
    model = load_model(place, HEAD, load_tokenizer(place), 0)
    model.use_flat_batches()
    adapt(method, model)
    weights = Weights(model, dtype, exact=[str(model.head_name)])
    groups = [
        Group(one.name, [(name, weights.masters[name]) for name, _ in one.parameters], 0.1, 0.0)
        for one in adaptations.rate_groups(model)
    ]
    optimiser = adamw(groups)
    model.train()
    gradients(weights, ClassificationLoss(), a_batch(folder), 4096, model.reseed, 1.0)
    optimiser.step()
    return model, weights, optimiser


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_stays_is_what_a_real_step_keeps(bases: Callable[..., Path], family: str, method: str, dtype: torch.dtype):
    folder = bases(family)
    found = rehearsed(folder, method, dtype)
    model, weights, optimiser = real(folder, method, dtype)
    moving = sum(p.numel() for p in weights.masters.values())
    assert found.weights == sum(t.nbytes for t in {id(t): t for t in (*model.parameters(), *model.buffers())}.values())
    assert found.masters == (0 if dtype == torch.float32 else 4 * moving)
    assert found.gradients == 4 * moving
    kept = sum(value.nbytes for state in optimiser.state.values() for key, value in state.items() if key != "step")
    assert found.moments == kept
    assert found.total == sum(p.numel() for p in model.parameters())
    assert found.trainable == adaptations.count_trainable(model)
    assert found.peak >= found.lasting


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_of_the_formula(bases: Callable[..., Path], family: str):
    folder = bases(family)
    found = rehearsed(folder, "full", torch.bfloat16)
    model, _, _ = real(folder, "full", torch.bfloat16)
    formula = flops_per_token(model, found.num_tokens / len(TEXTS))
    # tiny layers: padding of attention, pooling, and the input's gradient that the formula neglects weigh something
    assert found.flops / found.num_tokens == pytest.approx(formula, rel=0.2)
    assert found.look_flops < found.flops / 2


def test_methods_in_order(bases: Callable[..., Path]):
    folder = bases("llama")
    full, lora = (rehearsed(folder, method, torch.bfloat16) for method in ("full", "lora"))
    quantised = rehearsed(folder, "qlora", torch.bfloat16, quantised=bytes_of(LORA))
    assert full.trainable > lora.trainable == quantised.trainable
    assert full.lasting > lora.lasting > quantised.lasting
    assert quantised.total == lora.total
    assert quantised.flops == lora.flops


def test_bytes_of_a_quantised_weight():
    assert bytes_of({"quantisation.bits": 8}) == 1.0
    assert bytes_of({"quantisation.bits": 4, "quantisation.double": False}) == 0.5 + 4 / 64
    assert bytes_of({"quantisation.bits": 4, "quantisation.double": True}) == pytest.approx(0.5 + 1.016 / 64, rel=1e-3)


def test_moments_of_eight_bits(bases: Callable[..., Path]):
    folder = bases("bert")
    usual = rehearsed(folder, "full", torch.float32)
    small = rehearsed(folder, "full", torch.float32, optimiser="adamw_8bit")
    assert small.moments == usual.moments  # every weight here has fewer than 4,096 numbers, whose moments stay fp32


def test_activations_grow_with_tokens(bases: Callable[..., Path]):
    folder = bases("bert")
    batch = a_batch(folder)
    one = smallest(batch)
    assert len(one.rows) == 1
    assert one.num_tokens == max(batch.encoded.lengths)
    place = find(str(folder))
    sizes = []
    for some in (one, batch):
        model = without_weights(read_config(place), HEAD, place)
        model.use_flat_batches()
        loss = ClassificationLoss()
        found = footprint(
            model, partial(adapt, "full"), loss, some, some, read, torch.bfloat16, micro_batch_tokens=4096
        )
        sizes.append(found.activations)
    assert sizes[0] < sizes[1] < sizes[0] * 3 * batch.num_tokens / one.num_tokens
