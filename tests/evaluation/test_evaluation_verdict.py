from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from whet.errors import UserError
from whet.evaluation.contest import cost_rank
from whet.evaluation.gates import better_than_baseline, enough_rows, negative_flips
from whet.evaluation.paired import holm, mcnemar
from whet.evaluation.verdict import decide, two_digits

from .made import pair, several, shuffled, single, with_right
from .made_kinds import model as made


def models(n: int, tables: dict[str, np.ndarray], num_labels: int = 3):
    return {name: with_right(right, model=name, num_labels=num_labels) for name, right in tables.items()}


def first_right(n: int, count: int) -> np.ndarray:
    return np.arange(n) < count


def drawn(n: int, *accuracies: float, same: float = 0.0, seed: int = 0) -> list[np.ndarray]:
    """Right-or-wrong of several models; a share ``same`` of the rows is shared with the first."""
    rng = np.random.default_rng(seed)
    found = [rng.random(n) < accuracies[0]]
    for accuracy in accuracies[1:]:
        found.append(np.where(rng.random(n) < same, found[0], rng.random(n) < accuracy))
    return found


def test_clearly_better_is_shipped():
    probe, full, tfidf = drawn(2000, 0.85, 0.93, 0.8)
    of = models(2000, {"probe": probe, "full": full, "tfidf_linear": tfidf})
    verdict = decide([of["full"]], [of["tfidf_linear"], of["probe"]], seed=0)
    assert (verdict.code, verdict.ship, verdict.best, verdict.best_baseline) == ("ship", "full", "full", "probe")
    assert verdict.rows_to_decide is None
    assert "better than the frozen probe" in verdict.reason and "p < 0.001" in verdict.reason
    assert verdict.reason.endswith("ship full fine-tuning.")
    assert json.loads(json.dumps(verdict.to_json()))["comparisons"][0]["candidate"] == "full"


def test_1035_rows_at_98_3_and_98_6_cannot_tell():
    """sms_spam: 1017 right against 1020 right, with the usual handful of discordant rows."""
    full, tfidf = pair(1035, 1010, 10, 7)
    verdict = decide([full], [tfidf], seed=0, metric="accuracy")
    assert verdict.code == "cannot_tell" and verdict.ship == "tfidf_linear"
    assert verdict.rows_to_decide > 1035
    assert "cannot tell" in verdict.reason and "0.3 points better" in verdict.reason
    assert f"about {verdict.rows_to_decide:,} test rows would decide" in verdict.reason
    assert verdict.minimum_detectable_effect > 0.003


def test_the_reason_of_a_verdict_that_cannot_tell():
    full, tfidf = pair(3080, 2800, 90, 68)
    probe = replace(tfidf, model="probe")
    verdict = decide([full], [probe], seed=0)
    assert verdict.reason == (
        "Full fine-tuning is 0.7 points better than the frozen probe on 3,080 test rows (accuracy 93.8 against 93.1; "
        "95 % interval -0.1 to 1.5, p = 0.094): cannot tell; this many rows show differences of 1.2 points or more, "
        f"about {verdict.rows_to_decide:,} test rows would decide. Until then use the cheaper, the frozen probe."
    )
    assert verdict.code == "cannot_tell"
    assert 6000 < verdict.rows_to_decide < 9000


def test_better_by_less_than_the_margin_is_not_worth_it():
    full, tfidf = pair(20_000, 18_000, 120, 40)
    verdict = decide([full], [tfidf], seed=0)
    assert verdict.comparisons[0].p < 0.001
    assert verdict.code == "keep_baseline" and verdict.ship == "tfidf_linear"
    assert "surely no gain of 1 point or more" in verdict.reason
    assert decide([full], [tfidf], seed=0, margin=0.001).code == "ship"


def test_a_candidate_that_is_worse_is_not_shipped():
    tfidf, full = pair(500, 300, 80, 20)
    verdict = decide([replace(full, model="full")], [replace(tfidf, model="tfidf_linear")], seed=0)
    assert verdict.code == "keep_baseline" and "worse than" in verdict.reason
    assert verdict.minimum_detectable_effect is not None


