"""Values of a file into texts and labels, strictly: what is neither is a problem with its line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from whet.data.rows import ABSENT
from whet.errors import Problems

Labels = list[str | None] | list[list[str] | None]
"""One entry a row; None where the label is missing."""

_BAD: Final[Any] = object()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of a block come from: file, lines, and the column."""

    file: str
    lines: Sequence[int]
    column: str

    def at(self, row: int) -> str:
        """``"tickets.csv:17"``."""
        return f"{self.file}:{self.lines[row]}"


def texts(values: list[Any], place: Place, problems: Problems) -> list[str]:
    """The texts of a column; a null is an empty text, anything but a string a problem (D023, D018)."""
    kinds = set(map(type, values))
    if kinds != {str}:
        values = [
            value if type(value) is str else _no_text(value, row, place, problems) for row, value in enumerate(values)
        ]
    return _encodable(values, place, problems)


def _no_text(value: Any, row: int, place: Place, problems: Problems) -> str:
    if value is None:
        return ""
    what = f"has no {place.column!r}." if value is ABSENT else f"{place.column!r} is {_kind(value)}, not a text."
    problems.add("D023", place.at(row), what, "Every row needs its text as a string.")
    return ""


def _kind(value: Any) -> str:
    for kind, name in ((bool, "true or false"), (int, "a number"), (float, "a number"), (list, "a list")):
        if isinstance(value, kind):
            return name
    return "neither text nor number"


def _encodable(values: list[str], place: Place, problems: Problems) -> list[str]:
    """JSON can spell half a surrogate pair, which is no character and cannot be stored."""
    try:
        "".join(values).encode()
        return values
    except UnicodeEncodeError:
        pass
    kept = []
    for row, value in enumerate(values):
        whole = value.encode(errors="replace").decode()
        if whole != value and any("\ud800" <= character <= "\udfff" for character in value):
            what = f"{place.column!r} holds half of a surrogate pair (\\ud800 to \\udfff), which is no character."
            problems.add("D018", place.at(row), what, "Write the character whole.")
        kept.append(whole)
    return kept


def single_labels(values: list[Any], place: Place, problems: Problems) -> list[str | None]:
    """One label a row: strings as they are, numbers and true/false as JSON writes them; None is missing."""
    if set(map(type, values)) != {str}:
        values = [_single(value, row, place, problems) for row, value in enumerate(values)]
    _encodable([value for value in values if value is not None], place, problems)
    return [value if value is not None and value.strip() else None for value in values]


def _single(value: Any, row: int, place: Place, problems: Problems) -> str | None:
    if isinstance(value, list):
        what = f"{place.column!r} is a list here and a single label in other rows."
        problems.add("D034", place.at(row), what, "Give every row a list, if rows may carry several labels.")
        return "-"
    label: str | None = label_name(value)
    if label is _BAD:
        _no_label(value, row, place, problems)
        return "-"
    return label


def several_labels(
    values: list[Any], separator: str | None, place: Place, problems: Problems
) -> list[list[str] | None]:
    """Labels of each row, from lists or from strings split at ``separator``; None is missing, [] is no label.

    In a string, the separator alone says "no label"; an empty string says nothing and is missing.
    """
    rows: list[list[str] | None] = []
    for row, value in enumerate(values):
        if isinstance(value, str) and separator is not None:
            parts: Any = [part.strip() for part in value.split(separator)] if value.strip() else None
            rows.append(None if parts is None else list(dict.fromkeys(part for part in parts if part)))
        elif isinstance(value, list):
            rows.append(_several(value, row, place, problems))
        elif value is None or value is ABSENT:
            rows.append(None)
        else:
            remedy = "Give every row a list, or set data.label_separator."
            problems.add("D034", place.at(row), f"{place.column!r} is {value!r:.60}, not a list of labels.", remedy)
            rows.append([])
    _encodable([label for labels in rows for label in labels or ()], place, problems)
    return rows


def _several(value: list[Any], row: int, place: Place, problems: Problems) -> list[str]:
    labels: dict[str, None] = {}
    for part in value:
        label = label_name(part)
        if label is _BAD or label is None:
            _no_label(part, row, place, problems)
        else:
            labels[label] = None
    return list(labels)


def _no_label(value: Any, row: int, place: Place, problems: Problems) -> None:
    if isinstance(value, float):
        remedy = "Text classification needs classes; scores are another task."
    else:
        remedy = "A label is a string, a whole number, true or false."
    problems.add("D033", place.at(row), f"{place.column!r} is {value!r:.60}, which is no label.", remedy)


def label_name(value: Any) -> Any:
    """The name of one label value: ``1`` and ``1.0`` are "1", ``true`` is "true"; None where missing."""
    if value is None or value is ABSENT:
        return None
    if isinstance(value, str):
        return value if value.strip() else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isnan(value):
            return None
        return str(int(value)) if value.is_integer() else _BAD
    return _BAD
