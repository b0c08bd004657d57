"""What a baseline works with: rows, truths, and the base's vectors of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples

Scores = dict[str, NDArray[np.float32]]
"""By split ('validation', 'test'): (n, C) probabilities."""


@dataclass(frozen=True, slots=True)
class Material:
    """Splits and labels of a run.

    - ``gold``: by split, (n,) int64 or (n, C) bool.
    - ``vectors``: by split, (n, H) float32 unit vectors of the frozen base; computed when asked for.
    - ``embed``: any texts to (n, H) unit vectors.
    """

    splits: Mapping[str, Examples]
    labels: Sequence[str]
    multi_label: bool
    gold: Mapping[str, NDArray[Any]]
    vectors: Callable[[str], NDArray[np.float32]]
    embed: Callable[[Sequence[str]], NDArray[np.float32]]

    def texts(self, split: str) -> Iterator[str]:
        """The texts of a split, row by row; those of a pair joined by a line break."""
        for block in self.splits[split].blocks():
            firsts = block["text"].to_pylist()
            if not self.splits[split].has_pairs:
                yield from firsts
                continue
            for one, other in zip(firsts, block["text_pair"].to_pylist(), strict=True):
                yield f"{one}\n{other}"
