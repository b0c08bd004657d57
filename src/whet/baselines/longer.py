"""The longer answer is the better one, and liked the more: what a reward must beat to be worth a model."""

from __future__ import annotations

import numpy as np

from whet.baselines.material import ANSWERED, Material, Said
from whet.data.preference_findings import lengths
from whet.data.preference_predictions import say_preferences

NAME = "longer"


def fit(material: Material, seed: int) -> Said:
    """Rewards are characters."""
    rows = {split: material.splits[split] for split in ANSWERED}
    return Said({split: say_preferences(NAME, some, lengths(some).astype(np.float64)) for split, some in rows.items()})
