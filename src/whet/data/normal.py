"""The normalised text, and the hash by which rows are recognised again.

Two texts are near duplicates if they are equal after NFKC, lower case, every digit as 0,
punctuation as a blank and blanks collapsed. Letters of any script, their marks (vowel signs are
marks in many scripts) and pictographs stay: without them different texts would meet.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_BLANK_CATEGORIES = frozenset({"Sc", "Sm", "Sk", "Cc", "Cf", "Co", "Cn", "Cs"})


class _Folding(dict[int, str]):
    """A translation table that fills itself: code point -> what stands for it."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        category = unicodedata.category(character)
        if category == "Nd":
            folded = "0"
        elif category[0] in "PZ" or category in _BLANK_CATEGORIES:
            folded = " "
        else:
            folded = character
        self[point] = folded
        return folded


_FOLDING = _Folding()
# For ASCII, lower case and the rest in one step.
_ASCII = {point: _FOLDING[ord(chr(point).lower())] for point in range(128)}


def lowered(text: str) -> str:
    """Lower case without blanks around; equal here implies equal under :func:`normalised`."""
    return text.lower().strip()


def normalised(text: str) -> str:
    """The text as near duplicates share it. A text of nothing but punctuation stays as it is.

    ``"Order #12, please!"`` and ``"order 99 please"`` both become ``"order 00 please"``.
    """
    if text.isascii():
        folded = text.translate(_ASCII)
    else:
        folded = unicodedata.normalize("NFKC", text.lower()).lower().translate(_FOLDING)
    return " ".join(folded.split()) or lowered(text)


def hashes(texts: Sequence[str], pairs: Sequence[str] | None = None) -> NDArray[np.uint64]:
    """BLAKE2b-64 of the normalised inputs, (n,). With ``pairs`` both texts count, in their order."""
    if pairs is None:
        return _digests([normalised(text) for text in texts])
    return _digests([f"{normalised(text)}\0{normalised(pair)}" for text, pair in zip(texts, pairs, strict=True)])


def raw_hashes(texts: Sequence[str], pairs: Sequence[str] | None = None, *, lower: bool = False) -> NDArray[np.uint64]:
    """BLAKE2b-64 of the inputs as they stand, or lower-cased, (n,)."""
    if lower:
        texts = [lowered(text) for text in texts]
        pairs = None if pairs is None else [lowered(pair) for pair in pairs]
    if pairs is None:
        return _digests(texts)
    return _digests([f"{text}\0{pair}" for text, pair in zip(texts, pairs, strict=True)])


def _digests(texts: Sequence[str]) -> NDArray[np.uint64]:
    blake2b = hashlib.blake2b
    joined = b"".join([blake2b(text.encode(), digest_size=8).digest() for text in texts])
    return np.frombuffer(joined, dtype="<u8").astype(np.uint64)
