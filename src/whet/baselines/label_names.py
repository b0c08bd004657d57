"""No labelled row at all: which label's name lies nearest to the text, by the base's own vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import Fitted, Material
from whet.tasks.text_classification import label_texts

SHARPNESS = 20.0
"""Cosines are multiplied by it before the softmax, as sentence encoders are trained with."""


def fit(material: Material, seed: int) -> Fitted:
    """Softmax (or sigmoid around the mean) of the cosine of each text with each label's name."""
    names = material.embed(label_texts(material.labels))

    def scores(split: str) -> NDArray[np.float32]:
        logits = SHARPNESS * material.vectors(split) @ names.T
        if material.multi_label:
            return np.asarray(1 / (1 + np.exp(-(logits - logits.mean()))), dtype=np.float32)
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)

    return material.classes("label_names", scores)
