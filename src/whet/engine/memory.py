"""How much memory this process has used: now, and at most since somebody asked to count anew."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import psutil
import torch

_STATUS, _REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""What Linux (4.0 and later) takes as the wish to forget the highest resident size."""


def resident() -> int:
    """Bytes of this process in memory now."""
    return int(psutil.Process().memory_info().rss)


def count_anew(device: torch.device | None = None) -> bool:
    """Forget the peak so far; False where the system cannot, so that :func:`peak` is that of the whole process."""
    if device is not None and device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    with contextlib.suppress(OSError):
        _REFERENCES.write_text(_RESET_PEAK, encoding="ascii")
        return True
    return False


def peak(device: torch.device | None = None) -> int | None:
    """Most bytes in memory since :func:`count_anew`: of tensors on a GPU, of the process elsewhere.

    None where the system does not say.
    """
    if device is not None and device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
        if found:
            return 1024 * int(found[1])
    return None