def test_the_cheapest_baseline_within_the_margin_is_kept():
    n = 30_000
    probe, tfidf, full = drawn(n, 0.9, 0.9, 0.9, same=0.99)
    of = models(n, {"probe": probe, "tfidf_linear": tfidf, "full": full, "majority": first_right(n, n // 3)})
    verdict = decide([of["full"]], [of["probe"], of["majority"], of["tfidf_linear"]], seed=0)
    assert (verdict.code, verdict.ship) == ("keep_baseline", "tfidf_linear")


def test_lora_is_shipped_where_full_is_not_worth_more():
    n = 20_000
    full, lora, probe = drawn(n, 0.93, 0.93, 0.85, same=0.985)
    probe = np.random.default_rng(9).random(n) < 0.85
    of = models(n, {"full": full, "lora": lora, "probe": probe})
    verdict = decide([of["full"], of["lora"]], [of["probe"]], seed=0)
    assert (verdict.code, verdict.ship) == ("ship", "lora")
    assert "after Holm" in verdict.reason
    assert [one.p_holm for one in verdict.comparisons] == pytest.approx(holm([one.p for one in verdict.comparisons]))


def test_ties_go_to_the_cheaper():
    right = first_right(400, 360)
    of = models(400, {"full": right, "lora": right, "probe": right, "tfidf_linear": right})
    verdict = decide([of["full"], of["lora"]], [of["probe"], of["tfidf_linear"]], seed=0)
    assert verdict.best == verdict.best_baseline == verdict.ship == "tfidf_linear"
    assert verdict.code == "keep_baseline"  # 400 rows without any disagreement: a difference below 1 point
    assert "exactly as good as" in verdict.reason
    assert "both say the same of every one, so keep TF-IDF with a linear model" in verdict.reason


@pytest.mark.parametrize("answers", [[0, 1, 0, 2, 1], [1, 0, 1, 0, 0]])
def test_five_rows_claim_nothing(answers):
    gold = [0, 1, 0, 2, 1]
    full = single(gold, answers, num_labels=3)
    probe = single(gold, [1, 0, 2, 1, 2], num_labels=3, model="probe")
    verdict = decide([full], [probe], seed=0)
    assert verdict.code == "cannot_tell" and verdict.ship == "probe"
    assert verdict.minimum_detectable_effect is None
    assert verdict.rows_to_decide is not None and verdict.rows_to_decide > 5
    assert "so few rows can show no difference at all" in verdict.reason


def test_all_wrong():
    none = first_right(300, 0)
    of = models(300, {"full": none, "majority": none})
    verdict = decide([of["full"]], [of["majority"]], seed=0)
    assert verdict.ship == "majority" and verdict.values == {"majority": 0.0, "full": 0.0}
    few = decide([shuffled(of["full"], np.arange(40))], [shuffled(of["majority"], np.arange(40))], seed=0)
    assert few.code == "cannot_tell"
    large = models(1000, {"full": first_right(1000, 0), "majority": first_right(1000, 0)})
    assert "no model has shown to be worth anything" in decide([large["full"]], [large["majority"]], seed=0).reason


def test_macro_f1_leads_where_one_class_is_nearly_everything():
    rng = np.random.default_rng(0)
    gold = (rng.random(1035) < 0.13).astype(int)
    tfidf = single(gold, np.where(rng.random(1035) < 0.983, gold, 1 - gold), model="tfidf_linear")
    full = single(gold, np.where(rng.random(1035) < 0.003, 1 - tfidf.predicted, tfidf.predicted), model="full")
    verdict = decide([full], [tfidf, single(gold, [0] * 1035, num_labels=2, model="majority")], seed=0)
    assert verdict.metric == "macro_f1"
    assert verdict.code != "ship" and verdict.ship == "tfidf_linear"
    assert verdict.comparisons[0].test.startswith("approximate randomisation")


def test_several_labels():
    rng = np.random.default_rng(0)
    gold = rng.random((600, 4)) < 0.3
    made = {
        name: several(gold, np.where(rng.random((600, 4)) < right, gold, ~gold) * 0.8 + 0.1, model=name)
        for name, right in (("full", 0.97), ("tfidf_linear", 0.85))
    }
    verdict = decide([made["full"]], [made["tfidf_linear"]], seed=0)
    assert (verdict.code, verdict.metric) == ("ship", "micro_f1")
    assert verdict.minimum_detectable_effect < 0.05


def test_a_loss_may_lead():
    rng = np.random.default_rng(0)
    gold = rng.integers(0, 2, 500)
    sure, unsure = single(gold, gold, sure=0.9), single(gold, gold, sure=0.7, model="probe")
    verdict = decide([sure], [unsure], seed=0, metric="log_loss")
    assert (verdict.code, verdict.best) == ("ship", "full")
    assert "nats better" in verdict.reason


def test_the_probe_given_twice_is_a_baseline_unless_it_is_all_there_is():
    full, tfidf = pair(500, 300, 80, 20)
    probe = replace(tfidf, model="probe")
    both = decide([full, probe], [probe, tfidf], seed=0)
    assert [one.candidate for one in both.comparisons] == ["full"]
    alone = decide([probe], [probe, tfidf], seed=0)
    assert [one.candidate for one in alone.comparisons] == ["probe"]
    assert alone.best_baseline == "tfidf_linear"


def test_without_candidates_or_without_baselines():
    full, tfidf = pair(500, 300, 80, 20)
    verdict = decide([], [tfidf], seed=0)
    assert (verdict.code, verdict.ship, verdict.comparisons) == ("keep_baseline", "tfidf_linear", ())
    runs = [replace(full, model="run2/full"), replace(tfidf, model="run1/full")]
    costs = {"run1/full": {"predict_rows_per_second": 900.0}, "run2/full": {"predict_rows_per_second": 100.0}}
    verdict = decide(runs, [], seed=0, costs=costs)
    assert verdict.best_baseline == "run1/full" and verdict.ship == "run2/full" and verdict.costs == costs
    with pytest.raises(UserError, match="V103"):
        decide([], [], seed=0)
    with pytest.raises(UserError, match="V109"):
        decide([full, full], [tfidf], seed=0)


def test_parameters_out_of_range_are_told_together():
    full, tfidf = pair(50, 30, 8, 2)
    with pytest.raises(UserError) as error:
        decide([full], [tfidf], seed=0, margin=0.0, alpha=0.9)
    assert [problem.where for problem in error.value.problems] == ["margin", "alpha"]
    with pytest.raises(UserError, match="G001"):
        decide([full], [tfidf], seed=0, metric="f1")


def test_the_order_of_rows_and_of_models_changes_nothing():
    full, tfidf = pair(300, 200, 30, 20)
    probe = with_right(first_right(300, 150), model="probe", num_labels=2)
    order = np.random.default_rng(0).permutation(300)
    plain = decide([full], [tfidf, probe], seed=4, metric="macro_f1", num_rounds=499)
    mixed = decide([shuffled(full, order)], [probe, shuffled(tfidf, order)], seed=4, metric="macro_f1", num_rounds=499)
    assert plain == mixed


def test_groups_make_it_harder_to_decide():
    full, tfidf = pair(400, 260, 60, 20)
    alone = decide([full], [tfidf], seed=0)
    grouped = decide([full], [tfidf], seed=0, groups=np.arange(400) // 50)
    assert alone.code == "ship" and grouped.code == "cannot_tell"


def test_false_claims_are_rare_when_models_are_equally_good():
    rng = np.random.default_rng(0)
    shipped = 0
    for _ in range(70):
        right = [rng.random(150) < 0.8 for _ in range(3)]
        of = models(150, dict(zip(("full", "lora", "probe"), right, strict=True)))
        shipped += decide([of["full"], of["lora"]], [of["probe"]], seed=0, metric="accuracy").code == "ship"
    assert shipped / 70 < 0.05 + 2 * np.sqrt(0.05 * 0.95 / 70)


def test_cost_order():
    names = ["full", "b/lora", "probe", "label_names", "odd", "tfidf_linear", "majority"]
    expected = ["majority", "tfidf_linear", "label_names", "probe", "b/lora", "full", "odd"]
    assert sorted(names, key=cost_rank) == expected


def cost(speed: float | None, size: float | None = None, seconds: float | None = None) -> dict[str, float | None]:
    return {"predict_rows_per_second": speed, "size_bytes": size, "train_seconds": seconds}


def test_the_noise_of_a_clock_makes_no_model_cheaper():
    """A per mille of speed against a hundred times the size and the training, wherever the figures lie."""
    for speed in np.geomspace(1, 1e6, 400):
        for noise in (1.001, 1.1):
            costs = {"a/lora": cost(speed * noise, 1e8, 1e4), "b/lora": cost(speed, 1e6, 1e2)}
            assert sorted(costs, key=lambda name: cost_rank(name, costs)) == ["b/lora", "a/lora"]


def test_speed_counts_for_more_than_size_and_training():
    costs = {
        "slow/lora": cost(100.0, 1e6, 100.0),
        "quick/lora": cost(300.0, 4e6, 200.0),
        "unknown/lora": cost(None, 1e6, 1.0),
        "dear/full": cost(1e9, 1.0, 0.0),
    }
    for order in (list(costs), list(costs)[::-1]):
        found = sorted(order, key=lambda name: cost_rank(name, costs))
        assert found == ["quick/lora", "slow/lora", "unknown/lora", "dear/full"]
    assert cost_rank("x/lora", costs) == cost_rank("y/lora") == cost_rank("z/lora", {"z/lora": cost(None)})


def test_two_digits():
    assert [two_digits(count) for count in (7, 99, 101, 5139, 123456)] == [7, 99, 110, 5200, 130000]


def test_holm_decides():
    """p = 0.03 alone would do; as one of three it does not."""
    full, tfidf = pair(300, 200, 16, 5)
    assert 0.02 < mcnemar(16, 5) < 0.03
    assert decide([full], [tfidf], seed=0).code == "ship"
    others = [replace(tfidf, model=name) for name in ("lora", "other")]
    assert decide([full, *others], [tfidf], seed=0).code == "cannot_tell"


def test_models_that_say_the_same_ask_for_no_rows():
    """Forty rows answered alike: no number of them decides, and no label is asked for."""
    right = first_right(40, 30)
    of = models(40, {"full": right, "base_cosine": right})
    verdict = decide([of["full"]], [of["base_cosine"]], seed=0)
    assert (verdict.code, verdict.ship, verdict.rows_to_decide) == ("cannot_tell", "base_cosine", None)
    assert verdict.reason.endswith(
        "both say the same of every one, so that more rows like these would not tell them apart. "
        "Use the cheaper, the cosine of the untouched base."
    )
    found = [better_than_baseline(verdict), enough_rows(verdict)]
    assert [one.bin for one in found] == ["tip", "not_applicable"]
    assert "answers as the cosine of the untouched base does" in found[0].remedy
    assert "abel" not in found[0].remedy + found[1].remedy


@pytest.mark.parametrize("kind", ["similarity", "ranks"])
def test_what_ships_as_better_has_an_interval_above_zero(kind):
    shipped = 0
    for seed in range(25):
        full = made(kind, 0.6 + 0.02 * (seed % 5), n=60, seed=seed)
        rival = made(kind, 0.55, n=60, seed=seed, name={"similarity": "base_cosine", "ranks": "bm25"}[kind])
        verdict = decide([full], [rival], seed=seed, num_rounds=199, num_resamples=199)
        lead = verdict.leading
        assert lead is not None
        if verdict.code == "ship":
            shipped += 1
            assert lead.p_holm < 0.05 and lead.low > 0
        if lead.p >= 0.05:
            assert lead.low <= 0 <= lead.high
    assert shipped < 25


def test_a_ranking_counts_queries():
    full, rival = (made("ranks", quality, n=60, name=name) for quality, name in ((0.5, "full"), (0.5, "bm25")))
    verdict = decide([full], [rival], seed=0, num_rounds=99, num_resamples=99)
    assert "on 60 test queries (nDCG@10 " in verdict.reason and "rows" not in verdict.reason
    assert enough_rows(verdict).message.startswith("60 test queries show")
    assert "of 60 queries that" in negative_flips(full, rival).message
    assert enough_rows(decide(*([one] for one in pair(300, 200, 9, 3)), seed=0)).message.startswith("300 test rows")


def test_no_flip_is_no_tip():
    """Twenty rows without a flip leave 16 % open, and say nothing."""
    found = negative_flips(*pair(20, 15, 2, 0))
    assert found.bin == "passed" and found.evidence["all"]["negative_high"] > 0.05
