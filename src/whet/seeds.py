"""One seed, named streams.

Every place that draws random numbers asks for a stream by name. A stream depends on the seed and
its name alone, so that drawing more in one place never moves the draws of another, and a resumed
run needs no saved generator state: the stream of step 7 is the same whether or not 1 to 6 ran.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def derive(seed: int, *names: str | int) -> int:
    """A 63-bit seed for the stream ``names`` under ``seed``."""
    path = "/".join(str(name) for name in (seed, *names))
    return int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A NumPy generator for the stream ``names`` under ``seed``."""
    import numpy as np

    return np.random.default_rng(derive(seed, *names))
