"""Say the same of every row: how often each label occurs in training."""

from __future__ import annotations

import numpy as np

from whet.baselines.material import Fitted, Material


def fit(material: Material, seed: int) -> Fitted:
    """The share of each label among the training rows, for every row."""
    gold = material.gold["train"]
    share = gold.mean(0) if material.multi_label else np.bincount(gold, minlength=len(material.labels)) / len(gold)
    return material.classes(
        "majority", lambda split: np.tile(share.astype(np.float32), (len(material.splits[split]), 1))
    )
