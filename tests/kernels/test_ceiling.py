from __future__ import annotations

import torch

from whet.kernels import ceiling


def test_the_ceiling_is_of_a_plausible_size():
    found = ceiling.measure(torch.float32, torch.device("cpu"), width=128, seconds=0.02)
    assert 1e8 < found < 1e14, "FLOP/s of a processor"
