"""How much memory this process has used: now, and at most since somebody asked to count anew."""

from __future__ import annotations

import contextlib
import ctypes
import gc
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


def held(device: torch.device) -> int:
    """Bytes that this process keeps on a GPU, used or for later; 0 where nobody counts them."""
    return int(torch.cuda.memory_reserved(device)) if device.type == "cuda" else 0


def count_anew(device: torch.device | None = None) -> bool:
    """Forget the peak so far; False where the system cannot, so that :func:`peak` is that of the whole process.

    What nobody uses any more is handed back first: it would be counted again with whatever comes next.
    """
    gc.collect()
    if device is not None and device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    hand_back()
    with contextlib.suppress(OSError):
        _REFERENCES.write_text(_RESET_PEAK, encoding="ascii")
        return True
    return False


def hand_back() -> None:
    """Give the system what the allocator keeps for later, where it is the one of glibc.

    Tensors of ever new sizes leave holes that fit nothing else: what comes next would be laid beside them.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class Watch:
    """What is used from now on, by a process that may hold much else already; on a GPU, of its memory."""

    def __init__(self, device: torch.device | None = None) -> None:
        self.device = device
        self.counts = count_anew(device)
        on_gpu = device is not None and device.type == "cuda"
        self.before = int(torch.cuda.memory_allocated(device)) if on_gpu else resident()

    def used(self) -> dict[str, int | None]:
        """``peak_bytes`` of the process, and ``added_bytes``: by how much it grew.

        The latter can be compared between models that one process trains one after the other, the former cannot. None
        where it was not measured.
        """
        most = peak(self.device)
        added = max(0, most - self.before) if most is not None and self.counts else None
        return {"peak_bytes": most, "added_bytes": added}


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
