"""What can be seen of a text without any model: which rows are long, are questions, hold digits, a negation, a word.

A trait is a mask over rows and a name that goes on after "rows ...". Nothing here looks at what is true of a row or
at what a model says of it, so that a difference between models in such a part of the rows is not of its own making.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.languages import language

Masks = dict[str, NDArray[np.bool_]]

NEGATIONS = (
    "no not never none nobody nothing nowhere neither nor cannot without "
    "nicht kein keine keinen keinem keiner nie niemals nichts ohne "
    "pas jamais rien aucun aucune sans nunca nada ninguno ninguna sin "
    "non mai niente nessuno nessuna senza não sem niet geen nooit niets zonder nie nigdy bez"
)
"""Little words of eight languages that turn a sentence round."""

PATTERNS: Mapping[str, re.Pattern[str]] = {
    "with digits": re.compile(r"\d"),
    "with a question mark": re.compile("[?\u037e\u061f\uff1f]"),
    "with an exclamation mark": re.compile("[!\uff01]"),
    "with a link, an address or a mention": re.compile(r"https?://|www\.|\w@\w|(?:^|\s)@\w"),
    "with a negation": re.compile(rf"\b(?:{'|'.join(NEGATIONS.split())})\b|n['\u2019]t\b", re.IGNORECASE),
    "with several lines": re.compile(r"\S\s*\n\s*\S"),
}
_WORD = re.compile(r"[^\W\d_]{2,}")
_COUNTED = re.compile(r"\S+")
COMMONEST = 0.5
"""A word in a larger share of the rows than this tells no part of them from the rest."""
MOST_WORDS = 200


def traits(texts: Sequence[str], pairs: Sequence[str] | None = None, groups: Sequence[Any] | None = None) -> Masks:
    """The parts of rows by what their texts look like; n rows, no part empty or the whole.

    :param texts: n first texts, which all but length speaks of.
    :param pairs: n second texts, where rows have two.
    :param groups: n names of what rows have in common, where that is known.
    """
    found: Masks = {name: np.asarray([bool(one.search(text)) for text in texts]) for name, one in PATTERNS.items()}
    found["mostly in capitals"] = np.asarray([_shouted(text) for text in texts])
    found |= _lengths(texts, "" if pairs is None else "the first text ")
    if pairs is not None:
        found |= _lengths(pairs, "the second text ")
    found |= _named([language(text) for text in texts], "in {}")
    if groups is not None:
        found |= _named(groups, "of group {!r}")
    return {name: rows for name, rows in found.items() if 0 < int(rows.sum()) < len(rows)}


def words(texts: Sequence[str], counted: NDArray[np.bool_], least: int, most: int = MOST_WORDS) -> Masks:
    """The rows that hold a word, for words that ``least`` of the ``counted`` rows hold and at most half of them.

    Of these the ``most`` with the greatest weight, which is the rows that hold one times the logarithm of how rare
    it is, as TF-IDF weighs them.

    :param counted: (n,) the rows that words are chosen from; the masks are over all n.
    """
    held = [set(_WORD.findall(text.lower())) for text in texts]
    n = int(counted.sum())
    counts = Counter(word for some, here in zip(held, counted, strict=True) if here for word in some)
    known = {word: count for word, count in counts.items() if least <= count <= COMMONEST * n}
    chosen = sorted(known, key=lambda word: (-known[word] * float(np.log(n / known[word])), word))[:most]
    return {f"with the word {word!r}": np.asarray([word in some for some in held]) for word in sorted(chosen)}


def _shouted(text: str) -> bool:
    letters = [letter for letter in text if letter.isalpha() and letter.upper() != letter.lower()]
    return len(letters) >= 4 and sum(letter.isupper() for letter in letters) > 0.7 * len(letters)


def _lengths(texts: Sequence[str], which: str) -> Masks:
    """The quarter with the fewest words and the one with the most, as far as lengths tell rows apart."""
    lengths = np.asarray([len(_COUNTED.findall(text)) for text in texts])
    if not len(lengths):
        return {}
    few, many = (int(one) for one in np.quantile(lengths, [0.25, 0.75], method="nearest"))
    of = f"with {which}of" if which else "of"
    return {
        f"{of} at most {few} {'word' if few == 1 else 'words'}": lengths <= few,
        f"{of} {many} words or more": lengths >= many,
    }


def _named(values: Sequence[Any], name: str) -> Masks:
    known = Counter(value for value in values if value is not None)
    return {
        name.format(value): np.asarray([one == value for one in values])
        for value, count in sorted(known.items(), key=lambda entry: (-entry[1], str(entry[0])))[:MOST_WORDS]
        if count > 1
    }
