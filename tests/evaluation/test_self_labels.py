"""Which labels of a model's own are taken, and what is said of learning from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from whet.data.prediction_kinds import ClassPredictions
from whet.evaluation.self_labels import amounts, helped, taken

SAID = np.asarray([[0.95, 0.05], [0.6, 0.4], [0.1, 0.9], [0.99, 0.01], [0.97, 0.03]], np.float32)


def test_only_what_is_sure_is_taken():
    assert taken(SAID, 0.9).tolist() == [0, 2, 3, 4]
    assert taken(SAID, 0.98).tolist() == [3]
    assert taken(SAID, 0.999).tolist() == []


def test_shares_are_kept_by_the_surest():
    assert taken(SAID, 0.9, np.asarray([0.5, 0.5])).tolist() == [2, 3]
    assert taken(SAID, 0.9, np.asarray([2 / 3, 1 / 3])).tolist() == [2, 3, 4]
    assert taken(SAID[:2], 0.9, np.asarray([0.5, 0.5])).tolist() == [0], "a class with none does not count"


def predictions(model: str, wrong: int, number: int = 400) -> ClassPredictions:
    gold = np.arange(number) % 2
    said = gold.copy()
    said[:wrong] = 1 - said[:wrong]
    scores = np.where(said[:, None] == np.arange(2), 0.9, 0.1).astype(np.float32)
    return ClassPredictions(
        model=model,
        split="test",
        ids=np.arange(number),
        hashes=np.arange(number, dtype=np.uint64),
        labels=("a", "b"),
        scores=scores,
        gold=gold,
    )


@pytest.mark.parametrize(
    ("wrong", "bin", "words"),
    [(20, "passed", "it helped"), (140, "issue", "it did harm"), (79, "tip", "cannot tell"), (80, "tip", "as good as")],
)
def test_helped_is_a_paired_difference(wrong: int, bin: str, words: str):
    options: dict[str, Any] = {"seed": 0, "level": 0.95, "num_resamples": 200, "steps": (90, 90, 90)}
    found = helped(predictions("self-trained", wrong), predictions("full", 80), "accuracy", taken=50, **options)
    assert (found.code, found.bin) == ("X015", bin)
    assert words in found.message
    none = helped(predictions("self-trained", 80), predictions("full", 80), "accuracy", taken=0, **options)
    assert none.bin == "not_applicable"


@pytest.mark.parametrize(
    ("steps", "bin", "words"),
    [
        ((90, 90, 90), "passed", "p = "),
        ((90, 90, 20), "passed", "was trained 90 steps as well, and was better on validation after 20"),
        ((90, 85, 85), "passed", "it had 90 steps, the control 85"),
        ((90, 20, 20), "tip", "it had 90 steps, the control 20"),
    ],
)
def test_a_control_of_fewer_steps_is_no_proof(steps: tuple[int, int, int], bin: str, words: str):
    found = helped(
        predictions("self-trained", 20),
        predictions("full", 80),
        "accuracy",
        taken=50,
        steps=steps,
        seed=0,
        level=0.95,
        num_resamples=200,
    )
    assert found.bin == bin and words in found.message
    assert found.evidence["steps"]["model"] == 90


@pytest.mark.parametrize(
    ("number", "of_class", "bin"),
    [(2, {"a": 2}, "tip"), (40, {"a": 22, "b": 18}, "passed"), (40, {"a": 5, "b": 35}, "tip")],
)
def test_amounts_say_how_many_and_of_what(number: int, of_class: dict[str, int], bin: str):
    rows = {"a": 80, "b": 20}
    one = {"texts": 100, "taken": number, "threshold": 0.9, "of_class": of_class, "of_training": rows, "examples": []}
    found = amounts([one], "self-trained")
    assert (found.code, found.bin) == ("X016", bin)
    assert f"{number} ({number}%)" in found.message
