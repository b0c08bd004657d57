"""Expect every token as often as training has it, whatever stands before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet.baselines.material import ANSWERED, Material, Said, Targets
from whet.baselines.said_texts import PURPOSES
from whet.data.forms import Examples
from whet.data.prediction_kinds import TextPredictions
from whet.data.saying import say_texts

NAME = "unigram"


def fit(material: Material, seed: int) -> Said:
    """Count the tokens of training; every token of the vocabulary counts once more, so that none is impossible.

    :raises ValueError: the material has no tokens.
    """
    if material.tokens is None:
        raise ValueError("a unigram model needs the tokens that the candidates count")
    counts = Counts.of(material.tokens("train").ids, material.vocabulary_size)
    said = {}
    for split in ANSWERED:
        said[split] = counts.predictions(material, material.splits[split], material.tokens(split))
    return Said(said)


@dataclass(frozen=True, slots=True)
class Counts:
    """``nats`` (V,): of each token, -log((count + 1) / (all counts + V)); ``usual``: the most frequent token."""

    nats: NDArray[np.float64]
    usual: int

    @staticmethod
    def of(rows: Iterable[NDArray[np.int64]], vocabulary_size: int) -> Counts:
        """Count the ids of ``rows``, all below ``vocabulary_size``."""
        counts = np.zeros(vocabulary_size, dtype=np.int64)
        for ids in rows:
            np.add.at(counts, ids, 1)
        return Counts(np.log(counts.sum() + vocabulary_size) - np.log(counts + 1), int(counts.argmax()))

    def predictions(self, material: Material, examples: Examples, targets: Targets) -> TextPredictions:
        """The likelihood of each row; no text is said."""
        rows = [(float(self.nats[ids].sum()), len(ids), int((ids == self.usual).sum())) for ids in targets.ids]
        nats, tokens, right = (np.asarray(values) for values in zip(*rows, strict=True))
        return say_texts(
            NAME,
            examples,
            PURPOSES[material.task],
            None,
            nats=nats,
            tokens=tokens,
            num_bytes=targets.num_bytes,
            num_right=right,
        )
