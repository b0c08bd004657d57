"""Two models row by row: which rows a new one fixed, which it broke, and which it only does better or worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from whet.evaluation.kinds import right_by
from whet.evaluation.slices import gains

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

Change = Literal["broke", "fixed", "worse", "better"]
CHANGES: dict[Change, str] = {
    "broke": "was right and is wrong",
    "fixed": "was wrong and is right",
    "worse": "is further from the truth than it was",
    "better": "is nearer to the truth than it was",
}
"""In the order in which they are shown, and what each means."""
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that two models do not decide equally well.

    ``row``: its position in the order of ids; ``gain``: by how much less wrong the new model is.
    """

    row: int
    change: Change
    gain: float


def changed(new: Predictions, old: Predictions, metric: str) -> list[Changed]:
    """The rows that changed: broken ones first, then fixed, worse and better ones, the largest change first.

    A row breaks or is fixed where all of it turns from right to wrong or back. Where rows are neither (numbers,
    likelihoods), and among rows that stay wrong, it gets better or worse by what it adds to the metric.

    :param new: both as :func:`whet.evaluation.rows.same_rows` gives them.
    """
    gain = gains(new, old, metric)
    one, other = right_by(new, metric), right_by(old, metric)
    kinds = np.full(len(gain), "", dtype=object)
    kinds[gain > ROUNDING], kinds[gain < -ROUNDING] = "better", "worse"
    if one is not None and other is not None:
        kinds[one & ~other], kinds[other & ~one] = "fixed", "broke"
    order = list(CHANGES)
    found = [Changed(int(row), kinds[row], float(gain[row])) for row in np.flatnonzero(kinds != "")]
    return sorted(found, key=lambda one: (order.index(one.change), -abs(one.gain), one.row))


def counted(found: list[Changed]) -> dict[Change, int]:
    """How many rows changed in each way."""
    return {name: sum(one.change == name for one in found) for name in CHANGES}
