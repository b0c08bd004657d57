"""A dictionary of the entities of training: what stood there as an entity more often than not is one again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from whet.baselines.material import ANSWERED, Fitted, Material, Said
from whet.data.entity_arrays import Words, known_forms
from whet.data.entity_forms import NONE, Form, Forms, InWords
from whet.data.forms import Examples
from whet.data.ragged import Spans
from whet.tasks.tag_decoding import Decoded, quick_f1
from whet.tasks.token_classification import span_predictions

NAME = "dictionary"


def fit(material: Material, seed: int) -> Fitted:
    """Forms with the type that most of their places in training have, with case or without, by validation."""
    train = list(InWords(material.splits["train"], material.labels))
    forms = known_forms(material.splits["train"])
    rows = {split: [words for words, _ in InWords(material.splits[split])] for split in ANSWERED}
    truth = list(InWords(material.splits["validation"], material.labels))
    tried = [_Dictionary.of(train, lower) for lower in (False, True)]
    best = max(tried, key=lambda one: one.f1(truth))
    return Said(
        {
            split: span_predictions(
                NAME,
                best.answers(material.splits[split], rows[split]),
                material.splits[split],
                tuple(material.labels),
                forms,
            )
            for split in ANSWERED
        }
    )


class _Dictionary:
    """``kinds``: form -> its type and the share of its places that have it."""

    def __init__(self, forms: Forms, lower: bool) -> None:
        self.lower = lower
        self.kinds: dict[Form, tuple[int, float]] = {}
        for form, count in forms.counts.items():
            kind, times = _commonest(count)
            if kind != NONE:
                self.kinds[form] = kind, (times + 1) / (sum(count.values()) + 2)
        self.forms = forms.only(set(self.kinds))

    @staticmethod
    def of(rows: Sequence[tuple[list[str], list[tuple[int, int, int]]]], lower: bool) -> _Dictionary:
        """From the words and entities of training."""
        return _Dictionary(Forms.of([(_cased(words, lower), inside) for words, inside in rows]), lower)

    def found(self, words: list[str]) -> list[tuple[int, int, int, float]]:
        """First word, word behind the last, type and share of what a row holds, the longest first."""
        words = _cased(words, self.lower)
        return [(a, b, *self.kinds[tuple(words[a:b])]) for a, b in self.forms.longest(words)]

    def f1(self, rows: Sequence[tuple[list[str], list[tuple[int, int, int]]]]) -> float:
        """Of whole entities, by words."""
        said = Spans.of([[(a, b, kind) for a, b, kind, _ in self.found(words)] for words, _ in rows])
        return quick_f1(said, Spans.of([inside for _, inside in rows]))

    def answers(self, examples: Examples, rows: Sequence[list[str]]) -> Decoded:
        """What it finds in ``rows``, in characters."""
        words = Words.of(examples)
        every = [self.found(row) for row in rows]
        spans = [
            [(int(words.starts[at + a]), int(words.ends[at + b - 1]), kind) for a, b, kind, _ in row]
            for at, row in zip(words.offsets[:-1].tolist(), every, strict=True)
        ]
        return Decoded(Spans.of(spans), np.asarray([share for row in every for *_, share in row], np.float32))


def _cased(words: list[str], lower: bool) -> list[str]:
    return [word.casefold() for word in words] if lower else words


def _commonest(count: Counter[int]) -> tuple[int, int]:
    """The reading that most places have; of equals no entity, then the first type."""
    kind = min(count, key=lambda kind: (-count[kind], kind))
    return kind, count[kind]
