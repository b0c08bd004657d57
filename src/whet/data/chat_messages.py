"""The messages of one conversation: what a file says of them, read strictly into one form.

A message has a role (``system``, ``user``, ``assistant``, ``tool``; ``prompt`` and ``completion`` for plain
texts), a text, and perhaps a weight, a name, calls of tools or the call that it answers. Which words stand
for which role, and which keys for which part, is written down here and nowhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pyarrow as pa

from whet.data.rows import ABSENT
from whet.data.values import Place, texts
from whet.errors import Problem, Problems, UserError, did_you_mean, one_of

MESSAGES = pa.list_(
    pa.struct(
        [
            ("role", pa.string()),
            ("content", pa.string()),
            ("weight", pa.float64()),
            ("name", pa.string()),
            ("tool_calls", pa.string()),
            ("tool_call_id", pa.string()),
        ]
    )
)
"""Arrow type of a conversation. ``weight`` is null where the data says none; ``tool_calls`` is JSON."""

Message = dict[str, Any]
"""One message, with every key of :data:`MESSAGES`."""

ROLES = ("system", "user", "assistant", "tool", "prompt", "completion")
ANSWERING = ("assistant", "completion")

SPEAKERS = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "customer", "client", "human"), "user"),
    **dict.fromkeys(("assistant", "agent", "bot", "support", "gpt", "model", "ai"), "assistant"),
    **dict.fromkeys(("tool", "function", "observation", "tool_response", "function_response"), "tool"),
    **dict.fromkeys(("function_call", "tool_call"), "call"),
    **{name: name for name in ("prompt", "completion")},
}
"""How data names who speaks -> role. A call is a turn of the assistant whose text is the call of a tool."""

ROLE_KEYS = ("role", "from", "speaker")
CONTENT_KEYS = ("content", "value", "text")

EMPTY_TURN = "an empty turn, left out"
EMPTY_SYSTEM = "an empty system message, left out"
UNASKED = "begins with an answer, kept as it stands"
REPEATED = "two turns of one role in a row, kept as they stand"


@dataclass(frozen=True, slots=True)
class Raw:
    """A conversation as it stands in a file.

    :param turns: its messages, the oldest first; nothing of them is checked yet.
    :param tools: descriptions of the tools that may be called; ``ABSENT`` or None where there are none.
    :param accepted: further texts that would do for the last answer.
    :param lines: the line of each turn, where turns stand on lines of their own.
    """

    turns: Any
    tools: Any = ABSENT
    accepted: Sequence[Any] = ()
    lines: tuple[int, ...] = ()


@dataclass(slots=True)
class MessageReader:
    """Reads the messages of one row. ``speakers``: lower-case names -> roles; ``changes`` fills up."""

    place: Place
    problems: Problems
    speakers: Mapping[str, str] = field(default_factory=lambda: SPEAKERS)
    changes: list[str] = field(default_factory=list)

    def read(self, raw: Raw) -> list[Message]:
        """The messages in order, empty ones left out; what is wrong becomes a problem with its line."""
        found, turned = [], bool(raw.lines)
        for number, turn in enumerate(self._turns(raw.turns)):
            here = Place(self.place.file, raw.lines[number : number + 1] or self.place.lines, self.place.column)
            message = self._message(turn, here)
            if message is None:
                continue
            turned |= isinstance(turn, Mapping) and "from" in turn and "role" not in turn
            if message["content"].strip() or message["tool_calls"]:
                found.append(message)
            else:
                self.changes.append(EMPTY_SYSTEM if message["role"] == "system" else EMPTY_TURN)
        self._refuse_order(found, by_turns=turned)
        self._note_order(found, by_turns=bool(raw.lines))
        return found

    def _note_order(self, found: Sequence[Message], by_turns: bool) -> None:
        """On record: an answer that nothing asks for, and turns that do not alternate, which those of logs need not."""
        roles = [message["role"] for message in found if message["role"] != "system"]
        if roles and roles[0] == "assistant":
            self.changes.append(UNASKED)
        if not by_turns and any(one == other and one in ("user", "assistant") for one, other in pairwise(roles)):
            self.changes.append(REPEATED)

    def _turns(self, value: Any) -> list[Any]:
        found = listed(value)
        if found is None:
            what = f"{self.place.column!r} is {value!r:.60}, not a list of messages."
            self._problem("D080", what, 'Write [{"role": "user", "content": "..."}, ...].')
        return found or []

    def _problem(self, code: str, what: str, remedy: str, place: Place | None = None) -> None:
        self.problems.add(code, (place or self.place).at(0), what, remedy)

    def _message(self, turn: Any, place: Place) -> Message | None:
        if not isinstance(turn, Mapping) or not (role_keys := [key for key in ROLE_KEYS if key in turn]):
            what = f"has the message {turn!r:.60}, which says no role."
            self._problem("D080", what, 'A message is {"role": "user", "content": "..."}.', place)
            return None
        role = self._role(turn[role_keys[0]], place)
        content = next((turn[key] for key in CONTENT_KEYS if key in turn), None)
        calls = turn.get("tool_calls") or _as_calls(turn.get("function_call"))
        if role == "call":
            role, calls, content = "assistant", content, ""
        name, answered = turn.get("name"), turn.get("tool_call_id")
        return {
            "role": role,
            "content": self._content(content, place),
            "weight": self._weight(turn.get("weight"), place),
            "name": None if name is None else self._text(name, place),
            "tool_calls": self._calls(calls, place) if calls is not None and calls is not ABSENT else None,
            "tool_call_id": None if answered is None else self._text(answered, place),
        }

    def _role(self, value: Any, place: Place) -> str:
        role = self.speakers.get(value.strip().lower()) if isinstance(value, str) else None
        if role is not None:
            return role
        near = did_you_mean(value, self.speakers) if isinstance(value, str) else ""
        remedy = f"{near} Or say who it is: --set data.roles='{value}=assistant', or =user."
        self._problem("D081", f"has a message of {value!r:.60}, which is no known role.", remedy.strip(), place)
        return "user"

    def _content(self, value: Any, place: Place) -> str:
        if isinstance(value, list | tuple):
            parts = [_part(one) for one in value]
            if None in parts:
                what = f"has a message with {value[parts.index(None)]!r:.60}, which is no text."
                self._problem("D082", what, "Only texts are learnt from: leave other parts out.", place)
            value = "".join(part or "" for part in parts)
        return self._text(None if value is ABSENT else value, place)

    def _text(self, value: Any, place: Place) -> str:
        return texts([value], place, self.problems)[0]

    def _weight(self, value: Any, place: Place) -> float | None:
        if value is None or value is ABSENT:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
            return float(value)
        what = f"has a message of weight {value!r:.60}, which is no number of 0 or more."
        self._problem("D086", what, "0 is not trained on, 1 counts once; leave it out where nothing is meant.", place)
        return None

    def _calls(self, value: Any, place: Place) -> str | None:
        """Calls as JSON: ``[{"type": "function", "function": {"name", "arguments": {...}}, "id"?}, ...]``."""
        several = _parsed(value)
        several = [several] if isinstance(several, Mapping) else several
        if isinstance(several, list) and not several:
            return None
        calls = [_call(one) for one in several] if isinstance(several, list) else [None]
        if None in calls:
            what = f"has calls of tools that cannot be read: {value!r:.60}."
            remedy = 'A call is {"function": {"name": "...", "arguments": "{...}"}}; arguments are an object in JSON.'
            self._problem("D087", what, remedy, place)
            return None
        return self._text(json.dumps(calls, ensure_ascii=False), place)

    def _refuse_order(self, messages: Sequence[Message], by_turns: bool) -> None:
        """D083, D084 and D085; ``by_turns``: calls are written into the texts, so that none is seen."""
        pending: list[str | None] = []
        called, began = False, False
        for message in messages:
            role = message["role"]
            if role == "system" and began:
                what = "has a system message behind other messages."
                self._problem("D083", what, "A system message stands first: move it there, or make it a user's.")
            if role == "tool":
                if not (_answer(pending, message["tool_call_id"]) or (by_turns and called)):
                    what = f"has the result of a tool ({message['content']!r:.40}) that no message before it called."
                    self._problem("D084", what, "Give the assistant's message with its tool_calls before it.")
            elif pending:
                what = "goes on after the call of a tool without its result."
                self._problem("D085", what, "Put a message of role 'tool' behind each call, or end with the call.")
                pending = []
            if message["tool_calls"]:
                pending = [one.get("id") for one in json.loads(message["tool_calls"])]
            called = role in ANSWERING or (called and role == "tool")
            began |= role != "system"

    def tools(self, value: Any) -> str | None:
        """Descriptions of tools as JSON; None where there are none. D087 where they cannot be read."""
        if value is None or value is ABSENT or (isinstance(value, str) and not value.strip()):
            return None
        found = _parsed(value)
        if isinstance(found, list) and all(isinstance(one, Mapping) for one in found):
            return self._text(json.dumps(found, ensure_ascii=False), self.place) if found else None
        what = f"has tools that cannot be read: {value!r:.60}."
        self._problem("D087", what, 'Tools are a list of objects: [{"type": "function", "function": {...}}].')
        return None

    def others(self, values: Sequence[Any]) -> list[str]:
        """Further texts that would do for the last answer, empty ones left out; all of them stand in one line."""
        place = replace(self.place, lines=[*self.place.lines] * len(values))
        return [text for text in texts(list(values), place, self.problems) if text.strip()]


def listed(value: Any) -> list[Any] | None:
    """A list of turns as it is, spelled in a cell, or as columns of a nested table; None for anything else."""
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = _parsed(value)
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and value and all(isinstance(column, list) for column in value.values()):
        return [dict(zip(value, turn, strict=False)) for turn in zip(*value.values(), strict=False)]
    return None


def holds_turns(value: Any) -> bool:
    """Whether a value is a conversation: a list of objects that say who speaks."""
    found = listed(value)
    return bool(found) and all(isinstance(one, Mapping) and any(key in one for key in ROLE_KEYS) for one in found or ())


def speakers_of(spelled: str | None) -> Mapping[str, str]:
    """:data:`SPEAKERS`, and those that the user named: ``"Anna=assistant, Kunde=user"``.

    :raises UserError: D081, it is spelled otherwise or names no role.
    """
    named: dict[str, str] = {}
    for part in (spelled or "").split(","):
        if not part.strip():
            continue
        speaker, _, role = (side.strip() for side in part.rpartition("="))
        if not speaker or role.lower() not in ROLES[:4]:
            what = f"{part.strip()!r} names no role."
            remedy = f"Write a name and {one_of(ROLES[:4])}: 'Anna=assistant, Ben=user'."
            raise UserError(Problem("D081", "data.roles", what, remedy))
        named[speaker.lower()] = role.lower()
    return {**SPEAKERS, **named}


def said(message: Message) -> str:
    """What a message says: its text, and its calls of tools as they are stored."""
    return "\n".join(part for part in (message["content"], message["tool_calls"]) if part)


def readable(messages: Sequence[Message]) -> str:
    """A conversation for people: a lone text as it is, else a line ``User: ...`` for each message."""
    if len(messages) == 1 and messages[0]["role"] in ("user", "prompt"):
        return str(messages[0]["content"])
    return "\n".join(f"{message['role'].capitalize()}: {said(message)}" for message in messages)


def _part(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    known = isinstance(value, Mapping) and value.get("type", "text") in ("text", "input_text", "output_text")
    text = value.get("text") if known else None
    return text if isinstance(text, str) else None


def _parsed(value: Any) -> Any:
    """A value, or what its JSON spells; None where that cannot be read."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _as_calls(value: Any) -> Any:
    """The older way to call: one function, without a list around it."""
    return None if value is None or value is ABSENT else [{"function": value}]


def _call(value: Any) -> dict[str, Any] | None:
    """One call in the form that is stored; None where it cannot be read."""
    if not isinstance(value, Mapping):
        return None
    function = value.get("function", value)
    name = function.get("name") if isinstance(function, Mapping) else None
    given = function.get("arguments") if isinstance(function, Mapping) else None
    found = {} if given is None or given == "" else _parsed(given)
    if not isinstance(name, str) or not name or not isinstance(found, Mapping):
        return None
    one = {"type": "function", "function": {"name": name, "arguments": dict(found)}}
    return one if value.get("id") is None else {"id": str(value["id"]), **one}


def _answer(pending: list[str | None], answered: str | None) -> bool:
    """Strike the call that a result answers; whether there is one. Calls and results may go without a name."""
    for number, name in enumerate(pending):
        if answered is None or name is None or name == answered:
            del pending[number]
            return True
    return False
