"""Broken encoding inside valid text: replacement characters, control characters, text decoded twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

REPLACED = "replacement character"
CONTROL = "control character"
TWICE = "decoded with the wrong encoding"

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
# The characters that cp1252 gives for the bytes 0x80 to 0xBF, which continue a character in UTF-8.
_CONTINUING = "".join(bytes([byte]).decode("cp1252", "ignore") for byte in range(0x80, 0xC0))
_SEQUENCE = re.compile(f"[\u00c2-\u00f4][{re.escape(_CONTINUING)}\u0080-\u009f]{{1,3}}")

_WORTH_A_LOOK = (
    r"\x{FFFD}|[\x{00}-\x{08}\x{0B}\x{0C}\x{0E}-\x{1F}\x{7F}-\x{84}\x{86}-\x{9F}]"
    f"|[\u00c2-\u00f4][{re.escape(_CONTINUING)}]"
)
"""RE2, run over a whole block at once."""

_PLAUSIBLE = re.compile("[\u00a0-\u017f\u0400-\u045f\u2010-\u2044\u20ac\u2122\ufe0f\U0001f300-\U0001faff]+")
"""What people had written before: Western and Eastern European letters, Cyrillic, signs, pictographs.
Anything rarer is no proof: ``"CAFÉ»"`` is not the letter U+027B."""


def hits(texts: pa.Array) -> Iterator[tuple[int, str]]:
    """Pairs of row and kind, for every kind that a row holds."""
    rows = pc.indices_nonzero(pc.match_substring_regex(texts, _WORTH_A_LOOK)).to_numpy()
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        for kind in found(text):
            yield row, kind


def found(text: str) -> list[str]:
    """The kinds of damage in one text."""
    kinds = []
    if "\ufffd" in text:
        kinds.append(REPLACED)
    if _CONTROLS.search(text):
        kinds.append(CONTROL)
    if any(_read_again(match.group()) for match in _SEQUENCE.finditer(text)):
        kinds.append(TWICE)
    return kinds


def _read_again(sequence: str) -> str:
    """What UTF-8 makes of the bytes that cp1252 had made into ``sequence``; empty where it proves nothing."""
    raw = b"".join(_byte(character) for character in sequence)
    for length in range(len(raw), 1, -1):
        try:
            text = raw[:length].decode()
        except UnicodeDecodeError:
            continue
        return text if _PLAUSIBLE.fullmatch(text) else ""
    return ""


def _byte(character: str) -> bytes:
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def repaired(text: str) -> str:
    """The text with every doubly decoded sequence read again, for an example in a message."""
    return _SEQUENCE.sub(lambda match: _read_again(match.group()) or match.group(), text)
