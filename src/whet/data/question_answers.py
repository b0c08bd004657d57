"""Values of a file into answers that stand in their context, strictly: what does not is a problem with its line.

An answer may be written as SQuAD does (``{"text": [...], "answer_start": [...]}`` or a list of
``{"text", "answer_start"}``), the same spelled in a cell of a table, or as a text alone, or a list of
texts; their places are then looked for. No answer at all is ``[]``, or empty lists.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from whet.data.rows import ABSENT
from whet.data.values import Place
from whet.errors import Problems

SEARCHED = "an answer given without its place stands several times in its context: the first place is taken"
"""Why a row is on record as changed, under A020."""

Answer = dict[str, Any]
"""``{"start", "text"}``: the first character in the context, and the text from there."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of one block.

    - ``rows``: a list for every row, empty where the question has no answer; None where nothing is said.
    - ``unsure``: positions of rows where an answer without a place stands several times in the context.
    """

    rows: list[list[Answer] | None]
    unsure: list[int]


class Odd(Exception):
    """One value that is no answer: code, what, remedy."""


def answers(values: Sequence[Any], contexts: Sequence[str], place: Place, problems: Problems) -> Answers:
    """Read the answers of a column, each against the context of its row.

    Rows without a context are passed over: they are left out for that.

    Problems: D061 no answer by its kind, D062 not in its context, D063 a start that is no number, D064
    outside the context, D065 another text at the start, D066 texts and starts of different number,
    D068 an empty text.
    """
    found = Answers([], [])
    for row, (value, context) in enumerate(zip(values, contexts, strict=True)):
        try:
            pairs = _pairs(value, place.column)
            if pairs is None:
                found.rows.append(None)
                continue
            placed = [_placed(text, start, context) for text, start in pairs] if context.strip() else []
        except Odd as odd:
            code, what, remedy = odd.args
            problems.add(code, place.at(row), what, remedy)
            found.rows.append([])
            continue
        found.rows.append([{"start": start, "text": text} for start, text, _ in placed])
        if any(unsure for _, _, unsure in placed):
            found.unsure.append(row)
    return found


def is_answers(value: Any) -> bool:
    """Whether a value is written as answers with their places: a structure, or one spelled in a cell."""
    value = spelled(value)
    if isinstance(value, dict):
        return "text" in value
    return isinstance(value, list) and all(isinstance(part, dict) and "text" in part for part in value)


def spelled(value: Any) -> Any:
    """A list or structure that is spelled in a cell, as JSON or Python write it; any other value as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list) and all(isinstance(part, str | dict) for part in found):
            return found
        if isinstance(found, dict) and "text" in found:
            return found
    return value


Pairs = list[tuple[str, int | None]]
"""Texts, each with its start or None."""


def _pairs(value: Any, column: str) -> Pairs | None:
    """:raises Odd: it is no answer."""
    value = spelled(value)
    if value is None or value is ABSENT or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return [(str(value), None)]
    if isinstance(value, dict):
        return _structure(value, column)
    if not isinstance(value, list | tuple):
        raise _no_answer(value, column)
    found: Pairs = []
    for part in value:
        if isinstance(part, dict):
            found += _structure(part, column) or []
        else:
            found.append((_text(part, column), None))
    return found


def _structure(value: dict[str, Any], column: str) -> Pairs | None:
    """``{"text", "answer_start"}``, single or lists; ``start`` is understood as well."""
    text = value.get("text", ABSENT)
    start = value.get("answer_start", value.get("start"))
    if text is ABSENT:
        raise _no_answer(value, column)
    if text is None and start is None:
        return None
    if not isinstance(text, list | tuple):
        return [(_text(text, column), _number(start))]
    if start is None:
        return [(_text(part, column), None) for part in text]
    starts = start if isinstance(start, list | tuple) else [start]
    if len(starts) != len(text):
        what = f"has {len(text)} answers and {len(starts)} starts."
        raise Odd("D066", what, "Give every answer its start.")
    return [(_text(part, column), _number(one)) for part, one in zip(text, starts, strict=True)]


def _no_answer(value: Any, column: str) -> Odd:
    remedy = 'Write {"text": [...], "answer_start": [...]}, a text that stands in the context, or [] for none.'
    return Odd("D061", f"{column!r} is {value!r:.60}, which is no answer.", remedy)


def _text(value: Any, column: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise _no_answer(value, column)
    if not value.strip():
        raise Odd("D068", "has an empty answer.", "Write [] where the question has none.")
    return value


def _number(value: Any) -> int | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip(), re.ASCII):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    what = f"the start {value!r:.60} of an answer is no whole number."
    raise Odd("D063", what, "Count characters of the context from 0.")


def _placed(text: str, start: int | None, context: str) -> tuple[int, str, bool]:
    """Start, text, and whether other places would have done as well; :raises Odd: it does not stand there."""
    if start is not None:
        if start >= 0 and context.startswith(text, start):
            return start, text, False
        raise _misplaced(text, start, context)
    every = list(places(text, context))
    if not every:
        raise _absent(text, context)
    whole = [one for one in every if _whole(context, one, one + len(text))] or every
    return whole[0], text, len(whole) > 1


def places(text: str, context: str) -> Iterator[int]:
    """Where ``text`` stands in ``context``, from left to right."""
    start = context.find(text)
    while start >= 0:
        yield start
        start = context.find(text, start + 1)


def _whole(context: str, start: int, end: int) -> bool:
    """Whether no word goes on beyond either end: "art" does not stand in "party"."""
    before, after = context[max(0, start - 1) : start], context[end : end + 1]
    return not (before.isalnum() and context[start].isalnum()) and not (after.isalnum() and context[end - 1].isalnum())


def _absent(text: str, context: str, start: int | None = None) -> Odd:
    there = (
        "" if start is None or not 0 <= start < len(context) else f" (at {start} stands {_there(text, start, context)})"
    )
    what = f"the answer {_short(text)} does not stand in its context{there}."
    alike = re.search(r"\s+".join(map(re.escape, text.split())), context, re.IGNORECASE)
    remedy = "Copy it from the context, character by character."
    if alike is not None:
        remedy = f"At {alike.start()} stands {_short(alike.group())}: copy it as it is there."
    return Odd("D062", what, remedy)


def _misplaced(text: str, start: int, context: str) -> Odd:
    every = list(places(text, context))
    if not every:
        return _absent(text, context, start)
    if 0 <= start <= len(context) - len(text):
        code, what = "D065", f"at {start} stands {_there(text, start, context)}, not the answer {_short(text)}."
    else:
        end = start + len(text)
        code = "D064"
        what = f"the answer {_short(text)}, {start} to {end}, lies outside its context of {len(context):,} characters."
    nearest = min(every, key=lambda one: abs(one - start))
    off = abs(nearest - start)
    remedy = (
        f"It stands at {nearest}, {off:,} character{'' if off == 1 else 's'} {'on' if nearest > start else 'back'}."
    )
    for unit, name in (("utf-8", "bytes"), ("utf-16-le", "UTF-16 units")):
        size = 1 if unit == "utf-8" else 2
        if any(len(context[:one].encode(unit)) == start * size for one in every):
            remedy += f" The start seems to count {name}; count characters."
            break
    return Odd(code, what, remedy)


def _there(text: str, start: int, context: str) -> str:
    return _short(context[start : start + len(text)])


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
