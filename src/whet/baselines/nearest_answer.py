"""Say what was answered to the training text that shares most rare words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from whet.baselines.material import Material, Said
from whet.baselines.said_texts import answers
from whet.baselines.tfidf_cosine import Searched

NAME = "nearest_answer"


def fit(material: Material, seed: int) -> Said:
    """Keep the training texts by their words, each with the answer that is trained on."""
    train = material.splits["train"]
    known = Known.of(train.column("text"), [row[0] for row in train.column("answers")])
    return answers(NAME, material, lambda examples: known.answers(examples.column("text")))


@dataclass(frozen=True, slots=True)
class Known:
    """N training texts, and an answer each.

    ``usual`` is the most frequent answer, for texts that share no word with any of them.
    """

    texts: Searched
    said: Sequence[str]
    usual: str

    @staticmethod
    def of(texts: Sequence[str], said: Sequence[str]) -> Known:
        """Count the words of ``texts``."""
        return Known(Searched.of(texts), said, Counter(said).most_common(1)[0][0])

    def answers(self, texts: Sequence[str]) -> list[str]:
        """The answer of the nearest text; of equally near ones the first."""
        found: list[str] = []
        for cosines in self.texts.blocks(texts):
            nearest = cosines.argmax(axis=1)
            some = cosines.max(axis=1) > 0
            found += [self.said[int(row)] if any_ else self.usual for row, any_ in zip(nearest, some, strict=True)]
        return found
