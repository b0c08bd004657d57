"""What holds for every kind: scores, verdict, gates, groups, order."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from whet.data.predictions import load, save
from whet.errors import UserError
from whet.evaluation import sums as sums_module
from whet.evaluation.contest import COST_ORDER
from whet.evaluation.gates import gates
from whet.evaluation.intervals import bootstrap, paired_difference
from whet.evaluation.kinds import KINDS, kind_of, sums, values_of
from whet.evaluation.measures import MEASURES
from whet.evaluation.paired import compare, randomisation
from whet.evaluation.rows import same_rows
from whet.evaluation.scoring import score_all
from whet.evaluation.sums import leave_one_out, resampled
from whet.evaluation.verdict import decide
from whet.evaluation.wording import MODELS, amount, number

from .made import single
from .made_kinds import KINDS as MADE
from .made_kinds import grouped, model

BASELINE = {
    "spans": "dictionary",
    "answers": "tfidf_sentence",
    "similarity": "base_cosine",
    "regression": "tfidf_ridge",
    "ranks": "bm25",
    "preferences": "longer",
    "generation": "base",
    "translation": "copy_source",
    "summarization": "lead3",
    "language": "unigram",
}
CODES = ["V001", "V002", "V003", "V004", "V006", "V007", "V008"]


def pair(kind: str, quality: float, **named):
    return model(kind, quality, **named), model(kind, 0.5, name=BASELINE[kind], **named)


def test_every_metric_is_in_the_table_and_every_formula_is_known():
    for kind in MADE:
        one = model(kind, 0.8)
        names = kind_of(one).metrics(one)
        assert set(names) <= set(MEASURES) and kind_of(one).primary(one) in names
        assert set(names) <= set(sums(one).formulas)
        assert all(np.isfinite(value) for value in values_of(one).values())
    assert set(COST_ORDER) == set(MODELS)
    assert set(KINDS) == {"classes", "spans", "answers", "values", "ranks", "texts", "preferences"}


@pytest.mark.parametrize("kind", MADE)
def test_the_content_of_scores(kind):
    made = [*pair(kind, 0.9), *pair(kind, 0.8, split="validation", n=60)]
    scores = score_all(made, seed=0, task="some-task", leaked_ids=[1, 2], num_resamples=100)
    json.dumps(scores, allow_nan=False)
    one = made[0]
    shared = {"task", "kind", "split", "num_rows", "primary", "models", "without_leaks", "details", "temperature"}
    more = {"spans": {"labels", "reliability"}, "answers": {"reliability"}}.get(kind, set())
    assert set(scores) == shared | more | {"validation"}
    assert (scores["task"], scores["kind"], scores["num_rows"], scores["temperature"]) == (
        "some-task",
        one.kind,
        300,
        {},
    )
    stated = {"ece"} if kind_of(one).decisions(one) is not None else set()
    assert set(scores["models"]["full"]) == set(kind_of(one).metrics(one)) | stated
    for name, expected in values_of(one).items():
        found = scores["models"]["full"][name]
        assert found["value"] == pytest.approx(expected) and found["low"] <= found["value"] <= found["high"]
    rest = values_of(one.take(np.delete(np.arange(300), [1, 2])))
    assert scores["without_leaks"]["num_rows"] == 298
    assert scores["without_leaks"]["models"]["full"][scores["primary"]]["value"] == pytest.approx(
        rest[scores["primary"]]
    )
    assert set(scores["validation"]) == {"full", BASELINE[kind]}


@pytest.mark.parametrize("kind", MADE)
def test_a_better_model_is_shipped_through_all_gates(kind, tmp_path):
    full, baseline = pair(kind, 0.9)
    scores = score_all([full, baseline], seed=0, num_resamples=100)
    verdict = decide([full], [baseline], seed=0, num_rounds=499)
    assert (verdict.code, verdict.ship, verdict.metric) == ("ship", "full", scores["primary"])
    assert verdict.values["full"] == pytest.approx(scores["models"]["full"][verdict.metric]["value"])
    found = gates(verdict, [full, baseline], scores, seed=0)
    assert [one.code for one in found] == CODES
    json.dumps([one.to_json() for one in found], allow_nan=False)
    save(full, tmp_path / "full")
    save(baseline, tmp_path / "baseline")
    again = decide([load(tmp_path / "full")], [load(tmp_path / "baseline")], seed=0, num_rounds=499)
    assert again == verdict


@pytest.mark.parametrize("kind", MADE)
def test_the_same_answers_twice_are_no_reason_to_ship(kind):
    one = model(kind, 0.8)
    verdict = decide([one], [replace(one, model=BASELINE[kind])], seed=0, num_rounds=199)
    assert verdict.code != "ship" and verdict.ship == BASELINE[kind]
    assert verdict.comparisons[0].p == 1.0 and "exactly as good as" in verdict.reason


@pytest.mark.parametrize("kind", MADE)
def test_a_handful_of_rows_claims_nothing(kind):
    full, baseline = pair(kind, 1.0, n=4)
    verdict = decide([full], [baseline], seed=0, num_rounds=199)
    assert verdict.code == "cannot_tell"
    json.dumps(score_all([full, baseline], seed=0, num_resamples=50), allow_nan=False)
    json.dumps(score_all([model(kind, 0.5, n=1)], seed=0, num_resamples=50), allow_nan=False)


@pytest.mark.parametrize("kind", MADE)
def test_the_order_of_rows_changes_nothing(kind):
    full, baseline = (grouped(one, 7) for one in pair(kind, 0.6, n=80))
    order = np.random.default_rng(0).permutation(80)
    there = decide([full], [baseline], seed=1, num_rounds=99, num_resamples=99)
    assert decide([full.take(order)], [baseline], seed=1, num_rounds=99, num_resamples=99) == there
    assert score_all([full.take(order)], seed=1, num_resamples=50) == score_all([full], seed=1, num_resamples=50)


@pytest.mark.parametrize("kind", MADE)
def test_resamples_are_those_of_a_plain_loop(kind):
    """Of Spearman a resample takes the mean of pseudo-values, not the ranks of the resample: near, not equal."""
    one = model(kind, 0.7, n=60)
    names = kind_of(one).metrics(one)
    part = sums(one)
    (totals,) = next(resampled([part], 3, np.random.default_rng(7)))
    rows = np.random.default_rng(7).integers(0, 60, size=(3, 60))
    for number_of_draw in range(3):
        again = replace(one.take(rows[number_of_draw]), ids=np.arange(60))
        expected = values_of(again)
        for name, values in part.metrics(names, totals).items():
            near = 0.05 if name == "spearman" else 1e-9
            assert values[number_of_draw] == pytest.approx(expected[name], abs=near), name
    left_out = leave_one_out(part, names)
    rest = values_of(one.take(np.arange(1, 60)))
    assert all(left_out[name][0] == pytest.approx(rest[name], abs=0.01) for name in names)


@pytest.mark.parametrize("kind", MADE)
def test_groups_are_known_without_being_given(kind):
    """Every row stands there ten times: ten times the rows, and nothing more is known."""
    rows = np.repeat(np.arange(40), 10)
    few = pair(kind, 0.7, n=40)
    many = [replace(one.take(rows), ids=np.arange(400), groups=rows.astype(np.uint64)) for one in few]
    metric = kind_of(few[0]).primary(few[0])
    plain, same = paired_difference(*few, metric, seed=0), paired_difference(*many, metric, seed=0)
    assert same.value == pytest.approx(plain.value, abs=1e-9)
    assert same.standard_error == pytest.approx(plain.standard_error, rel=0.15)
    careless = paired_difference(*(replace(one, groups=None) for one in many), metric, seed=0)
    assert careless.standard_error < 0.5 * same.standard_error
    given = paired_difference(*(replace(one, groups=None) for one in many), metric, seed=0, groups=rows)
    assert given == same == paired_difference(many[0], replace(many[1], groups=None), metric, seed=0)
    assert compare(*many, metric, seed=0, num_rounds=99).test.startswith("approximate randomisation")
    assert randomisation(*many, metric, seed=0, num_rounds=999) == pytest.approx(
        randomisation(*few, metric, seed=0, num_rounds=999), abs=0.05
    )
    scores = score_all(many, seed=0, num_resamples=300)
    assert scores["num_groups"] == 40
    alone = score_all(few, seed=0, num_resamples=300)["models"]["full"][metric]
    together = scores["models"]["full"][metric]
    assert together["high"] - together["low"] > 0.8 * (alone["high"] - alone["low"])


def test_groups_that_differ_are_refused():
    one, other = (grouped(made, 5) for made in pair("answers", 0.8, n=30))
    with pytest.raises(UserError, match="V111"):
        same_rows(one, grouped(other, 6))
    assert same_rows(replace(one, groups=None), other)[0].groups is not None


def test_rows_in_groups_without_likeness_count_as_rows():
    """Forty-eight documents are no reason to claim as little as of forty-eight rows."""
    rng = np.random.default_rng(0)
    gold = np.zeros(2400, dtype=np.int64)
    one = single(gold, (rng.random(2400) < 0.2).astype(np.int64), num_labels=2)
    alone, together = bootstrap(one, "accuracy", seed=0), bootstrap(grouped(one, 50), "accuracy", seed=0)
    assert together.high - together.low < 1.4 * (alone.high - alone.low)
    assert grouped(one, 50).groups.max() == 47


def test_classes_in_groups():
    rng = np.random.default_rng(1)
    gold = rng.integers(0, 3, 300)
    made = [
        grouped(single(gold, np.where(rng.random(300) < right, gold, (gold + 1) % 3), num_labels=3, model=name), 6)
        for name, right in (("full", 0.95), ("probe", 0.7))
    ]
    verdict = decide(made[:1], made[1:], seed=0, num_rounds=499)
    assert verdict.code == "ship" and verdict.comparisons[0].test.startswith("approximate randomisation")
    scores = score_all(made, seed=0, num_resamples=100)
    assert scores["kind"] == "classes" and scores["num_groups"] == 50 and "details" not in scores
    found = {one.code: one for one in gates(verdict, made, scores, seed=0)}
    assert found["V002"].evidence["all"]["negative_high"] >= found["V002"].evidence["all"]["negative_rate"]
    assert scores["per_class"]["full"][0]["low"] < scores["per_class"]["full"][0]["recall"]


def test_one_kind_is_not_compared_with_another():
    numbers_like = replace(model("regression", 0.8), purpose="similarity")
    with pytest.raises(UserError, match="V102"):
        decide([model("answers", 0.8)], [model("ranks", 0.8, name="bm25")], seed=0)
    with pytest.raises(UserError, match="V102"):
        decide([model("regression", 0.8)], [replace(numbers_like, model="mean")], seed=0)


def test_long_lists_are_drawn_in_blocks(monkeypatch):
    one = model("similarity", 0.6, n=2000)
    plain = bootstrap(one, "spearman", seed=0, num_resamples=600)
    monkeypatch.setattr(sums_module, "MOST_BLOCKS", 300)
    blocked = bootstrap(one, "spearman", seed=0, num_resamples=600)
    assert blocked.value == pytest.approx(plain.value)
    assert blocked.standard_error == pytest.approx(plain.standard_error, rel=0.2)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("spans", "points better than the dictionary of training entities on 300 test rows (entity F1 "),
        ("answers", "points better than the sentence nearest by TF-IDF on 300 test rows (answer F1 "),
        ("similarity", "better than the cosine of the untouched base on 300 test rows (Spearman 0."),
        ("regression", "better than TF-IDF with ridge regression on 300 test rows (R² 0."),
        ("ranks", "better than BM25 on 300 test queries (nDCG@10 0."),
        ("generation", " nats better than the untouched base on 300 test rows (token cross-entropy 1."),
        ("translation", " points better than copying the source on 300 test rows (BLEU "),
        ("summarization", " points better than the first three sentences on 300 test rows (ROUGE-L "),
        ("language", " nats better than how often each token occurs on 300 test rows (token cross-entropy 1."),
    ],
)
def test_the_reason_reads_well(kind, words):
    verdict = decide(*([one] for one in pair(kind, 0.9)), seed=0, num_rounds=499)
    assert words in verdict.reason
    assert verdict.reason.startswith("Full fine-tuning is ") and verdict.reason.endswith(": ship full fine-tuning.")
    lead = verdict.leading
    assert lead is not None
    shown = f"{verdict.values['full']:.3f}" if MEASURES[verdict.metric].shown == "plain" else None
    assert shown is None or f"{shown} against {verdict.values[BASELINE[kind]]:.3f}" in verdict.reason


def test_numbers_and_amounts():
    assert (number(0.8124, "spearman"), number(0.8124, "entity_f1")) == ("0.812", "81.2")
    assert (amount(0.012, "spearman"), amount(0.0001, "r2"), amount(0.0, "mae")) == ("0.012", "0.0001", "0.000")
    assert (amount(0.01, "answer_f1"), amount(0.012, "log_loss")) == ("1 point", "0.012 nats")


def test_always_saying_the_mean_is_worth_nothing():
    n = 3000
    gold = np.random.default_rng(0).normal(size=n)
    from .made_kinds import numbers

    mean = numbers(gold, np.zeros(n), model="mean")
    worse = numbers(gold, np.random.default_rng(1).normal(size=n) * 0.3)
    verdict = decide([worse], [mean], seed=0, num_rounds=199)
    assert (verdict.code, verdict.ship) == ("keep_baseline", "mean")
    assert verdict.reason.endswith("always saying the mean; no model has shown to be worth anything here.")


def test_weak_parts_of_every_kind():
    found = {}
    for kind in MADE:
        full, baseline = pair(kind, 0.1)
        scores = score_all([full, baseline], seed=0, num_resamples=20)
        verdict = decide([full], [baseline], seed=0, num_rounds=99, num_resamples=99)
        found[kind] = next(one for one in gates(verdict, [full, baseline], scores, seed=0) if one.code == "V006")
    assert found["spans"].bin == "issue" and "in 3 of 3 types" in found["spans"].message
    assert found["answers"].bin == "issue" and "in 1 of 2 sorts of question: unanswerable (" in found["answers"].message
    for kind in ("similarity", "regression", "ranks"):
        assert found[kind].bin == "not_applicable"
