"""Word counts and ridge regression: no pretrained model, seconds to train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import ANSWERED, Material, Said
from whet.baselines.tfidf_cosine import Tfidf
from whet.data.forms import Examples
from whet.data.relevance_words import words
from whet.data.saying import say_values

NAME = "tfidf_ridge"
STRENGTHS = (0.1, 1.0, 10.0)
"""Penalties on a squared weight; validation chooses."""


def fit(material: Material, seed: int) -> Said:
    """Fit on training, choose the penalty on validation, answer for both other splits."""
    from sklearn.linear_model import Ridge

    train = material.splits["train"]
    known = Tfidf.of(_all_texts(train))
    tables = {split: features(known, material.splits[split]) for split in ("train", *ANSWERED)}
    truth = train.scores
    models = [Ridge(alpha=alpha, solver="lsqr", random_state=seed).fit(tables["train"], truth) for alpha in STRENGTHS]
    wanted = material.splits["validation"].scores
    best = min(models, key=lambda model: float(((model.predict(tables["validation"]) - wanted) ** 2).sum()))
    return Said(
        {
            split: say_values(NAME, material.splits[split], best.predict(tables[split]), "regression")
            for split in ANSWERED
        }
    )


def _all_texts(rows: Examples) -> list[str]:
    return [*rows.column("text"), *(rows.column("text_pair") if rows.has_pairs else ())]


def features(known: Tfidf, rows: Examples) -> Any:
    """Sparse (n, V): TF-IDF of the words. Of pairs (n, 2 V + 3): of both, and three numbers of what they share."""
    from scipy.sparse import csr_matrix, hstack

    firsts = rows.column("text")
    if not rows.has_pairs:
        return known.rows(firsts)
    seconds = rows.column("text_pair")
    shared = np.stack([known.cosines(firsts, seconds), *overlaps(firsts, seconds)], axis=1)
    return hstack([known.rows(firsts), known.rows(seconds), csr_matrix(shared)], format="csr")


def overlaps(firsts: Sequence[str], seconds: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) words in both texts as a share of all their words; (n,) the shorter's words as a share of the longer's."""
    found = np.zeros((2, len(firsts)))
    for number, (one, other) in enumerate(zip(map(words, firsts), map(words, seconds), strict=True)):
        together, longer = len({*one, *other}), max(len(one), len(other))
        found[0, number] = len({*one} & {*other}) / together if together else 0.0
        found[1, number] = min(len(one), len(other)) / longer if longer else 0.0
    return found[0], found[1]
