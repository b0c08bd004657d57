"""Entities, asked in words: what stands in a text, and of which type, as a JSON list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.baselines.prompt_asking import Asked, Form, Read
from whet.baselines.prompt_replies import Labels, objects
from whet.data.entity_arrays import entities, known_forms, seen_in
from whet.data.ragged import Spans
from whet.data.saying import say_spans

if TYPE_CHECKING:
    from whet.baselines.material import Material
    from whet.data.forms import Examples
    from whet.data.predictions import Predictions
    from whet.prompting.speaker import Reply

SURE = 0.9
"""Confidence of every span that is said: a reply states none."""
FORM = Form(("Text",), "Entities")
Span = tuple[int, int, int]


class AskEntities:
    """Spans of K types."""

    closed: tuple[str, ...] = ()

    def __init__(self, material: Material) -> None:
        self._labels = tuple(material.labels)
        self._forms = known_forms(material.splits["train"])

    def instruction(self) -> str:
        """All types by name, and the form of the answer."""
        names = ", ".join(self._labels)
        form = json.dumps([{"text": "...", "type": self._labels[0]}], ensure_ascii=False)
        return (
            f"Find all entities of these types in the text: {names}.\n"
            f"Answer with a JSON list in the order of the text, such as {form}, and nothing else; [] where there is "
            "none. Copy every entity as it stands in the text."
        )

    def asked(self, examples: Examples) -> list[Asked]:
        """The text."""
        return FORM.rows(examples)

    def answers(self, examples: Examples) -> list[str]:
        """Texts and types, in the order of the text."""
        rows = zip(examples.column("text"), examples.column("spans"), strict=True)
        return [json.dumps([_shown(text, one) for one in spans], ensure_ascii=False) for text, spans in rows]

    def keys(self, examples: Examples) -> list[tuple[int, ...]]:
        """The types that occur in each row."""
        numbers = {label: number for number, label in enumerate(self._labels)}
        rows = examples.column("spans")
        return [tuple(sorted({numbers[one["label"]] for one in spans if one["label"] in numbers})) for spans in rows]

    def blank(self, words: str) -> Asked:
        """Those words as the text."""
        return FORM.of([words])

    def weighed(self, name: str, examples: Examples, probabilities: NDArray[np.float64]) -> Predictions:
        """:raises NotImplementedError: answers are open."""
        raise NotImplementedError

    def read(self, name: str, examples: Examples, replies: Sequence[Reply]) -> Read:
        """Each entity where it stands behind the one before; nothing where a reply holds no list."""
        known = Labels(self._labels)
        listed = [objects(reply.text) for reply in replies]
        placed = [found(text, said or (), known) for text, said in zip(examples.column("text"), listed, strict=True)]
        spans = Spans.of([row for row, _ in placed])
        gold = entities(examples, self._labels)
        seen = None if gold is None else seen_in(examples, self._forms)
        sure = np.full(len(spans.starts), SURE, np.float32)
        predictions = say_spans(name, examples, self._labels, spans, sure, gold, seen)
        unparsable = np.asarray([said is None for said in listed], bool)
        return Read(
            predictions, unparsable, {"entities that do not stand in the text": sum(lost for _, lost in placed)}
        )


def _shown(text: str, span: Mapping[str, Any]) -> dict[str, str]:
    return {"text": text[span["start"] : span["end"]], "type": span["label"]}


def found(text: str, said: Sequence[Mapping[str, Any]], known: Labels) -> tuple[list[Span], int]:
    """Where the entities of a reply stand, none across another, and how many of them do not.

    Those of a type that there is not count as not standing there.
    """
    taken: list[Span] = []
    lost = behind = 0
    folded = text.lower() if len(text.lower()) == len(text) else text
    for one in said:
        words, kind = str(one.get("text") or "").strip(), known.named(str(one.get("type") or ""))
        place = None
        if words and kind is not None:
            tries = [
                (text, words, behind),
                (text, words, 0),
                (folded, words.lower(), behind),
                (folded, words.lower(), 0),
            ]
            place = next(
                (at for where, what, after in tries if (at := _free(where, what, after, taken)) is not None), None
            )
        if place is None or kind is None:
            lost += 1
            continue
        taken.append((place, place + len(words), kind))
        behind = place + len(words)
    return sorted(taken), lost


def _free(text: str, words: str, after: int, taken: Sequence[Span]) -> int | None:
    """The first place from ``after`` on where ``words`` stand as whole words and nothing is taken yet."""
    place = text.find(words, after)
    while place >= 0:
        end = place + len(words)
        whole = not (_within(text, place) or _within(text, end))
        if whole and all(end <= start or stop <= place for start, stop, _ in taken):
            return place
        place = text.find(words, place + 1)
    return None


def _within(text: str, place: int) -> bool:
    """Whether a border at ``place`` cuts a word of letters that are written with blanks between words."""
    if not 0 < place < len(text):
        return False
    before, behind = text[place - 1], text[place]
    return before.isalnum() and behind.isalnum() and max(before, behind) < "\u0e00"
