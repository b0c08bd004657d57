"""Contexts as sentences, and sentences as answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.predictions import AnswerPredictions
from whet.data.saying import accepted, say_answers

_ENDS = re.compile(r"[.!?\u2026]+[\"'\u201d\u2019)\]\u00bb]*(?=\s)|[\u3002\uff01\uff1f]+[\u300d\u300f\u201d]*|\n\s*\n")
_SHORT = re.compile(
    r"(?:^|[^\w.])(?:[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Lt|Sgt|Capt|Rev|Hon|No|vs|etc"
    r"|cf|ca|approx|Fig|fig|Vol|vol|pp|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)\.$"
)
"""What ends with a full stop and does not end a sentence: single letters, U.S., and these."""

Span = tuple[int, int]
"""First character and end."""


def sentences(context: str) -> list[Span]:
    """Where the sentences of a text stand, without the spaces between them; one at least where there is a word."""
    found: list[Span] = []
    begin = 0
    for end in [match.end() for match in _ENDS.finditer(context) if _is_end(context, match)] + [len(context)]:
        inside = context[begin:end]
        text = inside.strip()
        if text:
            start = begin + inside.index(text)
            found.append((start, start + len(text)))
        begin = end
    return found


def _is_end(context: str, match: re.Match[str]) -> bool:
    if match.group().isspace():
        return True
    following = context[match.end() :].lstrip()[:1] if match.end() < len(context) else ""
    return not following.islower() and not _SHORT.search(context[max(0, match.start() - 12) : match.start() + 1])


@dataclass(frozen=True, slots=True)
class Row:
    """A question with its context, and the texts and places of its answers."""

    question: str
    context: str
    answers: Sequence[dict[str, Any]]

    @property
    def gold(self) -> tuple[str, ...]:
        """Accepted answers."""
        return accepted(self.answers)


def rows_of(examples: Examples) -> list[Row]:
    """All rows of a split."""
    columns = (examples.column(name) for name in ("text", "text_pair", "answers"))
    return [Row(*row) for row in zip(*columns, strict=True)]


Best = Sequence[tuple[Span, float]]
"""Some spans of a context with their probabilities, best first."""


def predictions(
    model: str, examples: Examples, best: Sequence[Best], no_answer: NDArray[np.float64]
) -> AnswerPredictions:
    """Answers of a baseline to all rows of a split."""
    nbest = [
        [(row.context[start:end], start, float(probability)) for (start, end), probability in spans]
        for row, spans in zip(rows_of(examples), best, strict=True)
    ]
    return say_answers(model, examples, nbest, no_answer)
