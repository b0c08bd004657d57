"""A task in words: what is asked of a row, how other rows are shown before it, and what a reply says.

A prompt is a chat: the rows that are shown are earlier turns, each with its true answer. The instruction stands in
front of the first of them, and not in a system message, which some templates refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from whet.data.forms import Examples
    from whet.data.predictions import Predictions
    from whet.prompting.speaker import Reply

Turns = list[dict[str, Any]]
"""Messages of a chat: ``role`` and ``content``."""
SYSTEM = "system"


class Asked(Protocol):
    """What is asked of one row."""

    def turns(self, share: float = 1.0) -> Turns:
        """Its messages, the last of them the user's; with about this ``share`` of its characters."""
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """What replies say, as predictions; n rows.

    - ``unparsable`` (n,) bool: rows whose reply is no answer; they get what is said without looking at the row.
    - ``more``: what else is to be known, counted by name.
    """

    said: Predictions
    unparsable: NDArray[np.bool_]
    more: Mapping[str, int]


class Asking(Protocol):
    """A task of one run, in words."""

    @property
    def closed(self) -> tuple[str, ...]:
        """The answers that there are, one of which is right; () where answers are open."""
        ...

    def instruction(self) -> str:
        """What is wanted, built from the training rows; "" where rows say it themselves."""
        ...

    def asked(self, examples: Examples) -> list[Asked]:
        """Of each row, what is asked."""
        ...

    def answers(self, examples: Examples) -> list[str]:
        """Of each row, the true answer as a reply would say it."""
        ...

    def keys(self, examples: Examples) -> list[tuple[int, ...]]:
        """Of each row, what it is an example of: rows that are shown are spread over these."""
        ...

    def blank(self, words: str) -> Asked:
        """A row with ``words`` in the place of its texts."""
        ...

    def weighed(self, name: str, examples: Examples, probabilities: NDArray[np.float64]) -> Predictions:
        """Predictions from (n, L) probabilities of the closed answers."""
        ...

    def read(self, name: str, examples: Examples, replies: Sequence[Reply]) -> Read:
        """Predictions from a reply a row."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """How the texts of a row are asked about: a name before each, and the word behind which the answer is to stand."""

    names: tuple[str, ...]
    cue: str

    def of(self, texts: Sequence[str]) -> Filled:
        """The question of a row."""
        return Filled(self, tuple(texts))

    def rows(self, examples: Examples) -> list[Asked]:
        """The questions of a split: of its texts, or of both texts of its pairs."""
        columns = [examples.column(name) for name in ("text", "text_pair")[: len(self.names)]]
        return [self.of(texts) for texts in zip(*columns, strict=True)]


@dataclass(frozen=True, slots=True)
class Filled:
    """A form with the texts of a row."""

    form: Form
    texts: tuple[str, ...]

    def turns(self, share: float = 1.0) -> Turns:
        """One message; of each text the beginning where it is shortened."""
        texts = [text[: max(1, int(len(text) * share))] if share < 1 else text for text in self.texts]
        lines = [f"{name}: {text}" for name, text in zip(self.form.names, texts, strict=True)]
        return [{"role": "user", "content": "\n".join([*lines, f"{self.form.cue}:"])}]


def texts_form(pairs: bool, cue: str) -> Form:
    """The form of rows with one text or two."""
    return Form(("Text 1", "Text 2") if pairs else ("Text",), cue)


def demonstration(asked: Asked, answer: str) -> Turns:
    """A row that is shown with its answer."""
    return [*asked.turns(), {"role": "assistant", "content": answer}]


def together(instruction: str, shown: Sequence[Turns], asked: Turns) -> Turns:
    """One chat: the system message of the row itself, the rows that are shown without theirs, and the row."""
    first = asked[:1] if asked[0]["role"] == SYSTEM else []
    before = [turn for one in shown for turn in one if turn["role"] != SYSTEM]
    turns = [*before, *asked[len(first) :]]
    if instruction:
        turns[0] = {**turns[0], "content": f"{instruction}\n\n{turns[0]['content']}"}
    return [*first, *turns]
