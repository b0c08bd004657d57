"""Row by row: what broke, what was fixed, what only moved."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation import made_kinds
from tests.evaluation.made import pair
from whet.evaluation.changed import changed, counted
from whet.evaluation.flips import flips
from whet.evaluation.kinds import primary_of
from whet.evaluation.rows import same_rows


def test_classes_break_and_are_fixed():
    new, old = same_rows(*pair(50, 30, 4, 7))
    found = changed(new, old, "accuracy")
    assert counted(found) == {"broke": 7, "fixed": 4, "worse": 0, "better": 0}
    assert [one.change for one in found] == ["broke"] * 7 + ["fixed"] * 4
    assert [one.row for one in found] == [*range(34, 41), *range(30, 34)]


@pytest.mark.parametrize("kind", made_kinds.KINDS)
def test_every_kind(kind: str):
    """Flips are counted as everywhere; where rows are not right or wrong they move."""
    good, poor = (made_kinds.model(kind, quality, name=name, n=120) for quality, name in ((0.9, "a"), (0.6, "b")))
    new, old = same_rows(good, poor)
    counts = counted(changed(new, old, primary_of([new, old])))
    if kind in ("similarity", "regression", "language"):
        assert counts["broke"] == counts["fixed"] == 0
        assert counts["better"] > counts["worse"] > 0
    else:
        told = flips(new, old)
        assert (counts["fixed"], counts["broke"]) == (told.positive, told.negative)
    assert sum(counts.values()) <= 120


def test_the_largest_change_comes_first():
    new = made_kinds.numbers(np.zeros(4), [0.0, 0.1, 3.0, 1.0])
    old = made_kinds.numbers(np.zeros(4), [2.0, 0.1, 0.0, 0.5])
    found = changed(new, old, "r2")
    assert [(one.row, one.change) for one in found] == [(2, "worse"), (3, "worse"), (0, "better")]
    assert [one.gain for one in found] == [-3.0, -0.5, 2.0]
