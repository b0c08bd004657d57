"""How fast this machine reads and writes memory: what elementwise operations are bound by."""

from __future__ import annotations

import time

import torch

BYTES = 64 << 20
"""Of the table that is copied: far larger than caches."""


def measure(device: torch.device, seconds: float = 0.05, size: int = BYTES) -> float:
    """Bytes a second that a copy reads and writes: the best of several within ``seconds``."""
    source = torch.zeros(size // 4, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size / best
