"""One row of preferences: what is answered, and its answers, from texts, dialogues or lists of messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from whet.data.chat_messages import ANSWERING, Message, MessageReader, Raw, holds_turns, listed, said
from whet.data.rows import ABSENT
from whet.data.values import Place
from whet.errors import Problems

TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):")
"""What begins a turn of a dialogue that is written as one text, as in hh-rlhf (arXiv 2204.05862)."""
SPEAKERS = {"Human": "user", "Assistant": "assistant"}
UP = frozenset({"true", "1", "up", "good", "yes", "like", "liked", "desirable", "positive", "+1", "\U0001f44d"})
DOWN = frozenset(
    {"false", "0", "-1", "down", "bad", "no", "dislike", "disliked", "undesirable", "negative", "\U0001f44e"}
)

NO_PROMPT = "answers that nothing stands before"
CALLS = "answers that call tools"
BEFORE = "answers that are given to different prompts"


@dataclass(frozen=True, slots=True)
class Pair:
    """What is answered, and what to it.

    - ``answers``: one or two; () where one is missing, which is number ``lacking`` of those that were given.
    - ``reason``: why they are not usable; ``refused``: a problem was noted, and nothing else is to be said of them.
    """

    messages: list[Message]
    answers: tuple[str, ...]
    reason: str = ""
    lacking: int = 0
    refused: bool = False


@dataclass(slots=True)
class Reader:
    """Reads one row; ``changes`` fills up with what was changed of it."""

    place: Place
    problems: Problems
    changes: list[str] = field(default_factory=list)

    def pair(self, prompt: Any, one: Any, other: Any) -> Pair:
        """A prompt, or ABSENT where both answers begin with it, and two answers."""
        sides = [one, other]
        for number, value in enumerate(sides):
            if value is None or value is ABSENT:
                return Pair([], (), lacking=number)
        if prompt is ABSENT:
            prompt, sides = _shared(*(_turns(value) for value in sides))
        return self._read(prompt, sides)

    def single(self, prompt: Any, answer: Any) -> Pair:
        """A prompt and one answer."""
        return Pair([], ()) if answer is None or answer is ABSENT else self._read(prompt, [answer])

    def _read(self, prompt: Any, sides: Sequence[Any]) -> Pair:
        before = _turns(prompt)
        if not isinstance(before, str | list):
            what = f"has the prompt {prompt!r:.60}, which is neither a text nor a list of messages."
            self.problems.add("D102", self.place.at(0), what, "Write prompts as texts, or as messages.")
            return Pair([], (), refused=True)
        asked = prompt if isinstance(prompt, str) else ""
        found = [self._side(before, asked, side) for side in sides]
        for number, one in enumerate(found):
            if one.reason or not one.answers:
                return replace(one, answers=(), lacking=number)
        if any(one.messages != found[0].messages for one in found[1:]):
            return Pair([], (), BEFORE)
        return Pair(found[0].messages, tuple(one.answers[0] for one in found))

    def _side(self, before: Any, asked: str, value: Any) -> Pair:
        """One answer behind what it answers, as messages; ``asked``: the prompt as it stands where it is a text."""
        last = listed(value) if holds_turns(value) else value
        if not isinstance(last, str | list):
            what = f"has the answer {value!r:.60}, which is neither a text nor a list of messages."
            self.problems.add("D102", self.place.at(0), what, "Write answers as texts, or as messages.")
            return Pair([], (), refused=True)
        if isinstance(last, str):
            last = last.removeprefix(asked)  # some write the prompt before each answer
        if isinstance(before, str) and isinstance(last, str):
            turns = [{"role": "prompt", "content": before}, {"role": "completion", "content": last}]
        else:
            first = [{"role": "user", "content": before}] if isinstance(before, str) else list(before)
            behind = [{"role": "assistant", "content": last}] if isinstance(last, str) else list(last)
            turns = [*first, *_behind(first, behind)]
        reader, known = MessageReader(self.place, self.problems), self.problems.count
        messages = reader.read(Raw(turns))
        if self.problems.count > known:
            return Pair(messages, (), refused=True)
        self.changes += [one for one in reader.changes if "empty turn" not in one]
        return self._answered(messages)

    def _answered(self, messages: list[Message]) -> Pair:
        if not messages or messages[-1]["role"] not in ANSWERING:
            return Pair(messages, ())  # an empty answer was left out
        if len(messages) == 1:
            return Pair([], (), NO_PROMPT)
        if messages[-1]["tool_calls"]:
            return Pair([], (), CALLS)
        return Pair(messages[:-1], (said(messages[-1]),))


def thumb(value: Any, place: Place, problems: Problems) -> bool | None:
    """Whether an answer is liked; None where nobody says. D101 where it is neither up nor down."""
    if value is None or value is ABSENT or value == "":
        return None
    if isinstance(value, bool):
        return value
    spelled = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip().lower()
    if spelled in UP or spelled in DOWN:
        return spelled in UP
    what = f"{place.column!r} is {value!r:.60}, which is neither up nor down."
    problems.add("D101", place.at(0), what, "Write true or false; scores of more steps are no thumbs.")
    return None


def _turns(value: Any) -> Any:
    """Messages as a list, of a dialogue in one text too; any other text as it is."""
    if holds_turns(value):
        return listed(value)
    if value is None or value is ABSENT:
        return ""
    return dialogue(value) if isinstance(value, str) else value


def dialogue(text: str) -> Any:
    """A text of turns of "Human:" and "Assistant:" as messages, an open one at its end left out; others as they are."""
    marks = list(TURN.finditer(text))
    if not marks or text[: marks[0].start()].strip() or marks[0].group(1) != "Human":
        return text
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    turns = [
        {"role": SPEAKERS[mark.group(1)], "content": text[mark.end() : end].strip()}
        for mark, end in zip(marks, ends, strict=True)
    ]
    return turns[:-1] if turns[-1] == {"role": "assistant", "content": ""} else turns


def _shared(one: Any, other: Any) -> tuple[Any, list[Any]]:
    """What two answers begin with, and what is left of each: whole messages, or whole words."""
    if isinstance(one, str) and isinstance(other, str):
        size = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        cut = max(one.rfind(mark, 0, size) for mark in (" ", "\n"))
        return one[: max(0, cut)], [one[max(0, cut) :], other[max(0, cut) :]]
    if not (isinstance(one, list) and isinstance(other, list)):
        return "", [one, other]
    size = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    size = min(size, len(one) - 1, len(other) - 1)
    return one[:size], [one[size:], other[size:]]


def _behind(first: Sequence[Mapping[str, Any]], last: Sequence[Mapping[str, Any]]) -> list[Any]:
    """``last`` without the messages of ``first``, where it begins with them."""
    return list(last[len(first) :] if first and list(last[: len(first)]) == list(first) else last)
