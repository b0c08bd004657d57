"""E015: what rounding cost, by the interval of a paired difference, and what it saved."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluation.made_kinds import numbers
from whet.data.prediction_kinds import ClassPredictions
from whet.evaluation.rounded import lost

COSTS = {
    "base": {"weights_bytes": 91e6, "predict_rows_per_second": 1000.0},
    "quantised": {"weights_bytes": 45.5e6, "predict_rows_per_second": 500.0},
}


def predictions(model: str, wrong: int, number: int = 2000) -> ClassPredictions:
    gold = np.arange(number) % 2
    said = gold.copy()
    said[:wrong] = 1 - said[:wrong]
    return ClassPredictions(
        model=model,
        split="test",
        ids=np.arange(number),
        hashes=np.arange(number, dtype=np.uint64),
        labels=("a", "b"),
        scores=np.where(said[:, None] == np.arange(2), 0.9, 0.1).astype(np.float32),
        gold=gold,
    )


OPTIONS: dict[str, Any] = {"words": "8 bits", "margin": 0.01, "seed": 0, "level": 0.95, "num_resamples": 200}


def found(wrong: int, number: int = 2000) -> Any:
    both = predictions("quantised", wrong, number), predictions("base", number // 10, number)
    return lost(*both, "accuracy", costs=COSTS, **OPTIONS)


@pytest.mark.parametrize(
    ("wrong", "bin", "words"),
    [
        (200, "passed", "accuracy is 90.0 instead of 90.0: exactly as good"),
        (190, "passed", "accuracy is 90.5 instead of 90.0: 0.5 points better"),
        (300, "issue", "accuracy is 85.0 instead of 90.0: 5 points worse"),
        (222, "tip", "Whether that is worse by more than 1 point cannot be told."),
    ],
)
def test_what_is_lost_is_told_by_the_margin(wrong: int, bin: str, words: str):
    one = found(wrong)
    assert (one.code, one.bin, one.place) == ("E015", bin, "quantised")
    assert words in one.message and "95 % interval" in one.message
    assert bool(one.remedy) == (bin != "passed")


def test_few_rows_prove_nothing():
    assert found(2, 20).bin == "tip"


def test_what_is_saved_stands_beside_it():
    one = found(200)
    assert "its weights take 45.5 MB on disk instead of 91 (50%)" in one.message
    assert "a row 2 ms instead of 1 on this machine" in one.message
    assert one.evidence["costs"] == COSTS


def test_of_an_error_less_is_better():
    gold = np.linspace(0, 1, 500)
    base = numbers(gold, gold + 0.05 * np.cos(np.arange(500)), model="base")
    for off, bin, how in ((0.1, "issue", " worse "), (0.01, "passed", " better ")):
        rounded = numbers(gold, gold + off * np.sin(np.arange(500)), model="quantised")
        one = lost(rounded, base, "mae", costs=COSTS, **OPTIONS)
        assert one.bin == bin and how in one.message
        difference = one.evidence["difference"]
        assert (difference["value"] > 0) == (bin == "issue"), "as it is measured"
        assert difference["low"] < difference["value"] < difference["high"]
