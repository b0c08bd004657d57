"""Word counts and a linear classifier: no pretrained model, minutes old or thirty years old."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Material, Scores


def scores(material: Material, seed: int) -> Scores:
    """TF-IDF over words and pairs of words (sublinear), linear SVM with C = 1.

    Margins become probabilities by a softmax (or a sigmoid a label); the run fits their
    temperature on validation, as it does for every model.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import LinearSVC

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32)
    rows = words.fit_transform(material.texts("train"))
    linear = LinearSVC(C=1.0, random_state=seed)
    model = OneVsRestClassifier(linear) if material.multi_label else linear
    model.fit(rows, material.gold["train"])
    return {
        split: _probabilities(model.decision_function(words.transform(material.texts(split))), material)
        for split in ("validation", "test")
    }


def _probabilities(margins: NDArray[Any], material: Material) -> NDArray[np.float32]:
    if material.multi_label:
        columns = margins.reshape(len(margins), -1)
        return np.asarray(1 / (1 + np.exp(-columns)), dtype=np.float32)
    if margins.ndim == 1:  # two classes: one margin
        margins = np.stack([-margins, margins], axis=1)
    powers = np.exp(margins - margins.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)
