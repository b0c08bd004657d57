"""Conversations in every layout, and reading them, for the tests of their form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from whet.data import other_reading, reading
from whet.data.conversations import Conversations
from whet.data.forms import Examples
from whet.data.reading import ReadResult
from whet.data.row_form import Choice, RowForm

USER, ANSWER = "Where is my parcel 🐎?", "It is on its way, Ägidius."


def turn(role: str, content: Any = "", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def talk(*contents: str, first: str = "user") -> dict[str, Any]:
    """A user and an assistant in turn."""
    roles = ("user", "assistant") if first == "user" else ("assistant", "user")
    return {"messages": [turn(roles[number % 2], content) for number, content in enumerate(contents)]}


def call(name: str = "find", arguments: Any = '{"id": 7}', **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


def read(source: Path, form: RowForm | None = None, **named: Any) -> ReadResult:
    """Read a whole data set beside its source."""
    return reading.read(source, into=source.parent / "read", form=form or Conversations(), choice=Choice(**named))


def one_file(source: Path, form: RowForm | None = None, **named: Any) -> other_reading.OtherRows:
    """Read one file without dividing it."""
    into = source.parent / "one"
    form = form or Conversations()
    return other_reading.read_for_evaluation(source, into=into, form=form, labels=(), choice=Choice(**named))


def asked(source: Path, form: RowForm | None = None, **named: Any) -> other_reading.OtherRows:
    """Read rows that only want an answer."""
    into = source.parent / "asked"
    return other_reading.read_unlabelled(source, into=into, form=form or Conversations(), choice=Choice(**named))


def spoken(examples: Examples) -> list[list[tuple[str, str]]]:
    """Role and text of the messages of all rows."""
    return [[(one["role"], one["content"]) for one in row] for row in examples.column("messages")]


def noted(entries: Any) -> list[tuple[str, str, list[int]]]:
    """Entries of a ledger."""
    return [(entry.code, entry.reason, entry.lines) for entry in entries]
