"""Metrics of preferences: exact shares of pairs, and the area under the curve with its spread."""

from __future__ import annotations

import numpy as np
import pytest

from whet.data.predictions import PreferencePredictions, load, save
from whet.evaluation import preferences, preferred
from whet.evaluation.degenerate import degenerate
from whet.evaluation.kinds import values_of
from whet.evaluation.paired import compare
from whet.evaluation.scoring import score_all


def pairs(rewards: np.ndarray, model: str = "model", lengths: np.ndarray | None = None) -> PreferencePredictions:
    n = len(rewards)
    sizes = np.tile([5, 3], (n, 1)) if lengths is None else lengths
    return PreferencePredictions(
        model,
        "test",
        np.arange(n),
        np.arange(n, dtype=np.uint64),
        gold=np.ones(n, bool),
        rewards=rewards,
        lengths=sizes,
    )


def thumbs(rewards: np.ndarray, liked: np.ndarray, model: str = "model") -> PreferencePredictions:
    n = len(rewards)
    ids = np.arange(n)
    return PreferencePredictions(
        model, "test", ids, ids.astype(np.uint64), gold=liked, rewards=rewards[:, None], lengths=np.ones((n, 1), int)
    )


def test_shares_of_pairs_by_length():
    rewards = np.asarray([[2.0, 1.0], [0.0, 1.0], [1.0, 1.0], [3.0, -1.0]])
    found = values_of(pairs(rewards, lengths=np.asarray([[9, 1], [9, 1], [1, 9], [1, 9]])))
    assert found == {"pair_accuracy": 0.5, "longer_accuracy": 0.5, "shorter_accuracy": 0.5}
    assert preferences.metrics(pairs(rewards)) == ("pair_accuracy", "longer_accuracy")


def test_a_tie_is_not_right():
    assert not pairs(np.zeros((3, 2))).correct.any()


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_that_of_every_pair(ties: bool):
    drawn = np.random.default_rng(0)
    rewards, liked = drawn.normal(size=60), drawn.random(60) < 0.4
    rewards = np.round(rewards) if ties else rewards
    one, other = rewards[liked][:, None], rewards[~liked][None, :]
    wanted = float(((one > other) + 0.5 * (one == other)).mean())
    assert preferences.pseudo_values(rewards, liked).mean() == pytest.approx(wanted)
    assert values_of(thumbs(rewards, liked))["reward_auc"] == pytest.approx(wanted)


def test_the_spread_of_the_area_holds_the_truth():
    """Two normal distributions one apart: the area is 0.76025."""
    held = 0
    for seed in range(60):
        drawn = np.random.default_rng(seed)
        liked = drawn.random(150) < 0.5
        values = preferences.pseudo_values(drawn.normal(size=150) + liked, liked)
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
        held += abs(values.mean() - 0.76025) <= error
    assert 0.85 <= held / 60 <= 1.0


def test_models_are_compared_by_the_exact_test():
    drawn = np.random.default_rng(1)
    good, poor = (np.stack([drawn.normal(size=200) + gap, drawn.normal(size=200)], 1) for gap in (1.5, 0.0))
    found = compare(pairs(good, "good"), pairs(poor, "poor"), "pair_accuracy", seed=0)
    assert found.test == "McNemar exact" and found.surely_better
    assert found.num_rows == 200


def test_they_are_saved_and_read_again(tmp_path):
    known = pairs(np.random.default_rng(0).normal(size=(5, 2)))
    save(known, tmp_path / "rows.parquet")
    again = load(tmp_path / "rows.parquet")
    assert isinstance(again, PreferencePredictions)
    assert np.array_equal(again.rewards, known.rewards) and np.array_equal(again.lengths, known.lengths)
    assert again.policy is None and np.array_equal(again.gold, known.gold)
    assert np.array_equal(again.take([3, 1]).rewards, known.rewards[[3, 1]])


def test_scores_have_intervals_and_details():
    drawn = np.random.default_rng(0)
    rewards, policy = drawn.normal([0.8, 0.0], size=(80, 2)), -drawn.uniform(1, 9, (80, 2))
    from dataclasses import replace

    one = replace(pairs(rewards), policy=policy, reference=policy - [1.0, -2.0], tokens=np.full((80, 2), 4))
    scores = score_all([one], seed=0, task="preference", num_resamples=200)
    value = scores["models"]["model"]["pair_accuracy"]
    assert value["low"] < value["value"] < value["high"]
    assert scores["details"]["model"]["moved"]["better"]["nats"] == pytest.approx(1.0)
    assert scores["details"]["model"]["moved"]["worse"]["nats_per_token"] == pytest.approx(-0.5)


def test_findings_of_length_and_distance():
    parts = {"longer_accuracy": {"value": 0.9, "low": 0.8, "high": 0.95}}
    parts["shorter_accuracy"] = {"value": 0.2, "low": 0.1, "high": 0.3}
    found = preferred.by_length("full", {"models": {"full": parts}}, None)
    assert found.bin == "issue" and "long answers for good ones" in found.message
    turned = {"longer_accuracy": parts["shorter_accuracy"], "shorter_accuracy": parts["longer_accuracy"]}
    other = preferred.by_length("full", {"models": {"full": turned}}, None)
    assert other.bin == "issue" and "short answers for good ones" in other.message and "is long" in other.remedy
    kl = {"value": 3.0, "low": 2.0, "high": 4.0}
    assert preferred.distance("full", {"kl": kl, "kl_per_token": 0.1, "prompts": 8}).bin == "passed"
    assert preferred.distance("full", {"kl": kl, "kl_per_token": 0.9, "prompts": 8}).bin == "tip"
    assert preferred.distance("full", None).bin == "not_applicable"
    moved = {"better": {"nats": -2.0, "nats_per_token": -0.1}, "worse": {"nats": -9.0, "nats_per_token": -0.5}}
    assert preferred.displaced("full", {"moved": moved}).bin == "tip"


def test_answers_that_all_hit_the_limit_measure_no_length():
    """16 tokens against 16, for generation.max_tokens is 16."""
    none = {"value": 0.0, "low": 0.0, "high": 0.0}
    cut = {"tokens": {"base": 16.0, "tuned": 16.0, "difference": none}, "finished": {"base": 0.0, "tuned": 0.0}}
    found = preferred.by_length("full", {"models": {}}, cut)
    assert found.bin == "not_applicable" and "was not measured" in found.message and "+0.0" not in found.message
    even = {"value": 0.5, "low": 0.4, "high": 0.6}
    parts = {"longer_accuracy": even, "shorter_accuracy": even}
    assert preferred.by_length("full", {"models": {"full": parts}}, cut).bin == "passed", "pairs were measured"
    ended = preferred.by_length("full", {"models": {}}, {**cut, "finished": {"base": 1.0, "tuned": 0.8}})
    assert ended.bin == "passed" and "16 tokens" in ended.message and "80 % of its own answers" in ended.message


def test_of_preferences_it_is_not_said_that_nothing_is_written():
    found = degenerate(pairs(np.zeros((3, 2))))
    assert found.bin == "not_applicable" and "writes no texts" not in found.message


def test_told_apart_may_not_be_told():
    drawn = np.random.default_rng(1)
    base, same, good = (
        pairs(drawn.normal([gap, 0], size=(200, 2)), name) for gap, name in ((0, "base"), (0, "full"), (2, "full"))
    )
    assert preferred.told_apart(same, base, "pair_accuracy", 0).bin == "tip"
    assert preferred.told_apart(good, base, "pair_accuracy", 0).bin == "passed"
    assert preferred.told_apart(good, None, "pair_accuracy", 0).bin == "not_applicable"
