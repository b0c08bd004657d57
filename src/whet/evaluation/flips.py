"""What users notice when a model is replaced: rows that were right and now are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.intervals import wilson
from whet.evaluation.rows import ordered_groups, same_rows, truth

if TYPE_CHECKING:
    from whet.data.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Flips:
    """Counts of rows that changed between an old model and a new one (arXiv 2105.03048)."""

    num_rows: int
    positive: int
    negative: int

    @property
    def negative_rate(self) -> float:
        """NFR: share of all rows that the old model had right and the new one has wrong."""
        return self.negative / self.num_rows if self.num_rows else 0.0

    @property
    def positive_rate(self) -> float:
        """PFR: share of all rows that the old model had wrong and the new one has right."""
        return self.positive / self.num_rows if self.num_rows else 0.0

    @property
    def gain(self) -> float:
        """PFR - NFR, which is the new accuracy minus the old one, exactly; taken from the counts."""
        return (self.positive - self.negative) / self.num_rows if self.num_rows else 0.0

    @property
    def negative_high(self) -> float:
        """Wilson's upper end of the negative flip rate: the figure that a gate looks at."""
        return wilson(self.negative, self.num_rows)[1]


def flips(new: Predictions, old: Predictions) -> Flips:
    """Flips over all rows; with several labels a row is right when all its labels are.

    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    new, old = same_rows(new, old)
    return _count(new.correct, old.correct)


def flips_by_slice(new: Predictions, old: Predictions, slices: Sequence[str]) -> dict[str, Flips]:
    """Flips of the rows of each slice.

    :param slices: n names, in the order of the rows of ``new``.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    names = np.asarray(ordered_groups(np.asarray(slices, dtype=object), new))
    new, old = same_rows(new, old)
    found = {}
    for name in sorted(set(names)):
        inside = names == name
        found[str(name)] = _count(new.correct[inside], old.correct[inside])
    return found


def flips_by_class(new: Predictions, old: Predictions) -> dict[str, Flips]:
    """Flips of the rows that truly carry each label; labels without rows are left out.

    With several labels, right means that this label was found, whatever the others.

    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    new, old = same_rows(new, old)
    gold = truth(new)
    found = {}
    for column, label in enumerate(new.labels):
        inside = gold[:, column] if new.multi_label else gold == column
        if inside.any():
            found[label] = _count(_right(new, column)[inside], _right(old, column)[inside])
    return found


def _right(predictions: Predictions, column: int) -> NDArray[Any]:
    return predictions.predicted[:, column] if predictions.multi_label else predictions.correct


def _count(new: NDArray[np.bool_], old: NDArray[np.bool_]) -> Flips:
    return Flips(len(new), int((new & ~old).sum()), int((old & ~new).sum()))
