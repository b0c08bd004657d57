from __future__ import annotations

import numpy as np
import pytest

from tests.baselines.made_material import material
from whet.baselines import first_sentence

TRAIN = [
    ("What?", "Paris. It lies on the Seine.", ["Paris."]),
    ("Which river?", "Paris lies there. The Seine is a river.", ["Seine"]),
    ("Who?", "Rome lies there. Its people are Romans.", ["Romans"]),
    ("Why?", "Rome lies there.", []),
]


def test_the_first_sentence_with_what_training_says_of_it():
    made = material({"train": TRAIN, "validation": TRAIN[1:], "test": TRAIN[::-1]})
    fitted = first_sentence.fit(made, 0)
    found = fitted.predictions("test")
    assert found.model == "first_sentence"
    assert found.split == "test"
    assert found.said == ("Rome lies there.", "Rome lies there.", "Paris lies there.", "Paris.")
    assert found.starts.tolist() == [0] * 4
    assert found.gold == ((), ("Romans",), ("Seine",), ("Paris.",))
    assert found.correct.tolist() == [False, False, False, True]
    np.testing.assert_allclose(found.confidence, 0.25)
    np.testing.assert_allclose(found.no_answer, 0.25)
    assert found.nbest[0] == (("Rome lies there.", 0, pytest.approx(0.25)),)
    np.testing.assert_array_equal(found.groups, made.splits["test"].groups)
    np.testing.assert_array_equal(found.hashes, made.splits["test"].hashes)
    assert len(fitted.predictions("validation")) == 3


def test_silence_where_most_of_training_has_no_answer():
    made = material({"train": [TRAIN[0], *[TRAIN[3]] * 3], "validation": TRAIN, "test": TRAIN})
    found = first_sentence.fit(made, 0).predictions("test")
    assert found.said == ("",) * 4
    assert found.starts.tolist() == [-1] * 4
    np.testing.assert_allclose(found.confidence, 0.75)
    assert found.correct.tolist() == [False, False, False, True]
