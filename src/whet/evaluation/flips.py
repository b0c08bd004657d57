"""What users notice when a model is replaced: rows that were right and now are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.kinds import kind_of, right_by
from whet.evaluation.rows import ordered, same_rows
from whet.evaluation.shares import effective_rows, wilson

if TYPE_CHECKING:
    from whet.data.predictions import Predictions


@dataclass(frozen=True, slots=True)
class Flips:
    """Counts of rows that changed between an old model and a new one (arXiv 2105.03048).

    ``effective``: how many independent rows tell as much of the negative flips, where rows come in groups.
    """

    num_rows: int
    positive: int
    negative: int
    effective: float | None = None

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
        if self.effective is None:
            return wilson(self.negative, self.num_rows)[1]
        return wilson(self.negative_rate * self.effective, self.effective)[1]


@dataclass(frozen=True, slots=True)
class Rights:
    """Whether an old and a new model have each row of some part right: (n,) each, and the rows' groups."""

    new: NDArray[np.bool_]
    old: NDArray[np.bool_]
    groups: NDArray[Any] | None

    def at(self, rows: NDArray[np.bool_]) -> Rights:
        """The rows where the mask holds."""
        return Rights(self.new[rows], self.old[rows], None if self.groups is None else self.groups[rows])

    @property
    def flips(self) -> Flips:
        """The counts."""
        negative = self.old & ~self.new
        effective = None if self.groups is None else effective_rows(negative, self.groups)
        return Flips(len(negative), int((self.new & ~self.old).sum()), int(negative.sum()), effective)


def rights(new: Predictions, old: Predictions, metric: str | None = None) -> Rights:
    """Over all rows; a row is right when all of it is.

    :param metric: what they are compared by; where it is a share, it says which rows are right.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    :raises ValueError: where no row is right or wrong, as with numbers.
    """
    new, old = same_rows(new, old)
    return _rights(new, right_by(new, metric), right_by(old, metric))


def _rights(new: Predictions, one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> Rights:
    if one is None or other is None:
        raise ValueError(f"predictions of {new.kind} are not right or wrong")
    return Rights(one, other, new.groups)


def rights_by_part(new: Predictions, old: Predictions) -> dict[str, Rights]:
    """Within each part of the rows: those that truly carry a class or type, answerable and unanswerable ones.

    Right means that what belongs to this part is right, whatever else a row holds: with several labels
    that this label was found, with spans that those of this type are all found and no other is said.

    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    new, old = same_rows(new, old)
    kind = kind_of(new)
    return {
        part: _rights(new, kind.right(new, part), kind.right(old, part)).at(rows)
        for part, rows in kind.slices(new).items()
    }


def flips(new: Predictions, old: Predictions) -> Flips:
    """Flips over all rows; as :func:`rights`."""
    return rights(new, old).flips


def flips_by_part(new: Predictions, old: Predictions) -> dict[str, Flips]:
    """Flips within each part of the rows; as :func:`rights_by_part`."""
    return {part: found.flips for part, found in rights_by_part(new, old).items()}


def flips_by_slice(new: Predictions, old: Predictions, slices: Sequence[str]) -> dict[str, Flips]:
    """Flips of the rows of each slice.

    :param slices: n names, in the order of the rows of ``new``.
    :raises UserError: as :func:`whet.evaluation.rows.same_rows`.
    """
    names = np.asarray(ordered(np.asarray(slices, dtype=object), new))
    whole = rights(new, old)
    return {str(name): whole.at(names == name).flips for name in sorted(set(names))}
