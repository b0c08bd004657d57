"""Making the splits that are missing: stratified by label, equal texts on one side, by seed.

Rows of one normalised hash form a group that is never torn apart. Groups of several rows are drawn
first, each for the split that the draw names if it still has room there; single rows then fill every
label's share exactly, by rounding the running total (so that neither a label nor the whole is off by
more than one row where single rows are enough). Where they are not, further groups are moved out of
training. Every label keeps a row for training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.seeds import generator

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
LEAST_VALIDATION = 100
"""Rows; below, validation takes up to a fifth of the rows to come near it."""
MOST_VALIDATION = 2000
"""Rows; more would slow every evaluation down and steady it little."""
FEWEST_ROWS = 10
"""Below, no split is made."""


@dataclass(frozen=True, slots=True)
class Made:
    """A split that was made here: how many rows, and out of which one."""

    split: str
    rows: int
    out_of: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``Made(**value)`` is the inverse."""
        return {"split": self.split, "rows": self.rows, "out_of": self.out_of}


def missing_splits(given: Sequence[str]) -> tuple[str, ...]:
    """Which splits must be carved out of training, in the order in which they are filled."""
    return tuple(split for split in ("test", "validation") if split not in given)


def shares(
    num_rows: int,
    splits: Sequence[str],
    *,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    least_validation: int = LEAST_VALIDATION,
    most_validation: int = MOST_VALIDATION,
) -> dict[str, float]:
    """The share of ``num_rows`` rows that each of ``splits`` takes; validation within its bounds."""
    wanted = {"test": test_share}
    rows = min(max(validation_share * num_rows, min(least_validation, 0.2 * num_rows)), most_validation)
    wanted["validation"] = rows / max(1, num_rows) if validation_share else 0.0
    return {split: wanted[split] for split in splits}


def carve(
    label_ids: NDArray[Any], hashes: NDArray[np.uint64], parts: Mapping[str, float], seed: int, where: str = "the data"
) -> dict[str, NDArray[np.int64]]:
    """Divide n rows into training and ``parts``.

    :param label_ids: (n,) int64, or (n, C) bool with several labels; each row then counts for its
        rarest label.
    :param hashes: (n,) uint64; equal ones stay together.
    :param parts: split -> share of the rows, adding up to less than 1.
    :return: split -> positions in ascending order; ``"train"`` first. Together all rows, once each.
    :raises UserError: D040, too few rows to divide.
    """
    if not parts:
        return {"train": np.arange(len(hashes))}
    if sum(parts.values()) >= 1:
        raise _too_few(where, f"the shares for {' and '.join(parts)} leave no row to train on.")
    if len(hashes) < FEWEST_ROWS:
        raise _too_few(where, f"{len(hashes)} rows are too few to set {' and '.join(parts)} aside.")
    groups = np.unique(hashes, return_inverse=True)[1]
    plan = _Plan(rarest(label_ids), list(parts.values()))
    draw = generator(seed, "split", len(hashes))
    repeated = _Groups.of(groups)
    placed = _place_groups(plan, repeated, draw)
    _place_single_rows(plan, placed, draw)
    _fill_with_groups(plan, repeated, placed)
    _keep_labels_in_training(label_ids, groups, placed)
    found = {"train": np.flatnonzero(placed == 0)}
    found |= {split: np.flatnonzero(placed == number) for number, split in enumerate(parts, start=1)}
    empty = [split for split, rows in found.items() if not len(rows)]
    if empty:
        what = f"no row could be set aside for {' and '.join(empty)}: too few rows of each label, or too few groups."
        raise _too_few(where, what)
    return found


def joined(keys: Sequence[NDArray[np.uint64]]) -> NDArray[np.uint64]:
    """(n,) one key for rows that any of ``keys`` binds together, directly or through others."""
    different = [key for number, key in enumerate(keys) if not any(np.array_equal(key, one) for one in keys[:number])]
    if len(different) == 1:
        return different[0]
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n, first, rows, nodes = len(keys[0]), len(keys[0]), [], []
    for key in different:
        names, place = np.unique(key, return_inverse=True)
        rows.append(np.arange(n))
        nodes.append(place + first)
        first += len(names)
    links = (np.ones(n * len(different), dtype=np.int8), (np.concatenate(rows), np.concatenate(nodes)))
    parts = connected_components(coo_matrix(links, shape=(first, first)), directed=False)[1]
    return np.asarray(parts[:n], dtype=np.uint64)


def _too_few(where: str, what: str) -> UserError:
    return UserError(Problem("D040", where, what, "Add rows, or give files for train, validation and test."))


def rarest(label_ids: NDArray[Any]) -> NDArray[np.int64]:
    """(n,) stratum of each row: its label, or the rarest of its labels; C for a row without any."""
    if label_ids.ndim == 1:
        return label_ids
    num_rows, num_labels = label_ids.shape
    counts = label_ids.sum(axis=0)
    stratum = np.full(num_rows, num_labels, dtype=np.int64)
    # From the most frequent to the rarest, so that the rarest is written last.
    for label in np.argsort(-counts, kind="stable"):
        stratum[label_ids[:, label]] = label
    return stratum


