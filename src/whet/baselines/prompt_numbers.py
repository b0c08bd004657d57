"""Scores of texts, and how alike two texts are, asked in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whet.baselines.prompt_asking import Asked, Read, texts_form
from whet.baselines.prompt_replies import number
from whet.data.saying import say_values

if TYPE_CHECKING:
    from whet.baselines.material import Material
    from whet.data.forms import Examples
    from whet.data.predictions import Predictions, Purpose
    from whet.prompting.speaker import Reply

PARTS = 5
"""Rows that are shown are spread over so many ranges of the scores, with as many rows each."""
MOST_DIGITS = 3


class AskNumbers:
    """A number in the range of the training scores."""

    closed: tuple[str, ...] = ()

    def __init__(self, material: Material) -> None:
        scores = material.splits["train"].scores
        self._low, self._high, self._mean = float(scores.min()), float(scores.max()), float(scores.mean())
        self._purpose: Purpose = "similarity" if material.task == "sentence-similarity" else "regression"
        pairs = material.splits["train"].has_pairs
        self._form = texts_form(pairs, "Score")
        self._what = "the two texts" if pairs else "the text"
        exact = (digits for digits in range(MOST_DIGITS) if np.allclose(scores, np.round(scores, digits), atol=1e-9))
        self._digits = next(exact, MOST_DIGITS)
        self._borders = np.unique(np.quantile(scores, np.linspace(0, 1, PARTS + 1)[1:-1]))

    def instruction(self) -> str:
        """The range, and what its ends mean where that is known."""
        low, high = self._written(self._low), self._written(self._high)
        if self._purpose == "similarity":
            what = f"How alike are {self._what} in meaning, from {low} (not at all) to {high} (they mean the same)?"
        else:
            what = f"Which score do you give {self._what}, from {low} to {high}?"
        return f"{what} Answer with the number alone."

    def asked(self, examples: Examples) -> list[Asked]:
        """Text or texts."""
        return self._form.rows(examples)

    def answers(self, examples: Examples) -> list[str]:
        """The score, with as many digits as those of training have."""
        return [self._written(score) for score in examples.scores]

    def keys(self, examples: Examples) -> list[tuple[int, ...]]:
        """The range of scores that each row lies in."""
        return [(int(one),) for one in np.searchsorted(self._borders, examples.scores, side="right")]

    def blank(self, words: str) -> Asked:
        """Both texts alike."""
        return self._form.of([words] * len(self._form.names))

    def weighed(self, name: str, examples: Examples, probabilities: NDArray[np.float64]) -> Predictions:
        """:raises NotImplementedError: answers are open."""
        raise NotImplementedError

    def read(self, name: str, examples: Examples, replies: Sequence[Reply]) -> Read:
        """The first number of each reply, within the range of training; the mean of training where it has none."""
        found = [number(reply.text) for reply in replies]
        said = np.asarray([self._mean if one is None else one for one in found], np.float64)
        inside = np.clip(said, self._low, self._high)
        predictions = say_values(name, examples, inside, self._purpose)
        unparsable = np.asarray([one is None for one in found], bool)
        return Read(predictions, unparsable, {"numbers out of range": int((inside != said).sum())})

    def _written(self, score: float) -> str:
        return f"{score:.{self._digits}f}"
