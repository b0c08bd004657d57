"""Batches in which classes meet: several rows of each of several classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.batches import order
from whet.batches.flat import TrainingBatches

GROUPS, PAIR = 2, 2
"""Groups of a batch, and rows of a group, at least: else there is nothing to tell apart, or to bring together."""


@dataclass(frozen=True, slots=True)
class ClassBatches(TrainingBatches):
    """Rows in groups of one class, groups of different classes side by side; every class is seen equally often.

    - ``together``: rows of a group; a class that does not divide so has groups of one more or fewer, of two at least.

    A batch is whole groups of two classes at least, and has the more tokens where rows are long. An epoch has about
    as many rows as there are. In each round every class gives a group, in a random order; a class that has given all
    of its rows begins again with them, in another order. ``targets`` hold (n,) classes.
    """

    together: int = 4

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        found = rounds(self.targets.values.numpy(), self.together, self.seed, epoch)
        sizes = np.asarray([int(self.encoded.lengths[rows].sum()) for rows in found])
        cut = accompanied(order.cut(np.arange(len(found)), sizes, self.batch_tokens))
        return [np.concatenate([found[number] for number in numbers]) for numbers in cut]


def fitting(together: int, row_tokens: float, batch_tokens: int) -> int:
    """Rows of a group, ``together`` at most, of which two groups fill no more than a batch; 0 where not even pairs do.

    :param row_tokens: tokens of a row, on average.
    """
    most = min(together, int(batch_tokens // max(1.0, GROUPS * row_tokens)))
    return most if most >= PAIR else 0


def rounds(classes: NDArray[np.int64], together: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Row numbers of one epoch in groups of a class, never two of one side by side: a function of seed and epoch.

    :param classes: (n,) of the rows.
    """
    known = np.unique(classes)
    draw = seeds.generator(seed, "classes", epoch)
    left: dict[int, list[NDArray[np.int64]]] = {int(one): [] for one in known}
    found: list[NDArray[np.int64]] = []
    size, last = 0, -1
    while size < len(classes):
        turns = draw.permutation(known)
        for one in np.roll(turns, -1 if turns[0] == last else 0).tolist():
            if not left[one]:
                left[one] = groups(draw.permutation(np.flatnonzero(classes == one)), together)
            found.append(left[one].pop())
            size, last = size + len(found[-1]), one
    return found


def groups(rows: NDArray[np.int64], together: int) -> list[NDArray[np.int64]]:
    """``rows`` in groups of about ``together``, as even as can be; of two at least where there are two."""
    return np.array_split(rows, max(1, min(-(-len(rows) // together), len(rows) // PAIR)))


def accompanied(batches: list[NDArray[np.int64]]) -> list[NDArray[np.int64]]:
    """Batches of groups; one of a single group is joined to the batch behind it, the last to the one before."""
    found: list[NDArray[np.int64]] = []
    for numbers in batches:
        if found and len(found[-1]) < GROUPS:
            found[-1] = np.concatenate([found[-1], numbers])
        else:
            found.append(numbers)
    if len(found) > 1 and len(found[-1]) < GROUPS:
        found[-2:] = [np.concatenate(found[-2:])]
    return found
