"""The peak of this process, and counting it anew."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from whet.engine import memory
from whet.engine.precision import Weights

MIB = 2**20


def test_the_peak_is_counted_anew():
    if not memory.count_anew() or memory.peak() is None:
        pytest.skip("this system does not say")
    held = np.ones(64 * MIB, np.uint8)
    high = memory.peak()
    assert high is not None
    assert high >= memory.resident() - MIB
    del held
    assert abs((memory.peak() or 0) - high) < MIB  # what the system counts is a little behind
    assert memory.count_anew()
    low = memory.peak()
    assert low is not None
    assert low < high - 32 * MIB


def test_what_was_held_before_is_not_counted_as_added():
    held = np.ones(64 * MIB, np.uint8)
    watch = memory.Watch()
    more = np.ones(48 * MIB, np.uint8)
    used = watch.used()
    if used["added_bytes"] is None:
        pytest.skip("this system does not say")
    assert used["peak_bytes"] is not None and used["peak_bytes"] > held.nbytes + more.nbytes
    assert 40 * MIB < used["added_bytes"] < 60 * MIB
    watch.counts = False
    assert watch.used()["added_bytes"] is None, "the peak is then of some time before"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_that_was_trained_is_let_go_of(dtype: torch.dtype):
    """Many are trained in one process, one after the other."""
    model = nn.Linear(4, 2)
    weights = Weights(model, dtype)
    model(torch.ones(3, 4, dtype=model.weight.dtype)).sum().backward()
    assert all(one.grad is not None for one in weights.masters.values())
    kept = weakref.ref(model)
    del model, weights
    gc.collect()
    assert kept() is None
