"""How threads wait for each other.

torch's products and sums run on all cores and meet some hundred times a step. By default the
waiting thread spins. That is a little faster on an idle machine, and ruinous on a busy one, where
the thread it waits for cannot run because it spins: training was 15 times slower beside other
processes (docs/log.md). A thread that sleeps while it waits costs a few percent at most.
"""

from __future__ import annotations

import os
import sys

POLICY = "OMP_WAIT_POLICY"


def sleep_while_waiting() -> bool:
    """Ask OpenMP to let waiting threads sleep; False when torch is loaded already or the user decided."""
    if "torch" in sys.modules or POLICY in os.environ:
        return False
    os.environ[POLICY] = "PASSIVE"
    return True