class _Plan:
    """How many rows of each stratum each part wants (P, S), and how many it has."""

    def __init__(self, strata: NDArray[np.int64], wanted: Sequence[float]) -> None:
        self.strata = strata
        self.sizes = np.bincount(strata)
        self.draws = np.cumsum(wanted)
        self.wanted = np.outer(wanted, self.sizes)
        # A stratum of one row is for training alone.
        self.wanted[:, self.sizes == 1] = 0
        self.has = np.zeros(self.wanted.shape, dtype=np.int64)

    def of(self, rows: NDArray[np.int64]) -> dict[int, int]:
        """Stratum -> how many of ``rows`` it has."""
        strata, counts = np.unique(self.strata[rows], return_counts=True)
        return dict(zip(strata.tolist(), counts.tolist(), strict=True))

    def give(self, part: int, counts: Mapping[int, int]) -> None:
        """Count rows as those of ``part``."""
        for stratum, count in counts.items():
            self.has[part, stratum] += count

    def has_room(self, part: int, counts: Mapping[int, int]) -> bool:
        """Whether ``part`` can take so many rows per stratum without having too many."""
        return self.can_spare(counts) and all(
            self.has[part, stratum] + count <= np.ceil(self.wanted[part, stratum]) for stratum, count in counts.items()
        )

    def can_spare(self, counts: Mapping[int, int]) -> bool:
        """Whether every stratum keeps a row to train on without these."""
        return all(self.has[:, stratum].sum() + count < self.sizes[stratum] for stratum, count in counts.items())


@dataclass(frozen=True, slots=True)
class _Groups:
    """The rows of equal hash, for those groups that have several: ``order[begins[i]:ends[i]]``."""

    order: NDArray[np.int64]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    @staticmethod
    def of(groups: NDArray[np.int64]) -> _Groups:
        """Find them."""
        order = np.argsort(groups, kind="stable")
        begins = np.flatnonzero(np.diff(groups[order], prepend=-1))
        ends = np.append(begins[1:], len(order))
        several = ends - begins > 1
        return _Groups(order, begins[several], ends[several])

    def __len__(self) -> int:
        return len(self.begins)

    def rows(self, number: int) -> NDArray[np.int64]:
        """The rows of one group, ascending."""
        return self.order[self.begins[number] : self.ends[number]]


def _place_groups(plan: _Plan, groups: _Groups, draw: np.random.Generator) -> NDArray[np.int8]:
    """Place the groups of several rows as drawn, in random order; -1 for the rows that stand alone."""
    placed = np.full(len(groups.order), -1, dtype=np.int8)
    parts = np.searchsorted(plan.draws, draw.random(len(groups)), side="right")
    for part, number in zip(parts.tolist(), draw.permutation(len(groups)).tolist(), strict=True):
        rows = groups.rows(number)
        placed[rows] = 0
        if part < len(plan.draws):
            counts = plan.of(rows)
            if plan.has_room(part, counts):
                plan.give(part, counts)
                placed[rows] = part + 1
    return placed


def _fill_with_groups(plan: _Plan, groups: _Groups, placed: NDArray[np.int8]) -> None:
    """Where single rows did not suffice, move groups out of training, the smallest first."""
    short = [part for part in range(len(plan.wanted)) if plan.wanted[part].sum() - plan.has[part].sum() >= 1]
    if not short:
        return
    by_size = np.argsort(groups.ends - groups.begins, kind="stable")
    for part in short:
        for number in by_size.tolist():
            rows = groups.rows(number)
            owed = plan.wanted[part].sum() - plan.has[part].sum()
            if owed < 1:
                break
            counts = plan.of(rows)
            # One group too large is better than no row at all.
            fits = plan.has_room(part, counts) if plan.has[part].any() else plan.can_spare(counts)
            if placed[rows[0]] == 0 and fits and (len(rows) <= owed or not plan.has[part].any()):
                plan.give(part, counts)
                placed[rows] = part + 1


def _place_single_rows(plan: _Plan, placed: NDArray[np.int8], draw: np.random.Generator) -> None:
    """Fill what every part still wants of every stratum with rows that stand alone."""
    alone = np.flatnonzero(placed < 0)
    alone = alone[draw.permutation(len(alone))]
    alone = alone[np.argsort(plan.strata[alone], kind="stable")]
    begins = np.searchsorted(plan.strata[alone], np.arange(len(plan.sizes) + 1))
    owed = np.zeros(len(plan.wanted))
    for stratum, size in enumerate(plan.sizes):
        start, free = int(begins[stratum]), int(begins[stratum + 1] - begins[stratum])
        spare = int(size - 1 - plan.has[:, stratum].sum())
        for part, wanted in enumerate(plan.wanted[:, stratum]):
            owed[part] += wanted - plan.has[part, stratum]
            least, most = np.floor(wanted) - plan.has[part, stratum], np.ceil(wanted) - plan.has[part, stratum]
            count = int(max(0, min(np.clip(np.round(owed[part]), least, most), free, spare)))
            placed[alone[start : start + count]] = part + 1
            plan.has[part, stratum] += count
            owed[part] -= count
            start, free, spare = start + count, free - count, spare - count
    placed[placed < 0] = 0


def _keep_labels_in_training(label_ids: NDArray[Any], groups: NDArray[np.int64], placed: NDArray[np.int8]) -> None:
    """With several labels a row, a label can end up outside training although its rows' strata did not."""
    if label_ids.ndim == 1:
        return
    for label in np.flatnonzero(label_ids.any(axis=0) & ~label_ids[placed == 0].any(axis=0)):
        first = np.flatnonzero(label_ids[:, label])[0]
        placed[groups == groups[first]] = 0
