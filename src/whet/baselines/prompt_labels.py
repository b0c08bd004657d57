"""Labels of texts and pairs, asked in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whet.baselines.prompt_asking import Asked, Read, texts_form
from whet.baselines.prompt_replies import Labels, listed, plain
from whet.data.saying import say_classes

if TYPE_CHECKING:
    from whet.baselines.material import Material
    from whet.data.forms import Examples
    from whet.data.predictions import ClassPredictions
    from whet.prompting.speaker import Reply

SAID = 0.9
"""Probability of a label that was said; evaluation fits a temperature to it. The others share what is left."""


class AskLabels:
    """Which of C labels a text has; with ``material.multi_label`` any number of them."""

    def __init__(self, material: Material) -> None:
        self._labels, self._several = tuple(material.labels), material.multi_label
        self._pairs = material.splits["train"].has_pairs
        gold = material.gold["train"]
        counts = gold.mean(axis=0) if self._several else np.bincount(gold, minlength=len(self._labels)) / len(gold)
        self._shares = np.asarray(counts, np.float32)
        self._form = texts_form(self._pairs, "Labels" if self._several else "Label")

    @property
    def closed(self) -> tuple[str, ...]:
        """The labels; () where a row may have several."""
        return () if self._several else self._labels

    def instruction(self) -> str:
        """All labels by name, and the form of the answer."""
        what = "the two texts" if self._pairs else "the text"
        names = "\n".join(f"- {label}" for label in self._labels)
        if self._several:
            form = json.dumps(list(self._labels[:2]), ensure_ascii=False)
            return (
                f"Which of these labels fit {what}: none, one or several?\n{names}\n"
                f"Answer with a JSON list of labels, such as {form}, and nothing else; [] where none fits."
            )
        return f"Which of these labels fits {what} best?\n{names}\nAnswer with the label alone, as it stands here."

    def asked(self, examples: Examples) -> list[Asked]:
        """Text or texts."""
        return self._form.rows(examples)

    def answers(self, examples: Examples) -> list[str]:
        """The label, or a list of labels."""
        labels = examples.column("label")
        return [json.dumps(row, ensure_ascii=False) for row in labels] if self._several else labels

    def keys(self, examples: Examples) -> list[tuple[int, ...]]:
        """The labels of each row."""
        found = examples.label_ids(self._labels)
        rows = (np.flatnonzero(row) for row in found) if self._several else ([one] for one in found)
        return [tuple(map(int, row)) for row in rows]

    def blank(self, words: str) -> Asked:
        """Both texts alike."""
        return self._form.of([words] * len(self._form.names))

    def weighed(self, name: str, examples: Examples, probabilities: NDArray[np.float64]) -> ClassPredictions:
        """As they are."""
        return say_classes(name, examples, self._labels, False, probabilities.astype(np.float32))

    def read(self, name: str, examples: Examples, replies: Sequence[Reply]) -> Read:
        """The label that a reply names first, or those of its list; how often each occurs where it names none."""
        known = Labels(self._labels)
        found = [self._said(known, reply.text) for reply in replies]
        scores = np.tile(self._shares, (len(replies), 1))
        some = SAID if self._several else SAID if len(self._labels) > 1 else 1.0
        rest = 1 - SAID if self._several else (1 - some) / max(1, len(self._labels) - 1)
        for row, said in enumerate(found):
            if said is not None:
                scores[row] = rest
                scores[row, said] = some
        said_nothing = np.asarray([one is None for one in found], bool)
        predictions = say_classes(name, examples, self._labels, self._several, scores)
        return Read(predictions, said_nothing, {})

    def _said(self, known: Labels, reply: str) -> list[int] | None:
        if not self._several:
            one = known.named(reply)
            return None if one is None else [one]
        several = listed(reply)
        if several is None:
            alone = known.named(reply)
            if alone is None:
                return [] if plain(reply).strip(" .") in ("none", "[]") else None
            return [alone]
        named = [known.named(str(one)) for one in several]
        kept = [one for one in named if one is not None]
        return kept if kept or not several else None
