"""The mistakes that a model is surest of: wrong labels in the data show up here first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from whet.data.predictions import ClassPredictions
    from whet.report.run_files import RunFiles

LONGEST_TEXT = 500
"""Characters shown of a text."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong decision; ``line`` is its line in the source file where known."""

    text: str
    text_pair: str
    truth: str
    predicted: str
    probability: float
    truth_probability: float | None
    line: int | None


def confident_mistakes(run: RunFiles, predictions: ClassPredictions, at_most: int = 20) -> list[Mistake]:
    """The wrong rows with the highest probability for what was decided wrongly, surest first."""
    if predictions.gold is None or not len(predictions):
        return []
    sureness = _sureness(predictions)
    wrong = np.flatnonzero(~predictions.correct)
    chosen = wrong[np.argsort(-sureness[wrong], kind="stable")][:at_most]
    texts = run.texts([int(predictions.ids[row]) for row in chosen], predictions.split)
    return [_mistake(predictions, int(row), float(sureness[row]), texts) for row in chosen]


def _sureness(predictions: ClassPredictions) -> NDArray[Any]:
    """(n,) probability of the decision; several labels: of the surest label among the wrong ones."""
    if not predictions.multi_label:
        return np.asarray(predictions.scores.max(axis=1))
    decided = np.where(predictions.predicted, predictions.scores, 1 - predictions.scores)
    return np.asarray(np.where(predictions.predicted != predictions.gold, decided, 0.0).max(axis=1))


def _mistake(predictions: ClassPredictions, row: int, sureness: float, texts: dict[int, dict[str, Any]]) -> Mistake:
    assert predictions.gold is not None
    source = texts.get(int(predictions.ids[row]), {})
    if source.get("hash") is not None and int(source["hash"]) != int(predictions.hashes[row]):
        source = {"text": "(the row in data/ is another one than the one predicted)"}
    names = predictions.labels
    if predictions.multi_label:
        truth = ", ".join(names[i] for i in np.flatnonzero(predictions.gold[row])) or "(none)"
        predicted = ", ".join(names[i] for i in np.flatnonzero(predictions.predicted[row])) or "(none)"
        of_truth = None
    else:
        truth, predicted = names[predictions.gold[row]], names[predictions.predicted[row]]
        of_truth = float(predictions.scores[row, predictions.gold[row]])
    return Mistake(
        text=shortened(str(source.get("text", ""))),
        text_pair=shortened(str(source.get("text_pair") or "")),
        truth=truth,
        predicted=predicted,
        probability=sureness,
        truth_probability=of_truth,
        line=source.get("line"),
    )


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """``text``, cut with an ellipsis where it is longer than ``longest`` characters."""
    return text if len(text) <= longest else text[:longest].rstrip() + " …"
