"""What a model in use says, whatever kind of model it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Answering(Protocol):
    """A model in use."""

    @property
    def labels(self) -> Sequence[str]:
        """C names, in the order of the columns."""
        ...

    @property
    def thresholds(self) -> Sequence[float] | None:
        """Per label, only with several labels a row."""
        ...

    @property
    def multi_label(self) -> bool:
        """Whether a text may carry several labels."""
        ...

    def probabilities(
        self, texts: Sequence[str], pairs: Sequence[str] | None = None, progress: Callable[[int], None] | None = None
    ) -> NDArray[np.float32]:
        """(n, C) probabilities of ``texts``."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model says about one text.

    ``label`` is the likeliest; ``labels`` all that reach their threshold (one, with a single label a row).
    """

    label: str
    score: float
    labels: tuple[str, ...]
    scores: dict[str, float]


def answers(model: Answering, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Answer]:
    """One answer per text, in their order."""
    if not len(texts):
        return []
    return [_answer(model, row) for row in model.probabilities(texts, pairs)]


def _answer(model: Answering, row: NDArray[np.float32]) -> Answer:
    best = int(row.argmax())
    chosen: tuple[str, ...] = (model.labels[best],)
    if model.thresholds is not None:
        reached = np.flatnonzero(row >= np.asarray(model.thresholds, np.float32))
        chosen = tuple(model.labels[int(i)] for i in reached)
    return Answer(model.labels[best], float(row[best]), chosen, dict(zip(model.labels, map(float, row), strict=True)))
