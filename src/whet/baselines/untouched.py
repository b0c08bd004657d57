"""The base as it came, asked what the tuned model is asked."""

from __future__ import annotations

from whet.baselines.material import ANSWERED, Material, Said

NAME = "base"


def fit(material: Material, seed: int) -> Said:
    """Nothing is fitted.

    :raises ValueError: the base has nothing to say without training.
    """
    if material.untouched is None:
        raise ValueError("the base cannot answer without training")
    return Said(material.untouched(ANSWERED))
