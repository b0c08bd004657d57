"""Batches in which classes meet: several rows of each of several classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.batches import order
from whet.batches.flat import TrainingBatches


@dataclass(frozen=True, slots=True)
class ClassBatches(TrainingBatches):
    """Rows in groups of one class, groups of different classes side by side; every class is seen equally often.

    - ``together``: rows of a group at most; a class of fewer has all of them in one.

    An epoch has about as many rows as there are. In each round every class gives a group, in a random order; a class
    that has given all of its rows begins again with them, in another order. ``targets`` hold (n,) classes.
    """

    together: int = 4

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        classes = self.targets.values.numpy()
        rows = rounds(classes, self.together, self.seed, epoch)
        return order.cut(rows, self.encoded.lengths, self.batch_tokens)


def rounds(classes: NDArray[np.int64], together: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Row numbers of one epoch, group after group: a pure function of seed and epoch.

    :param classes: (n,) of the rows.
    """
    known = np.unique(classes)
    draw = seeds.generator(seed, "classes", epoch)
    left: dict[int, list[NDArray[np.int64]]] = {int(one): [] for one in known}
    found: list[NDArray[np.int64]] = []
    size = 0
    while size < len(classes):
        for one in draw.permutation(known).tolist():
            if not left[one]:
                left[one] = groups(draw.permutation(np.flatnonzero(classes == one)), together)
            found.append(left[one].pop())
            size += len(found[-1])
    return np.concatenate(found)


def groups(rows: NDArray[np.int64], together: int) -> list[NDArray[np.int64]]:
    """``rows`` in groups of ``together`` at most, as even as can be."""
    return np.array_split(rows, -(-len(rows) // together))
