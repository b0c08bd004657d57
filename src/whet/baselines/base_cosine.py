"""No training at all: the cosine of two texts by the base's own vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material, Said
from whet.baselines.pairs import Search, answers

NAME = "base_cosine"


@dataclass(frozen=True, slots=True)
class BaseCosine:
    """``embed``: texts to (n, H) unit vectors; each different text is embedded once."""

    embed: Callable[[Sequence[str]], NDArray[np.float32]]

    def _vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        different = list(dict.fromkeys(texts))
        place = {text: number for number, text in enumerate(different)}
        return np.asarray(self.embed(different)[[place[text] for text in texts]])

    def pairs(self, firsts: Sequence[str], seconds: Sequence[str]) -> NDArray[np.float64]:
        """(n,) cosines."""
        both = self._vectors([*firsts, *seconds]).astype(np.float64)
        return np.asarray((both[: len(firsts)] * both[len(firsts) :]).sum(axis=1))

    def search(self, passages: Sequence[str]) -> Search:
        """Cosines with all passages."""
        table = self._vectors(passages)
        return lambda queries: np.asarray(self._vectors(queries) @ table.T)


def fit(material: Material, seed: int) -> Said:
    """Cosines of validation and test."""
    return answers(NAME, material, BaseCosine(material.embed), spread=True)
