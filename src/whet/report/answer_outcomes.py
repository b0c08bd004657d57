"""What became of every question: right, nearly right, taken from another place, or rightly left open."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from whet.data.answer_text import exact, f1

if TYPE_CHECKING:
    from whet.data.predictions import AnswerPredictions

Outcome = Literal["exact", "left_open", "partial", "elsewhere", "invented", "missed"]

WORDS: dict[Outcome, tuple[str, str, str]] = {
    "exact": ("✓", "Exact", "an accepted answer, word for word"),
    "left_open": ("✓", "Rightly left open", "the question cannot be answered, and none was given"),
    "partial": ("↔", "Partly right", "shares words with an accepted answer"),
    "elsewhere": ("✗", "Another place", "shares no word with any accepted answer"),
    "invented": ("+", "Answered the unanswerable", "the question cannot be answered from its context"),
    "missed": ("✗", "Missed an answer", "there is an answer, and none was given"),
}
"""Sign, name and meaning of each outcome."""
WRONG: tuple[Outcome, ...] = ("partial", "elsewhere", "invented", "missed")

QUESTION_WORDS = ("what", "who", "whom", "whose", "when", "where", "which", "why", "how")
FIRST_WORD = re.compile(r"\w+(?:['’]\w+)?")
MOST_KINDS = 10
OTHER = "other"


@dataclass(frozen=True, slots=True)
class Answered:
    """One question: its outcome, and the F1 of its words with the nearest accepted answer."""

    row: int
    outcome: Outcome
    f1: float

    @property
    def is_exact(self) -> bool:
        """Whether it counts for exact match: right, or rightly left open."""
        return self.outcome in ("exact", "left_open")


def answered(predictions: AnswerPredictions) -> list[Answered]:
    """Every question, in the order of the rows."""
    gold = predictions.gold
    assert gold is not None
    return [
        Answered(row, _outcome(said, accepted), f1(said, accepted))
        for row, (said, accepted) in enumerate(zip(predictions.said, gold, strict=True))
    ]


def _outcome(said: str, accepted: Sequence[str]) -> Outcome:
    if not accepted:
        return "left_open" if exact(said, accepted) else "invented"
    if exact(said, accepted):
        return "exact"
    if not said:
        return "missed"
    return "partial" if f1(said, accepted) > 0 else "elsewhere"


def question_word(question: str) -> str:
    """The first question word, so that "In what year" counts as "what"; the first word where there is none."""
    found = [word.casefold() for word in FIRST_WORD.findall(question)]
    return next((word for word in found if word in QUESTION_WORDS), found[0] if found else OTHER)


def kinds_of_question(questions: dict[int, str]) -> dict[int, str]:
    """``{row: kind}``; beyond the :data:`MOST_KINDS` most frequent, kinds are called "other"."""
    words = {row: question_word(text) for row, text in questions.items()}
    often = {
        word for word, _ in sorted(Counter(words.values()).items(), key=lambda one: (-one[1], one[0]))[:MOST_KINDS]
    }
    return {row: word if word in often else OTHER for row, word in words.items()}
