"""Values of a file into scores, strictly: what is no finite number is a problem with its line."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from whet.data.rows import ABSENT
from whet.data.values import Place
from whet.errors import Problems

MOST = 1e15
"""Largest size of a number: training adds up squares in 32 bits, which end at 3.4e38, of as many rows as 1e8."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
_WITH_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+")


def numbers(values: Sequence[Any], place: Place, problems: Problems, *, truths: bool = False) -> list[float | None]:
    """A number a row, None where it is missing: numbers as they are, and as a CSV file spells them.

    D070 is what is no number, D071 a number that is not finite, or beyond :data:`MOST`.

    :param truths: take true for 1 and false for 0.
    """
    found: list[float | None] = []
    for row, value in enumerate(values):
        kind = type(value)
        if (kind is float or kind is int) and -MOST <= value <= MOST:
            found.append(float(value))
        else:
            found.append(_number(value, row, place, problems, truths))
    return found


def _number(value: Any, row: int, place: Place, problems: Problems, truths: bool) -> float | None:
    if value is None or value is ABSENT or (isinstance(value, str) and not value.strip()):
        return None
    number = _spelled(value, truths)
    if number is None:
        what = f"{place.column!r} is {value!r:.60}, which is no number."
        problems.add("D070", place.at(row), what, _remedy(value))
    elif not math.isfinite(number):
        what = f"{place.column!r} is {value!r:.60}, which is not a finite number."
        problems.add("D071", place.at(row), what, "Give a finite number, or leave it empty where it is not known.")
    elif abs(number) > MOST:
        what = f"{place.column!r} is {value!r:.60}, beyond {MOST:g}: its square is too large for training in 32 bits."
        problems.add("D071", place.at(row), what, "Correct it, or divide the whole column by a power of ten.")
    else:
        return number
    return 0.0


def _spelled(value: Any, truths: bool) -> float | None:
    """The number that a value stands for; None where it stands for none."""
    if isinstance(value, bool):
        return float(value) if truths else None
    if isinstance(value, str):
        text = value.strip()
        return float(text) if _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text) else None
    if isinstance(value, int | float | Decimal):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


def _remedy(value: Any) -> str:
    if isinstance(value, str) and _WITH_COMMA.fullmatch(value.strip()):
        return f"Write it with a point: {value.strip().replace(',', '.')}."
    return "Write a number there, or name the column of scores with --label if this is not it."


def relevances(values: Sequence[Any], place: Place, problems: Problems) -> list[float | None]:
    """As :func:`numbers`, 0 or more; D072 is one below. True and false are 1 and 0."""
    found = numbers(values, place, problems, truths=True)
    for row, value in enumerate(found):
        if value is not None and value < 0:
            what = f"{place.column!r} is {value:g}; a relevance is 0 (not relevant) or more."
            problems.add("D072", place.at(row), what, "Let 0 stand for what is not relevant.")
    return found


def share_of_numbers(values: Sequence[Any]) -> float:
    """Which share of the values that are there are numbers, or spell some; 0 where none is there."""
    there = [value for value in values if not _is_missing(value)]
    return sum(_spelled(value, False) is not None for value in there) / max(1, len(there))


def looks_like_numbers(values: Sequence[Any]) -> bool:
    """Whether all values that are there are numbers, or spell some, and there is one."""
    there = [value for value in values if not _is_missing(value)]
    return bool(there) and all(_spelled(value, False) is not None for value in there)


def _is_missing(value: Any) -> bool:
    return value is None or value is ABSENT or (isinstance(value, str) and not value.strip())


def texts_of(value: Any) -> list[str] | None:
    """One text, or a list of texts, with "" for what is missing in it; None where the value is neither."""
    if _is_missing(value):
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(part is None or isinstance(part, str) for part in value):
        return [part or "" for part in value]
    return None
