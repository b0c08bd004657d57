from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from whet.errors import UserError
from whet.evaluation.classes import relabelled
from whet.evaluation.rows import checked, same_rows, without

from .made import several, shuffled, single


def code_of(error: pytest.ExceptionInfo[UserError]) -> str:
    return error.value.problems[0].code


def test_rows_come_in_the_order_of_their_ids():
    one = single([0, 1, 2, 0], [0, 1, 1, 0])
    mixed = shuffled(one, np.array([2, 0, 3, 1]))
    assert np.array_equal(checked(mixed).ids, [0, 1, 2, 3])
    assert np.array_equal(checked(mixed).gold, one.gold)
    assert np.array_equal(checked(mixed).scores, one.scores)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"gold": None}, "V104"),
        ({"scores": np.array([[np.nan, 1.0], [0.5, 0.5]], dtype=np.float32)}, "V105"),
        ({"scores": np.array([[1.5, -0.5], [0.5, 0.5]], dtype=np.float32)}, "V105"),
        ({"ids": np.array([3, 3])}, "V106"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(change, code):
    with pytest.raises(UserError) as error:
        checked(replace(single([0, 1], [0, 1]), **change))
    assert code_of(error) == code


def test_no_rows_are_refused():
    with pytest.raises(UserError) as error:
        checked(single([], [], num_labels=2))
    assert code_of(error) == "V103"


def test_other_rows_are_refused():
    one = single([0, 1, 0], [0, 1, 1])
    fewer = shuffled(single([0, 1, 0], [0, 0, 1], model="probe"), np.array([0, 1]))
    with pytest.raises(UserError, match="3 and 2 rows, 2 ids in both") as error:
        same_rows(one, fewer)
    assert code_of(error) == "V101"
    other_text = replace(one, model="probe", hashes=one.hashes + np.uint64(1))
    with pytest.raises(UserError, match="3 of 3 rows have another text") as error:
        same_rows(one, other_text)
    assert code_of(error) == "V101"


def test_other_labels_and_other_truth_are_refused():
    one = single([0, 1, 0], [0, 1, 1])
    with pytest.raises(UserError) as error:
        same_rows(one, replace(one, labels=("a", "z")))
    assert code_of(error) == "V102"
    assert "different labels: only full has 'b'; only full has 'z'." in str(error.value)
    with pytest.raises(UserError) as error:
        same_rows(one, replace(one, gold=np.array([1, 1, 0])))
    assert code_of(error) == "V107"


def test_another_order_of_rows_and_labels_is_put_right():
    rng = np.random.default_rng(0)
    one = single(rng.integers(0, 4, 30), rng.integers(0, 4, 30), num_labels=4)
    order = np.array([2, 0, 3, 1])
    turned = relabelled(one, tuple(one.labels[column] for column in order))
    assert turned.labels == ("c", "a", "d", "b")
    names = [turned.labels[index] for index in turned.predicted]
    assert names == [one.labels[index] for index in one.predicted]
    first, second = same_rows(one, shuffled(turned, rng.permutation(30)))
    assert second.labels == first.labels
    assert np.array_equal(second.predicted, first.predicted)
    assert np.array_equal(second.gold, first.gold)


def test_labels_of_several_are_put_right_too():
    rng = np.random.default_rng(1)
    one = several(rng.random((12, 3)) < 0.4, rng.random((12, 3)))
    one = replace(one, thresholds=np.array([0.2, 0.5, 0.7], dtype=np.float32))
    turned = relabelled(one, ("b", "c", "a"))
    back = same_rows(one, turned)[1]
    assert np.array_equal(back.predicted, one.predicted)
    assert np.array_equal(back.thresholds, one.thresholds)


def test_leaving_rows_out():
    one = single([0, 1, 0, 1], [0, 1, 1, 0])
    assert without(one, {1, 3, 99}).ids.tolist() == [0, 2]
    assert len(without(one, ())) == 4
