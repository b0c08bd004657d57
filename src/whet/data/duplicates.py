"""Rows that say the same: within a split and across splits, with and without the same label.

"Same" in three grades: ``raw`` (equal as they stand), ``lowered`` (equal in lower case) and
``normalised`` (near duplicates, see :mod:`whet.data.normal`). Each grade includes the one before.
Only the 64-bit hashes of a split are held, no texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.normal import raw_hashes
from whet.data.rows import ROWS_PER_BLOCK
from whet.seeds import generator

EXAMPLES = 5
"""Pairs of rows that a finding shows."""

_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Keys:
    """One split by its hashes: (n,) of the normalised inputs and (n,) of the labels."""

    examples: Examples
    hashes: NDArray[np.uint64]
    labels: NDArray[np.uint64]

    @staticmethod
    def of(examples: Examples, truths: NDArray[np.uint64]) -> Keys:
        """Read the hashes; ``truths`` (n,) is one number for what is true of each row."""
        return Keys(examples, examples.hashes, truths)

    @property
    def both(self) -> NDArray[np.uint64]:
        """(n,) one number for input and label together."""
        return self.hashes ^ (self.labels + np.uint64(1)) * _ODD


def label_keys(label_ids: NDArray[Any]) -> NDArray[np.uint64]:
    """(n,) equal for rows of equal labels; from (n,) int or (n, C) bool."""
    if label_ids.ndim == 1:
        return label_ids.astype(np.uint64)
    draw = generator(0, "label keys")
    keys = np.zeros(len(label_ids), dtype=np.uint64)
    for label in range(label_ids.shape[1]):
        keys[label_ids[:, label]] += np.uint64(draw.integers(1, 2**63))
    return keys


@dataclass(frozen=True, slots=True)
class Within:
    """Repeats inside one split: rows beyond the first of their kind.

    ``exact`` + ``near`` = rows that a normalised duplicate precedes. ``contradicting`` counts rows in
    groups of one normalised text whose labels differ, ``exactly_contradicting`` those in groups of one
    text as it stands.
    """

    exact: int
    near: int
    contradicting: int
    exactly_contradicting: int
    exact_examples: list[tuple[int, int]]
    near_examples: list[tuple[int, int]]
    contradicting_examples: list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Across:
    """Rows of one split that stand in another as well, by grade.

    ``other_label``: rows (normalised) whose own label is none of those that the text has there.
    ``ids``: (k,) positions of the normalised repeats; ``examples``: pairs (row here, row there).
    """

    raw: int
    lowered: int
    normalised: int
    other_label: int
    ids: NDArray[np.int64]
    examples: list[tuple[int, int]]

    def to_json(self) -> dict[str, int]:
        """The counts."""
        return {name: getattr(self, name) for name in ("raw", "lowered", "normalised", "other_label")}


def within(keys: Keys) -> Within:
    """Find the repeats inside one split."""
    order = np.argsort(keys.hashes, kind="stable")
    follows = _equals_previous(keys.hashes[order])
    members = np.sort(order[follows | np.append(follows[1:], False)]) if follows.any() else order[:0]
    first = np.empty(len(order), dtype=np.int64)
    first[order] = order[~follows][np.cumsum(~follows) - 1]
    raw = _sparse(keys.examples, members, lower=False)
    exact, near = _repeats(members, raw, first)
    contradicting, shown = _contradicting(keys.hashes[members], keys.labels[members])
    exactly, shown_exactly = _contradicting(raw, keys.labels[members])
    return Within(
        exact=len(exact),
        near=len(near),
        contradicting=contradicting,
        exactly_contradicting=exactly,
        exact_examples=_pairs(exact, first),
        near_examples=_pairs(near, first),
        contradicting_examples=[(int(members[a]), int(members[b])) for a, b in shown_exactly or shown],
    )


def _equals_previous(values: NDArray[np.uint64]) -> NDArray[np.bool_]:
    equal = np.zeros(len(values), dtype=bool)
    equal[1:] = values[1:] == values[:-1]
    return equal


def _sparse(examples: Examples, rows: NDArray[np.int64], *, lower: bool) -> NDArray[np.uint64]:
    """Hashes of the texts at ``rows`` as they stand, (len(rows),)."""
    found = np.empty(len(rows), dtype=np.uint64)
    order = np.argsort(rows, kind="stable")
    for start in range(0, len(rows), ROWS_PER_BLOCK):
        here = order[start : start + ROWS_PER_BLOCK]
        found[here] = raw_hashes(examples.texts(rows[here]), examples.pairs(rows[here]), lower=lower)
    return found


def _repeats(
    members: NDArray[np.int64], raw: NDArray[np.uint64], first: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows that repeat an earlier one: as it stands, or only once normalised. ``members`` ascend."""
    new = np.zeros(len(members), dtype=bool)
    new[np.unique(raw, return_index=True)[1]] = True
    return members[~new], members[new & (first[members] != members)]


def _contradicting(texts: NDArray[np.uint64], labels: NDArray[np.uint64]) -> tuple[int, list[tuple[int, int]]]:
    """How many rows share a text with a row of another label, and some such pairs of positions."""
    order = np.argsort(texts, kind="stable")
    follows = _equals_previous(texts[order])
    differs = follows & ~_equals_previous(labels[order])
    group = np.cumsum(~follows)
    places = np.flatnonzero(differs)
    torn, kept = np.unique(group[places], return_index=True)
    pairs = [(int(order[place - 1]), int(order[place])) for place in sorted(places[kept])[:EXAMPLES]]
    return int(np.isin(group, torn).sum()), pairs


def _pairs(rows: NDArray[np.int64], first: NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(int(first[row]), int(row)) for row in rows[:EXAMPLES]]


def across(here: Keys, there: Keys) -> Across:
    """Find the rows of ``here`` that stand in ``there`` as well."""
    rows = np.flatnonzero(np.isin(here.hashes, there.hashes))
    others = np.flatnonzero(np.isin(there.hashes, here.hashes[rows]))
    same_label = np.isin(here.both[rows], there.both[others])
    # Rows with another label first: they are what somebody wants to see.
    first = rows[np.argsort(same_label, kind="stable")][:EXAMPLES]
    shown = [(int(row), int(np.flatnonzero(there.hashes == here.hashes[row])[0])) for row in first]

    def equal(lower: bool) -> int:
        mine, theirs = _sparse(here.examples, rows, lower=lower), _sparse(there.examples, others, lower=lower)
        return int(np.isin(mine, theirs).sum())

    return Across(equal(False), equal(True), len(rows), int((~same_label).sum()), rows, shown)


def leaked(test: Keys, *others: Keys) -> NDArray[np.int64]:
    """(k,) ids of the test rows whose normalised input stands in one of ``others``, ascending."""
    if not others:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(np.isin(test.hashes, np.concatenate([keys.hashes for keys in others])))
