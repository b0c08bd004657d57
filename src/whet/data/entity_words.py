"""Words of a running text: what entities are made of where the data does not say what its words are.

A word is a run of letters, digits and the marks on them, or any other single character that is not
blank. Scripts that are written without blanks (Han, Kana, Thai, Lao, Khmer, Burmese) give a word per
character, with its marks: else a whole sentence would be one word, and no entity in it could be said.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

_UNPARTED = (
    "\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e46\u0e81-\u0eb0\u0eb2\u0eb3\u0ebd-\u0ec6\u0edc-\u0edf"  # Thai, Lao
    "\u1000-\u102a\u103f\u1050-\u1055\u1780-\u17b3"  # Burmese, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff"  # radicals, Kana
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"  # Han, narrow Kana
)
"""Ranges of letters that stand for themselves."""

_JOINERS = "\u00ad\u200c\u200d"
"""Soft hyphen and the two characters that say whether letters join: within a word, no borders."""


def word_places(text: str) -> list[int]:
    """Start and end of every word, one after the other: two numbers a word, ends exclusive."""
    return [place for match in _pattern().finditer(text) for place in match.span()]


@cache
def _pattern() -> re.Pattern[str]:
    marks = _ranges(point for point in [*range(0x300, 0x1F000), *range(0xE0100, 0xE01F0)] if _is_mark(point))
    return re.compile(f"[{_UNPARTED}][{marks}]*|(?:[^\\W_{_UNPARTED}]|[{marks}{_JOINERS}])+|\\S")


def _is_mark(point: int) -> bool:
    return unicodedata.category(chr(point))[0] == "M"


def _ranges(points: Iterable[int]) -> str:
    """Ascending code points as the inside of a character class."""
    found: list[list[int]] = []
    for point in points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in found)
