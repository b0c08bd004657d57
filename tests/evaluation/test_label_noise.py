from __future__ import annotations

import numpy as np
import pytest

from whet.evaluation.label_noise import FEWEST, doubted, finding, wrong_share

pytest.importorskip("cleanlab")


def made(n=600, c=3, share=0.1, seed=0):
    """Probabilities of a good classifier, true labels, and given ones of which some were turned."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, c, n)
    logits = rng.normal(size=(n, c))
    logits[np.arange(n), truth] += 4
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    given, turned = truth.copy(), rng.random(n) < share
    given[turned] = (truth[turned] + rng.integers(1, c, turned.sum())) % c
    return given, truth, turned, probabilities


def test_turned_labels_are_found():
    given, truth, turned, probabilities = made()
    found = doubted(given, probabilities, seed=0)
    assert found is not None
    assert turned[found.rows].mean() > 0.8
    assert turned[found.rows].sum() > 0.8 * turned.sum()
    assert (found.suggested == truth[found.rows]).mean() > 0.8
    assert (np.diff(found.quality) >= 0).all() and found.num_judged == 600
    assert not (found.suggested == given[found.rows]).any()
    value, low, high = found.rate
    assert low < turned.mean() < high and low <= value <= high


def test_clean_labels_pass():
    given, _, _, probabilities = made(share=0.0)
    found = doubted(given, probabilities, seed=0)
    assert found is not None and len(found.rows) < 20 and found.rate[0] < 0.04


def test_the_estimate_is_that_of_cleanlab():
    from cleanlab.count import estimate_joint

    for seed in range(5):
        given, _, _, probabilities = made(seed=seed, share=0.15)
        joint = estimate_joint(given, probabilities)
        assert wrong_share(given, probabilities) == pytest.approx(1 - joint.trace(), abs=0.004)


def test_several_labels_a_row():
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.4
    probabilities = 1 / (1 + np.exp(-(4 * (2 * truth - 1) + rng.normal(size=truth.shape))))
    given = truth.copy()
    rows = rng.choice(400, 30, replace=False)
    given[rows, 0] = ~given[rows, 0]
    found = doubted(given, probabilities, seed=0)
    assert found is not None
    assert np.isin(found.rows, rows).mean() > 0.9 and np.isin(rows, found.rows).mean() > 0.8
    assert np.array_equal(found.suggested, truth[found.rows])
    assert found.rate[1] < 30 / 1200 < found.rate[2]


def test_classes_of_a_few_rows_are_not_judged():
    given, _, _, probabilities = made(n=100, share=0.0)
    given[: FEWEST - 1] = 3
    probabilities = np.concatenate([probabilities, np.full((100, 1), 1e-9)], 1)
    found = doubted(given, probabilities, seed=0)
    assert found is not None and found.num_judged == 100 - FEWEST + 1
    assert found.rows.min(initial=99) >= FEWEST - 1
    assert doubted(np.arange(6) % 3, np.full((6, 3), 1 / 3), seed=0) is None


def test_the_finding():
    assert finding(None).bin == "not_applicable"
    missing = finding({"missing": True})
    assert missing.bin == "not_applicable" and "whet[labels]" in missing.remedy
    about = {"num_judged": 200, "accuracy": 0.9, "rate": {"value": 0.03, "low": 0.02, "high": 0.04}, "examples": [1, 2]}
    one = finding({**about, "rows": [{}] * 8})
    assert (one.code, one.bin) == ("W007", "tip")
    assert one.message.startswith("8 of 200 labels are doubtful (4.0 %)") and "2.0 to 4.0" in one.message
    assert one.evidence["examples"] == [1, 2] and one.evidence["share"] == 0.04 and "rows" not in one.evidence
    assert finding({**about, "rows": []}).bin == "passed"
    assert finding({"num_judged": 0, "rows": []}).bin == "not_applicable"


def test_a_weak_classifier_accuses_nobody():
    rows = [{"line": number} for number in range(60)]
    about = {"num_judged": 200, "accuracy": 0.65, "rate": {"value": 0.3, "low": 0.28, "high": 0.33}, "rows": rows}
    found = finding(about)
    assert found.bin == "not_applicable"
    assert "agrees with 65.0 % of the labels" in found.message and "doubts 60 of 200" in found.message
    assert finding(about | {"accuracy": 0.9}).bin == "tip"
