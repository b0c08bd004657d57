"""The matrix-product ceiling of this machine: what MFU is a share of."""

from __future__ import annotations

import time

import torch


def measure(dtype: torch.dtype, device: torch.device, width: int = 1024, seconds: float = 0.25) -> float:
    """FLOP/s of square products in ``dtype``: the best of several within ``seconds``.

    The ceiling is taken at a comfortable shape on purpose, so that a small model's narrow
    layers count against it.
    """
    size = width if device.type == "cpu" else 8192
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    out = left @ right
    _wait(device)
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        torch.matmul(left, right, out=out)
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
