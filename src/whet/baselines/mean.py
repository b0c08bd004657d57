"""Say the same of every row: the mean score of training."""

from __future__ import annotations

import numpy as np

from whet.baselines.material import ANSWERED, Material, Said
from whet.baselines.pairs import scores_of, value_predictions

NAME = "mean"


def fit(material: Material, seed: int) -> Said:
    """The mean of the training scores, for every row."""
    mean = float(scores_of(material.splits["train"]).mean())
    rows = {split: material.splits[split] for split in ANSWERED}
    return Said(
        {split: value_predictions(NAME, some, np.full(len(some), mean), "regression") for split, some in rows.items()}
    )
