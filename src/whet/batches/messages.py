"""One message as templates expect it, with marks around what is an answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from whet.batches.control import CLOSES, END, OPENS, Held
from whet.batches.templates import ANSWERS

_THOUGHT = "</think>"
"""What stands before it is thinking, which templates leave out of earlier turns."""
Mark = Callable[[int, str], str]
"""The number of a message and its text to the same text with marks."""


def says(message: Mapping[str, Any]) -> bool:
    """Whether there is anything in it."""
    return bool(text_of(message.get("content")).strip() or message.get("tool_calls"))


def text_of(content: Any) -> str:
    """A content as one text; it may come in parts."""
    return "".join(part["text"] for part in content) if isinstance(content, list) else str(content or "")


def around(number: int, text: str) -> str:
    """``text`` between marks, with the blanks around it outside, where templates strip them."""
    said = text.strip()
    if not said:
        return text
    start = text.index(said)
    return f"{text[:start]}{OPENS}{number}{END}{said}{CLOSES}{number}{END}{text[start + len(said) :]}"


def around_what_is_said(number: int, text: str) -> str:
    """The same around what comes behind thinking."""
    thought, found, said = text.rpartition(_THOUGHT)
    return thought + found + around(number, said)


def for_template(
    message: Mapping[str, Any],
    roles: Mapping[str, str],
    held: Held,
    as_text: bool,
    mark: Callable[[str], str] | None,
) -> dict[str, Any]:
    """A message as templates expect it: no empty fields, tool calls as objects, arguments too unless ``as_text``."""
    answer = message["role"] in ANSWERS
    shown: dict[str, Any] = {"role": roles.get(message["role"], message["role"])}
    for name, value in message.items():
        if name in ("role", "weight", "tool_calls") or value is None:
            continue
        shown[name] = held.take(text_of(value) if name == "content" else value, answer)
    shown.setdefault("content", "")
    calls = message.get("tool_calls")
    calls = json.loads(calls) if isinstance(calls, str) else calls
    if calls:
        shown["tool_calls"] = [_call(one, held, as_text) for one in calls]
    if mark is not None and answer:
        if shown["content"].strip():
            shown["content"] = mark(shown["content"])
        elif calls:
            first = shown["tool_calls"][0]["function"]
            first["name"] = mark(first["name"])
    return shown


def _call(call: Mapping[str, Any], held: Held, as_text: bool) -> dict[str, Any]:
    function = dict(call.get("function", call))
    arguments = function.get("arguments", {})
    if isinstance(arguments, str) and not as_text:
        arguments = json.loads(arguments)
    elif not isinstance(arguments, str) and as_text:
        arguments = json.dumps(arguments, ensure_ascii=False)
    outer = {name: value for name, value in call.items() if name in ("id", "type")}
    taken: dict[str, Any] = held.take(
        {"type": "function", **outer, "function": {"name": function.get("name", ""), "arguments": arguments}}, True
    )
    return taken
