"""When two answers are the same, and how much they share: the definitions of SQuAD (arXiv 1606.05250, 1806.03822).

Before two answers are compared they lose capitals, ASCII punctuation, the English articles and
superfluous spaces. What is left is compared whole (exact match) or word by word (F1).
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """``"The  U.S. Army!"`` becomes ``"us army"``."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def accepted(gold: Sequence[str]) -> Sequence[str]:
    """The answers that count as right; one empty answer where there is none.

    Gold answers of which nothing is left ("the", "?") cannot be matched by words; they are passed over.
    """
    return [text for text in gold if normalised(text)] or [""]


def exact(said: str, gold: Sequence[str]) -> bool:
    """Whether the answer equals one of the accepted ones; for no gold answer, whether it is empty."""
    return _is_accepted(said, tuple(gold))


@lru_cache(maxsize=1 << 17)
def _is_accepted(said: str, gold: tuple[str, ...]) -> bool:
    return normalised(said) in {normalised(text) for text in accepted(gold)}


def f1(said: str, gold: Sequence[str]) -> float:
    """The best F1 of words over the accepted answers; with an empty side 1 where both are empty, else 0."""
    return _best_f1(said, tuple(gold))


@lru_cache(maxsize=1 << 17)  # a comparison of models asks for the same pairs again and again
def _best_f1(said: str, gold: tuple[str, ...]) -> float:
    return max(_word_f1(normalised(said).split(), normalised(text).split()) for text in accepted(gold))


def _word_f1(said: list[str], gold: list[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    shared = (Counter(said) & Counter(gold)).total()
    return 2 * shared / (len(said) + len(gold))
