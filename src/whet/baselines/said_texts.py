"""What baselines of texts share: the purpose of a task, and answers row by row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from whet.baselines.material import ANSWERED, Material, Said
from whet.data.forms import Examples
from whet.data.predictions import TextPurpose
from whet.data.saying import say_texts

PURPOSES: dict[str, TextPurpose] = {
    "text-generation": "generation",
    "translation": "translation",
    "summarization": "summarization",
    "fill-mask": "language",
    "language-modeling": "language",
}
"""Task -> what its texts are for."""


def answers(name: str, material: Material, answer: Callable[[Examples], Sequence[str]]) -> Said:
    """A text for every row of the splits that are answered."""
    rows = {split: material.splits[split] for split in ANSWERED}
    purpose = PURPOSES[material.task]
    return Said({split: say_texts(name, some, purpose, answer(some)) for split, some in rows.items()})
