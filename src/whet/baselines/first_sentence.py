"""Answer every question with the first sentence of its context."""

from __future__ import annotations

import numpy as np

from whet.baselines.material import ANSWERED, Fitted, Material, Said
from whet.baselines.sentences import Best, Row, predictions, rows_of, sentences
from whet.data.answer_text import exact

NAME = "first_sentence"


def fit(material: Material, seed: int) -> Fitted:
    """How sure it is, it learns from training: how often the sentence is right, and how often there is no answer."""
    rows = rows_of(material.splits["train"])
    silent = sum(not row.answers for row in rows) / len(rows)
    right = sum(bool(row.answers) and exact(_first(row), row.gold) for row in rows) / len(rows)
    said = {}
    for split in ANSWERED:
        examples = material.splits[split]
        best: list[Best] = [[(sentence, right) for sentence in sentences(row.context)[:1]] for row in rows_of(examples)]
        said[split] = predictions(NAME, examples, best, np.full(len(examples), silent))
    return Said(said)


def _first(row: Row) -> str:
    start, end = sentences(row.context)[0]
    return row.context[start:end]
