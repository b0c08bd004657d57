"""No labelled row at all: which label's name lies nearest to the text, by the base's own vectors."""

from __future__ import annotations

import numpy as np

from whet.baselines.material import Material, Scores
from whet.tasks.text_classification import label_texts

SHARPNESS = 20.0
"""Cosines are multiplied by it before the softmax, as sentence encoders are trained with."""


def scores(material: Material, seed: int) -> Scores:
    """Softmax (or sigmoid around the mean) of the cosine of each text with each label's name."""
    names = material.embed(label_texts(material.labels))
    result: Scores = {}
    for split in ("validation", "test"):
        logits = SHARPNESS * material.vectors(split) @ names.T
        if material.multi_label:
            result[split] = np.asarray(1 / (1 + np.exp(-(logits - logits.mean()))), dtype=np.float32)
            continue
        powers = np.exp(logits - logits.max(1, keepdims=True))
        result[split] = np.asarray(powers / powers.sum(1, keepdims=True), dtype=np.float32)
    return result
