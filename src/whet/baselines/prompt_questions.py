"""Questions on a context, asked in words; what is said is looked up in the context."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whet.baselines.prompt_asking import Asked, Form, Read
from whet.baselines.prompt_replies import plain, unquoted
from whet.data.answer_text import normalised
from whet.data.saying import NBest, say_answers

if TYPE_CHECKING:
    from whet.baselines.material import Material
    from whet.data.forms import Examples
    from whet.data.predictions import Predictions
    from whet.prompting.speaker import Reply

SURE = 0.9
"""Probability of what is said: a reply states none."""
NO_ANSWER = "no answer"
SAID_OF_NONE = (NO_ANSWER, "none", "unanswerable", "not answerable", "n/a", "there is no answer")
_WORD = re.compile(r"\w+")
FORM = Form(("Text", "Question"), "Answer")
Place = tuple[int, int]


class AskQuestions:
    """An answer that stands in the context, or none where training has questions without one."""

    closed: tuple[str, ...] = ()

    def __init__(self, material: Material) -> None:
        self._some_open = any(not row for row in material.splits["train"].column("answers"))

    def instruction(self) -> str:
        """What an answer is, and what to say where there is none."""
        none = f" Where the text does not hold the answer, say: {NO_ANSWER}." if self._some_open else ""
        return f"Answer the question with words copied from the text, as few as answer it, and nothing else.{none}"

    def asked(self, examples: Examples) -> list[Asked]:
        """The context, and the question behind it."""
        rows = zip(examples.column("text_pair"), examples.column("text"), strict=True)
        return [FORM.of(row) for row in rows]

    def answers(self, examples: Examples) -> list[str]:
        """The first accepted answer."""
        return [row[0]["text"] if row else NO_ANSWER for row in examples.column("answers")]

    def keys(self, examples: Examples) -> list[tuple[int, ...]]:
        """All alike: rows are shown as they come, with as many without answer as there are."""
        return [(0,)] * len(examples)

    def blank(self, words: str) -> Asked:
        """Those words as both."""
        return FORM.of([words, words])

    def weighed(self, name: str, examples: Examples, probabilities: NDArray[np.float64]) -> Predictions:
        """:raises NotImplementedError: answers are open."""
        raise NotImplementedError

    def read(self, name: str, examples: Examples, replies: Sequence[Reply]) -> Read:
        """The place of each reply in its context; no answer where it has none."""
        nbest: list[NBest] = []
        silent = np.zeros(len(replies))
        unparsable = np.zeros(len(replies), bool)
        inexact = 0
        for row, (context, reply) in enumerate(zip(examples.column("text_pair"), replies, strict=True)):
            said = unquoted(reply.text)
            none = self._some_open and plain(said).strip(" .") in SAID_OF_NONE
            place = None if none else stands(context, said)
            unparsable[row] = place is None and not none
            silent[row] = SURE if place is None else 1 - SURE
            nbest.append([] if place is None else [(context[place[0] : place[1]], place[0], SURE)])
            inexact += place is not None and not _same(context[place[0] : place[1]], said)
        said_rows = say_answers(name, examples, nbest, silent)
        return Read(said_rows, unparsable, {"answers that do not stand in the text word by word": inexact})


def _same(place: str, said: str) -> bool:
    return said.lower().rstrip(".").rstrip() == place.lower().rstrip(".").rstrip()


def stands(context: str, said: str) -> Place | None:
    """Where an answer stands in its context: as it is, in another case, or its longest run of words that does.

    None where nothing but articles is left.
    """
    trimmed = said.strip().rstrip(".").strip()
    for words in dict.fromkeys((said.strip(), trimmed)):
        if not normalised(words):
            continue
        at = _whole(context, words, False)
        at = _whole(context, words, True) if at is None else at
        if at is not None:
            return at
    return _longest_run(context, trimmed)


def _whole(context: str, words: str, fold: bool) -> Place | None:
    """The first place as whole words, else the first place at all."""
    flags = re.IGNORECASE if fold else 0
    for pattern in (rf"(?<!\w){re.escape(words)}(?!\w)", re.escape(words)):
        match = re.search(pattern, context, flags)
        if match:
            return match.span()
    return None


def _longest_run(context: str, said: str) -> Place | None:
    places = [match.span() for match in _WORD.finditer(context)]
    words = [context[start:end].casefold() for start, end in places]
    wanted = [word.casefold() for word in _WORD.findall(said)]
    run = SequenceMatcher(None, words, wanted, autojunk=False).find_longest_match()
    if not run.size or not normalised(" ".join(words[run.a : run.a + run.size])):
        return None
    return places[run.a][0], places[run.a + run.size - 1][1]
