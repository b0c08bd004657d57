"""A linear tagger: features of words and their neighbours, a linear SVM per tag, no break in the tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import ANSWERED, Fitted, Material, Said
from whet.baselines.word_features import WordFeatures
from whet.data.entity_arrays import Words, entities, known_forms, tag_names, word_tags
from whet.data.entity_forms import InWords
from whet.data.forms import Examples
from whet.tasks.tag_decoding import decode
from whet.tasks.token_classification import span_predictions

NAME = "token_linear"
STRENGTH = 0.3
"""C of the SVM."""

NEVER = -10.0
"""Margin of a tag that no word of training has."""


def fit(material: Material, seed: int) -> Fitted:
    """Fit on training; the margins become probabilities by a softmax, whose temperature validation gives."""
    labels = tuple(material.labels)
    train = material.splits["train"]
    features = WordFeatures()
    model = _Margins.fit(features.fit(_words(train)), _tags(train, labels), len(tag_names(labels)), seed)
    margins = {split: model.of(features.transform(_words(material.splits[split]))) for split in ANSWERED}
    sharpness = _sharpness(margins["validation"], _tags(material.splits["validation"], labels))
    forms = known_forms(train)
    return Said(
        {
            split: span_predictions(
                NAME,
                decode(Words.of(material.splits[split]), _logs(sharpness * margins[split])),
                material.splits[split],
                labels,
                forms,
            )
            for split in ANSWERED
        }
    )


def _words(examples: Examples) -> list[list[str]]:
    return [words for words, _ in InWords(examples)]


def _tags(examples: Examples, labels: Sequence[str]) -> NDArray[np.int64]:
    spans = entities(examples, labels)
    assert spans is not None
    return word_tags(Words.of(examples), spans)


@dataclass(frozen=True, slots=True)
class _Margins:
    """``model``: scikit-learn's, None where training has one ``tags`` alone; ``number``: K."""

    model: Any
    tags: NDArray[np.int64]
    number: int

    @staticmethod
    def fit(rows: Any, tags: NDArray[np.int64], number: int, seed: int) -> _Margins:
        """A linear SVM for each tag of training against the others."""
        from sklearn.svm import LinearSVC

        some = np.unique(tags)
        model = LinearSVC(C=STRENGTH, dual=True, tol=1e-2, random_state=seed).fit(rows, tags) if len(some) > 1 else None
        return _Margins(model, some, number)

    def of(self, rows: Any) -> NDArray[np.float64]:
        """(W, K)."""
        found = np.full((rows.shape[0], self.number), NEVER)
        if self.model is None or not rows.shape[0]:
            found[:, self.tags] = 1.0
            return found
        margins = self.model.decision_function(rows)
        # Of two tags there is one margin.
        found[:, self.tags] = np.stack([-margins, margins], axis=1) if margins.ndim == 1 else margins
        return found


def _logs(margins: NDArray[np.float64]) -> NDArray[np.float32]:
    top = margins - margins.max(axis=1, keepdims=True)
    return np.asarray(top - np.log(np.exp(top).sum(axis=1, keepdims=True)), np.float32)


def _sharpness(margins: NDArray[np.float64], tags: NDArray[np.int64]) -> float:
    """What to multiply margins by so that the tags of validation are likeliest."""
    from scipy.optimize import minimize_scalar

    if not len(tags):
        return 1.0

    def loss(power: float) -> float:
        return -float(_logs(np.exp(power) * margins)[np.arange(len(tags)), tags].mean(dtype=np.float64))

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 4.0), method="bounded").x))
