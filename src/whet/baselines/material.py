"""What a baseline works with, and what it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.data.saying import say_classes

if TYPE_CHECKING:
    from whet.prompting.speaker import Speaker

ANSWERED = ("validation", "test")
"""The splits that a baseline answers."""


class Fitted(Protocol):
    """A baseline after its training."""

    def predictions(self, split: str) -> Predictions:
        """Answers to all rows of "validation" or "test", with the truth beside them."""
        ...


@runtime_checkable
class Keepable(Protocol):
    """A fitted baseline that can be saved, since it may be what ships."""

    def save(self, folder: Path, settled: Mapping[str, Any]) -> dict[str, Any]:
        """Write it, with what was fitted on validation worked in; returns facts for the verdict."""
        ...


@dataclass(frozen=True, slots=True)
class Said:
    """The answers of a baseline that keeps nothing else: split -> predictions.

    ``facts``: what else is to be known of it, JSON only; it goes to the facts of the model.
    """

    by_split: Mapping[str, Predictions]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def predictions(self, split: str) -> Predictions:
        """Those of a split."""
        return self.by_split[split]


@dataclass(frozen=True, slots=True)
class Targets:
    """The tokens of each row's truth that count, as the candidates count them; n rows.

    - ``ids``: of each row its counted token ids, (t,) int64; gone through once.
    - ``num_bytes`` (n,) int64: UTF-8 bytes of the text that they stand for; None where that has no meaning.
    """

    ids: Iterable[NDArray[np.int64]]
    num_bytes: NDArray[np.int64] | None


Prompted = Callable[[str, str, Sequence[Sequence[int]]], tuple[Predictions, NDArray[np.int64]]]
"""A name, a split, and of each of its n rows the numbers of the training rows shown before it, to what the base of the
run answers and, (n,), how many of them each row was left with: where there is no room, the first go."""


@dataclass(frozen=True, slots=True)
class Material:
    """Splits and labels of a run.

    - ``task``: its name; ``labels``: () where rows have none.
    - ``gold``: of labelled rows, by split, (n,) int64 or (n, C) bool.
    - ``vectors``: by split, (n, H) float32 unit vectors of the texts by the untouched base; computed when asked for.
    - ``embed``: any texts to (n, H) unit vectors.
    - ``tokens``: by split, what a language model is asked for; ``vocabulary_size``: how many token ids there are.
    - ``untouched``: by split, the answers of the base as it came, called "base"; None where it has none.
    - ``options``: of the recipe, by dotted name.
    - ``speaker``: opens the language model that is asked in words, the same one each time; None where there is none.
    - ``prompted``: as :data:`Prompted`; None where the base of the run has no likelihoods of texts.
    """

    task: str
    splits: Mapping[str, Examples]
    labels: Sequence[str]
    multi_label: bool
    gold: Mapping[str, NDArray[Any]]
    vectors: Callable[[str], NDArray[np.float32]]
    embed: Callable[[Sequence[str]], NDArray[np.float32]]
    tokens: Callable[[str], Targets] | None = None
    vocabulary_size: int = 0
    untouched: Callable[[Sequence[str]], Mapping[str, Predictions]] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    speaker: Callable[[], Speaker] | None = None
    prompted: Prompted | None = None

    def texts(self, split: str) -> Iterator[str]:
        """The texts of a split, row by row; those of a pair joined by a line break."""
        for block in self.splits[split].joined_blocks():
            yield from block

    def classes(self, name: str, scores: Callable[[str], NDArray[np.float32]]) -> Said:
        """Answers of baseline ``name`` from ``scores(split)``, (n, C) probabilities."""
        return Said(
            {
                split: say_classes(name, self.splits[split], self.labels, self.multi_label, scores(split))
                for split in ANSWERED
            }
        )
