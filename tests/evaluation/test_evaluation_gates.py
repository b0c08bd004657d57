from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from whet.evaluation.calibration import fit_temperature
from whet.evaluation.class_points import per_class
from whet.evaluation.gates import (
    better_than_baseline,
    calibration,
    enough_rows,
    gates,
    leakage,
    negative_flips,
    subject_of,
)
from whet.evaluation.scoring import score_all
from whet.evaluation.verdict import decide
from whet.evaluation.weakness import weakest

from .made import pair, several, single, softmaxed


def decided(n, both, won, lost):
    full, tfidf = pair(n, both, won, lost)
    return decide([full], [tfidf], seed=0), full, tfidf


def test_all_gates_of_a_run():
    verdict, full, tfidf = decided(600, 400, 120, 20)
    scores = score_all([full, tfidf], seed=0, num_resamples=100)
    found = gates(verdict, [full, tfidf], scores, seed=0)
    assert [one.code for one in found] == ["V001", "V002", "V003", "V004", "V006", "V007", "V008"]
    for one in found:
        json.dumps(one.to_json(), allow_nan=False)
    assert {one.code: one.bin for one in found} | {"V003": ""} == {
        "V001": "passed", "V002": "tip", "V003": "", "V004": "passed", "V006": "passed", "V007": "passed",
        "V008": "not_applicable",
    }  # fmt: skip


def test_better_or_not():
    assert better_than_baseline(decided(600, 400, 120, 20)[0]).bin == "passed"
    cannot = decided(1035, 1010, 10, 7)[0]
    one = better_than_baseline(cannot)
    assert one.bin == "tip" and f"{cannot.rows_to_decide:,}" in one.remedy
    worse = better_than_baseline(decided(600, 400, 20, 120)[0])
    assert worse.bin == "issue" and "Ship TF-IDF" in worse.remedy
    tfidf = pair(60, 40, 1, 1)[1]
    assert better_than_baseline(decide([], [tfidf], seed=0)).bin == "not_applicable"


def test_the_subject_is_what_was_trained():
    assert subject_of(decided(600, 400, 120, 20)[0]) == "full"
    assert subject_of(decided(600, 400, 20, 120)[0]) == "full"
    assert subject_of(decide([], [pair(60, 40, 1, 1)[1]], seed=0)) == "tfidf_linear"


def test_few_negative_flips_pass():
    full, tfidf = pair(1000, 900, 50, 10)
    one = negative_flips(full, tfidf)
    assert one.bin == "passed" and one.message.startswith("10 of 1,000 rows")
    assert one.evidence["all"]["gain"] == 0.04
    assert negative_flips(full, full).bin == "not_applicable"


def test_a_class_that_got_worse_is_an_issue():
    gold = np.repeat([0, 1, 2], 100)
    old = single(gold, np.where(np.arange(300) < 40, 1, gold), model="probe")  # misses 40 of a
    new = single(gold, np.where((np.arange(300) >= 100) & (np.arange(300) < 115), 0, gold))  # misses 15 of b
    one = negative_flips(new, old)
    assert one.bin == "issue" and "Surely worse than before: b." in one.message
    assert one.evidence["worst"]["label"] == "b" and one.evidence["worst"]["negative"] == 15


def test_calibration():
    rng = np.random.default_rng(0)
    assert calibration(softmaxed(rng, 800, 4, 1.0), 1.0, seed=0).bin == "passed"
    sure, validation = softmaxed(rng, 800, 4, 2.5), softmaxed(rng, 800, 4, 2.5, split="validation")
    one = calibration(sure, fit_temperature(validation), seed=0)
    assert one.bin == "tip" and "Divide the logits by 2." in one.remedy
    assert one.evidence["ece_with_temperature"]["value"] < one.evidence["ece"]["value"]
    assert calibration(sure, None, seed=0).bin == "issue"
    assert calibration(sure, 3.9, seed=0).bin in ("issue", "tip")
    assert calibration(softmaxed(rng, 50, 4, 1.0), 1.0, seed=0).bin == "not_applicable"


