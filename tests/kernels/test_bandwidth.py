from __future__ import annotations

import torch

from whet.kernels import bandwidth


def test_a_copy_reads_and_writes():
    found = bandwidth.measure(torch.device("cpu"), seconds=0.01, size=1 << 20)
    assert 1e8 < found < 1e13  # bytes a second, of any machine there is
