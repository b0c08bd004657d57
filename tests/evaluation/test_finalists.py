"""The rule of a verdict over ways that were trained with several seeds."""

from __future__ import annotations

import numpy as np
import pytest

from whet.data.predictions import ClassPredictions
from whet.errors import UserError
from whet.evaluation.finalists import Contender, against, choose, over_seeds

from . import made

ROWS = 600


def said(name: str, accuracy: float, seed: int) -> ClassPredictions:
    """Answers of which a share is right, drawn anew with every seed."""
    right = np.random.default_rng([seed, len(name)]).random(ROWS) < accuracy
    return made.with_right(right, model=name)


def way(name: str, accuracy: float, kind: str, seeds: int = 3, baseline: bool = False) -> Contender:
    runs = tuple(said(name, accuracy, seed) for seed in range(seeds))
    return Contender(name, runs, kind, name, baseline)


KNOWN = {"seed": 0, "margin": 0.01, "alpha": 0.05, "num_resamples": 300}


def test_a_better_way_ships_and_the_cheapest_near_it():
    base = way("tfidf", 0.70, "tfidf_linear", 1, True)
    found = choose([base, way("trial 1", 0.9, "full"), way("trial 2", 0.93, "full")], **KNOWN)
    assert found.code == "ship" and found.ship in ("trial 1", "trial 2") and found.best_baseline == "tfidf"
    assert found.gains[found.ship]["low"] > 0 and "over seeds and rows" in found.reason
    assert next(iter(found.values)) == "tfidf" and len(found.values["trial 1"]["each"]) == 3
    cheap = Contender("trial 3", way("trial 2", 0.93, "").runs, "bitfit", "trial 3")
    dear = Contender("trial 2", way("trial 2", 0.93, "").runs, "full", "trial 2")
    assert choose([base, dear, cheap], **KNOWN).ship == "trial 3"  # the same answers by the cheaper method


def test_no_gain_is_worth_nothing_and_too_few_rows_tell_nothing():
    base = way("tfidf", 0.9, "tfidf_linear", 1, True)
    assert choose([base, way("trial 1", 0.6, "full")], **KNOWN).code == "keep_baseline"
    near = choose([way("tfidf", 0.80, "tfidf_linear", 1, True), way("trial 1", 0.83, "full")], **KNOWN)
    assert near.code == "cannot_tell" and near.ship == "tfidf" and "cannot tell" in near.reason


def test_without_baselines_and_with_nothing():
    found = choose([way("trial 1", 0.8, "lora"), way("trial 2", 0.95, "full")], **KNOWN)
    assert found.best_baseline == "trial 1" and found.ship == "trial 2"
    with pytest.raises(UserError, match="V103"):
        choose([], **KNOWN)


def test_one_training_of_each():
    found = choose([way("tfidf", 0.7, "tfidf_linear", 1, True), way("trial 1", 0.9, "full", 1)], **KNOWN)
    assert found.code == "ship" and "interval over rows, of one training" in found.reason


def test_one_training_of_a_way_says_nothing_of_other_seeds():
    """Beside one trained thrice the first models of both are compared: no spread of seeds is made up for the one."""
    thrice, once = way("trial 1", 0.8, "full"), way("trial 2", 0.8, "lora", 1)
    assert not over_seeds(thrice, once) and over_seeds(thrice, thrice)
    assert over_seeds(thrice, way("tfidf", 0.7, "tfidf_linear", 1, True))
    known = {"seed": 0, "alpha": 0.05, "num_resamples": 300}
    single = Contender("trial 1", thrice.runs[:1], "full", "trial 1")
    assert against(thrice, once, "accuracy", **known) == against(single, once, "accuracy", **known)


def test_against_turns_losses():
    one, other = way("a", 0.9, "full"), way("b", 0.7, "full")
    gap = against(one, other, "log_loss", seed=0, alpha=0.05, num_resamples=300)
    assert gap.low > 0
    assert against(one, one, "accuracy", seed=0, alpha=0.05, num_resamples=300).value == 0
