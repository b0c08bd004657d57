"""The peak of this process, and counting it anew."""

from __future__ import annotations

import numpy as np
import pytest

from whet.engine import memory

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
