"""How threads wait for each other, and how many of its kernels torch keeps: decided before libraries are loaded.

torch's products and sums run on all cores and meet some hundred times a step. GNU OpenMP lets a
waiting thread spin for up to 20 ms before it sleeps. On an idle machine that gains 5 %; on a busy one
it is ruinous, since the thread that is waited for cannot run while another spins: training was 30
times slower beside other processes (docs/log.md). Spinning for a millisecond keeps nearly all of the gain and loses
little on a busy machine.
"""

from __future__ import annotations

import os
import sys

SPINS = "40000"
"""Rounds of spinning, about a millisecond; Python between two products takes up to 0.4, and waking a thread 0.03."""
_DECIDED_BY = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


def spin_briefly() -> bool:
    """Tell GNU OpenMP to spin briefly; False when torch is loaded already or the user decided."""
    if "torch" in sys.modules or any(name in os.environ for name in _DECIDED_BY):
        return False
    os.environ["GOMP_SPINCOUNT"] = SPINS
    return True


REST = "10"
"""Of OpenBLAS: 2 to the power of so many turns of the clock, in which a thread without work spins before it sleeps."""


def rest_early() -> bool:
    """Tell the OpenBLAS of NumPy and SciPy to let go of the cores; False when NumPy is loaded already.

    Its threads spin for tens of milliseconds after every sum, on the cores that torch's products want: where both take
    turns, as when a probe is fitted, that took three times as long (docs/log.md). What the user decided stays.
    """
    if "numpy" in sys.modules:
        return False
    os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", REST)
    return True


KERNELS = {"LRU_CACHE_CAPACITY": "16", "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256"}
"""How many products of other shapes torch, and oneDNN below it, remember on a CPU; their own default is 1,024.

Each keeps some hundred kilobytes of code and scratch space: 400 MB after a hundred steps of a model of 22 M weights
whose batches all have another number of tokens. Batches of few sizes (``whet.kernels.flat.filled``) and the tables of
attention need one or two hundred; with 32 they push each other out, and are compiled again and again.
"""


def keep_few_kernels() -> bool:
    """Bound what products remember; False when torch is loaded already. What the user decided stays."""
    if "torch" in sys.modules:
        return False
    for name, value in KERNELS.items():
        os.environ.setdefault(name, value)
    return True


def settle() -> None:
    """All of it, at the last moment before torch and NumPy are loaded."""
    spin_briefly()
    rest_early()
    keep_few_kernels()
