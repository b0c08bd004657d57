from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from whet.errors import UserError
from whet.evaluation.classes import METRICS
from whet.evaluation.kinds import values_of
from whet.evaluation.rows import without
from whet.evaluation.scoring import score_all
from whet.evaluation.shares import wilson

from .made import several, shuffled, single, softmaxed


def both_splits():
    rng = np.random.default_rng(0)
    found = []
    for split, n in (("test", 200), ("validation", 120)):
        first = softmaxed(rng, n, 4, 1.5, model="full", split=split)
        found.append(first)
        found.append(replace(single(first.gold, [0] * n, num_labels=4, model="majority", sure=0.4), split=split))
    return found


def test_the_whole_content():
    predictions = both_splits()
    scores = score_all(predictions, seed=1, leaked_ids=[3, 5, 9999], num_resamples=300)
    json.dumps(scores, allow_nan=False)
    assert set(scores) == {
        "task", "kind", "labels", "multi_label", "split", "num_rows", "primary", "models", "without_leaks",
        "per_class", "confusion", "reliability", "temperature", "validation",
    }  # fmt: skip
    assert scores["num_rows"] == 200 and scores["primary"] == "accuracy"
    assert scores["labels"] == ["a", "b", "c", "d"]
    expected = values_of(predictions[0])
    for name in (*METRICS, "ece"):
        one = scores["models"]["full"][name]
        assert set(one) == {"value", "low", "high"}
        assert one["low"] <= one["value"] <= one["high"], name
        if name != "ece":
            assert one["value"] == pytest.approx(expected[name])
    right = int(predictions[0].correct.sum())
    ends = wilson(right, 200)
    assert (scores["models"]["full"]["accuracy"]["low"], scores["models"]["full"]["micro_f1"]["high"]) == ends
    assert np.sum(scores["confusion"]["full"]) == 200
    assert scores["temperature"]["full"] == pytest.approx(1.5, rel=0.35)
    assert set(scores["validation"]) == {"full", "majority"}


def test_without_the_leaked_rows():
    predictions = both_splits()[:2]
    scores = score_all(predictions, seed=1, leaked_ids=np.array([0, 1, 2]), num_resamples=100)
    rest = score_all([without(one, {0, 1, 2}) for one in predictions], seed=1, num_resamples=100)
    assert scores["without_leaks"] == {"num_rows": 197, "models": rest["models"]}
    assert rest["without_leaks"] is None and rest["temperature"] == {} and rest["validation"] == {}
    everything = score_all(predictions, seed=1, leaked_ids=range(200), num_resamples=100)
    assert everything["without_leaks"] == {"num_rows": 0, "models": {}}


def test_the_same_seed_and_any_order_give_the_same_scores():
    predictions = both_splits()
    order = np.random.default_rng(1).permutation(200)
    mixed = [shuffled(predictions[0], order), *predictions[1:]]
    assert score_all(mixed, seed=1, num_resamples=200) == score_all(predictions, seed=1, num_resamples=200)


def test_several_labels():
    rng = np.random.default_rng(0)
    gold = rng.random((150, 5)) < 0.3
    gold[:, 4] = False
    one = several(gold, np.clip(gold * 0.4 + rng.random((150, 5)) * 0.6, 0, 1))
    scores = score_all([one], seed=0, num_resamples=200)
    assert scores["primary"] == "micro_f1" and scores["multi_label"]
    assert scores["confusion"] == {"full": None}
    found = scores["models"]["full"]
    assert found["accuracy"]["value"] < found["micro_f1"]["value"]
    assert found["micro_f1"]["low"] < found["micro_f1"]["value"] < found["micro_f1"]["high"]
    assert scores["per_class"]["full"][4]["support"] == 0


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_rows(n):
    gold = ([0, 1, 0, 2, 1])[:n]
    scores = score_all(
        [single(gold, gold, num_labels=3), single(gold, [2, 2, 2, 0, 0][:n], num_labels=3, model="probe")],
        seed=0,
        num_resamples=100,
    )
    assert scores["models"]["full"]["accuracy"]["value"] == 1.0
    assert scores["models"]["full"]["accuracy"]["low"] == wilson(n, n)[0]
    assert scores["models"]["full"]["macro_f1"]["low"] <= wilson(n, n)[0] + 1e-9
    assert scores["models"]["probe"]["accuracy"]["value"] == 0.0
    json.dumps(scores, allow_nan=False)


def test_what_cannot_be_scored():
    one = both_splits()[0]
    with pytest.raises(UserError, match="V103"):
        score_all([one], seed=0, split="other")
    with pytest.raises(UserError, match="V109"):
        score_all([one, one], seed=0)
    with pytest.raises(UserError, match="V101"):
        score_all([one, replace(one, model="probe", hashes=one.hashes[::-1])], seed=0)


def test_seven_models_of_a_large_test_set_take_seconds():
    rng = np.random.default_rng(0)
    n, c = 3000, 26
    gold = rng.integers(0, c, n)
    models = [
        single(gold, np.where(rng.random(n) < 0.9, gold, rng.integers(0, c, n)), num_labels=c, model=str(number))
        for number in range(7)
    ]
    score_all(models[:1], seed=0, num_resamples=10)  # imports
    start = time.perf_counter()
    score_all(models, seed=0)
    assert time.perf_counter() - start < 5