def test_a_temperature_that_was_applied_is_not_asked_for_again():
    found = calibration(softmaxed(np.random.default_rng(0), 800, 4, 2.5), 1.0, seed=0)
    assert found.bin == "issue" and "Divide" not in found.remedy
    assert "after the temperature that validation asks for" in found.message


def scored(n, right_on_leaked, num_leaked):
    """Half of the other rows right; the leaked ones as told."""
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, n)
    right = np.where(np.arange(n) < num_leaked, right_on_leaked, rng.random(n) < 0.7)
    full = single(gold, np.where(right, gold, 1 - gold), num_labels=2)
    tfidf = single(gold, np.where(np.arange(n) % 5 < 3, gold, 1 - gold), num_labels=2, model="tfidf_linear")
    verdict = decide([full], [tfidf], seed=0)
    return verdict, score_all([full, tfidf], seed=0, leaked_ids=range(num_leaked), num_resamples=50)


def test_leakage():
    verdict, scores = scored(500, True, 100)
    one = leakage(verdict, scores, "full")
    assert one.bin == "issue" and one.message.startswith("100 of 500 test rows also stand in training")
    assert one.evidence["with"] > one.evidence["without"]
    verdict, scores = scored(500, True, 2)
    assert leakage(verdict, scores, "full").bin == "tip"
    verdict, scores = scored(500, True, 500)
    assert "say nothing about new texts" in leakage(verdict, scores, "full").message
    verdict, scores = scored(500, True, 0)
    assert leakage(verdict, scores, "full").bin == "passed"
    assert leakage(verdict, scores, "full", leaks_known=False).bin == "not_applicable"


def test_leakage_that_turns_the_order():
    gold = np.zeros(200, dtype=int)
    gold[::2] = 1
    rows = np.arange(200)
    full = single(gold, np.where((rows < 40) | (rows >= 100), gold, 1 - gold), num_labels=2)
    probe = single(gold, np.where(rows >= 70, gold, 1 - gold), num_labels=2, model="probe")
    verdict = decide([full], [probe], seed=0)
    scores = score_all([full, probe], seed=0, leaked_ids=range(40), num_resamples=50)
    assert "turns round" in leakage(verdict, scores, "full").message


def test_weak_classes():
    gold = [0] * 40 + [1] * 40 + [2] * 2
    fine = single(gold, gold)
    assert weakest(per_class(single(gold[:80], gold[:80])), "full").bin == "passed"
    few = weakest(per_class(fine), "full")
    assert few.bin == "tip" and "1 of 3 classes have fewer than 5 test rows" in few.message
    missed = single(gold, [0] * 80 + [2] * 2)
    one = weakest(per_class(missed), "full")
    assert one.bin == "issue" and "b (0 % found)" in one.message


def test_enough_rows():
    assert enough_rows(decided(600, 400, 120, 20)[0]).bin == "passed"
    one = enough_rows(decided(1035, 1010, 10, 7)[0])
    assert one.bin == "issue" and "Label about" in one.remedy
    five = enough_rows(decided(5, 2, 1, 1)[0])
    assert "can show no difference at all" in five.message
    assert enough_rows(decide([], [pair(60, 40, 1, 1)[1]], seed=0)).bin == "not_applicable"


@pytest.mark.parametrize("metric", ["micro_f1", "log_loss"])
def test_several_labels_and_losses_pass_through_all_gates(metric):
    rng = np.random.default_rng(0)
    gold = rng.random((200, 3)) < 0.4
    made = [
        several(gold, np.where(rng.random((200, 3)) < right, gold, ~gold) * 0.8 + 0.1, model=name)
        for name, right in (("full", 0.95), ("probe", 0.9))
    ]
    made += [replace(one, split="validation") for one in made]
    scores = score_all(made, seed=0, leaked_ids=[1, 2], num_resamples=100)
    verdict = decide(made[:1], made[1:2], seed=0, metric=metric, num_rounds=199)
    assert len(gates(verdict, made, scores, seed=0)) == 7
