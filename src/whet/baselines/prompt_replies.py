"""What a reply says: the label it names, the list it holds, the number in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_JOINS = re.compile(r"[\s_\-]+")
_AROUND = " \t\r\n\"'`*.,;:!?()[]{}<>\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
"""Quotes, emphasis and punctuation that people and models put around a label."""
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
_NUMBER = re.compile(r"(?<![\w.,])[-+\u2212]?(?:\d+(?:[.,]\d+)*|\.\d+)(?:[eE][-+]?\d+)?")
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?")
_OBJECT = re.compile(r"\{[^{}]*\}")
FIRST_UNPARTED = "\u2e80"
"""From this letter on scripts are mostly written without blanks, so that words have no borders to ask for."""


def plain(text: str) -> str:
    """How labels are compared: lower case, one blank for any blanks, underscores and hyphens."""
    return _JOINS.sub(" ", text.casefold()).strip()


def unquoted(reply: str) -> str:
    """A reply without the fence of a block of code, quotes and blanks around it; a full stop behind quotes goes too."""
    text = reply.strip()
    if text.startswith("```"):
        text = re.sub(r"^```\w*\n?|\n?```$", "", text).strip()
    if text[-1:] == "." and text[-2:-1] in _QUOTES:
        text = text[:-1]
    return text.strip(_QUOTES).strip()


class Labels:
    """Finds which of some labels a reply names."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._exact = {label: number for number, label in enumerate(labels)}
        self._plain: dict[str, int] = {}
        for number, label in enumerate(labels):
            self._plain.setdefault(plain(label), number)  # of labels that differ in case alone, the first
            self._plain.setdefault(plain(label.strip(_AROUND)), number)
        self._plain.pop("", None)
        ordered = sorted(self._plain, key=lambda one: -len(one))  # of two that begin at one place, the longer
        self._anywhere = re.compile("|".join(map(_bordered, ordered))) if ordered else None

    def named(self, reply: str) -> int | None:
        """The number of the label that a reply is, or else of the one that it names first; None where it names none."""
        for text in (reply.strip(), reply.strip(_AROUND)):
            if text in self._exact:
                return self._exact[text]
        for text in (plain(reply), plain(reply.strip(_AROUND))):
            if text in self._plain:
                return self._plain[text]
        found = self._anywhere.search(plain(reply)) if self._anywhere else None
        return None if found is None else self._plain[found.group()]


def _bordered(label: str) -> str:
    before = r"(?<!\w)" if label[0] < FIRST_UNPARTED else ""
    behind = r"(?!\w)" if label[-1] < FIRST_UNPARTED else ""
    return before + re.escape(label) + behind


def listed(reply: str) -> list[Any] | None:
    """The first JSON list in a reply; None where there is none."""
    decoder = json.JSONDecoder()
    for place in (match.start() for match in re.finditer(r"\[", reply)):
        try:
            found, _ = decoder.raw_decode(reply, place)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, list) else None
    return None


def objects(reply: str) -> list[Mapping[str, Any]] | None:
    """The objects of the JSON list in a reply; those that are whole where the list is cut off or badly put together.

    None where there is neither a list nor an object.
    """
    found = listed(reply)
    if found is not None:
        kept: list[Mapping[str, Any]] = [one for one in found if isinstance(one, dict)]
        return kept if kept or not found else None
    whole = [one for text in _OBJECT.findall(reply) if (one := _object(text)) is not None]
    return whole or None


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def number(reply: str) -> float | None:
    """The first number in a reply: ``4``, ``-0.5``, ``3,5``, ``1,200.5``; None where there is none."""
    match = _NUMBER.search(reply)
    if match is None:
        return None
    text = match.group().replace("\u2212", "-")
    if _THOUSANDS.fullmatch(text.lstrip("+-")):
        text = text.replace(",", "")
    try:
        found = (
            float(text.replace(",", ".")) if text.count(",") + text.count(".") <= 1 else float(text.replace(",", ""))
        )
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None
