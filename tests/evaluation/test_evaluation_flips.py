from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.evaluation.flips import Flips, flips, flips_by_part, flips_by_slice
from whet.evaluation.shares import wilson

from .made import pair, several, shuffled, single


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_gain_is_the_difference_of_the_accuracies_exactly(rows):
    new, old = (np.array([row[place] for row in rows]) for place in (0, 1))
    one = Flips(len(rows), int((new & ~old).sum()), int((old & ~new).sum()))
    assert one.gain == (int(new.sum()) - int(old.sum())) / len(rows)
    assert one.gain == pytest.approx(one.positive_rate - one.negative_rate, abs=1e-15)


def test_counts_and_wilsons_end():
    new, old = pair(1000, 800, 31, 18)
    one = flips(new, old)
    assert (one.positive, one.negative, one.num_rows) == (31, 18, 1000)
    assert one.negative_rate == 0.018
    assert one.negative_high == wilson(18, 1000)[1]
    assert Flips(0, 0, 0).gain == Flips(0, 0, 0).negative_rate == Flips(0, 0, 0).positive_rate == 0.0


def test_by_class_and_by_slice():
    gold = [0, 0, 0, 1, 1, 2]
    new = single(gold, [0, 0, 1, 0, 1, 2], num_labels=4)
    old = single(gold, [0, 1, 0, 1, 1, 2], num_labels=4, model="probe")
    by_class = flips_by_part(new, old)
    assert by_class == {"a": Flips(3, 1, 1), "b": Flips(2, 0, 1), "c": Flips(1, 0, 0)}
    assert sum(one.negative for one in by_class.values()) == flips(new, old).negative
    slices = ["short", "long", "short", "short", "long", "long"]
    expected = {"long": Flips(3, 1, 0), "short": Flips(3, 0, 2)}
    assert flips_by_slice(new, old, slices) == expected
    order = np.array([4, 2, 0, 5, 1, 3])
    assert flips_by_slice(shuffled(new, order), old, [slices[row] for row in order]) == expected


def test_several_labels_look_at_the_label_itself():
    gold = np.array([[1, 1], [1, 0]], dtype=bool)
    new = several(gold, np.array([[0.9, 0.1], [0.9, 0.1]]))
    old = several(gold, np.array([[0.1, 0.9], [0.9, 0.1]]), model="probe")
    assert flips_by_part(new, old) == {"a": Flips(2, 1, 0), "b": Flips(1, 0, 1)}
    assert flips(new, old) == Flips(2, 0, 0)
