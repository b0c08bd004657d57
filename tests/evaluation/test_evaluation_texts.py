from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from whet.errors import UserError
from whet.evaluation import texts as kind
from whet.evaluation.alike import say_the_same
from whet.evaluation.degenerate import degenerate
from whet.evaluation.gates import calibration, gates, negative_flips
from whet.evaluation.kinds import is_share_of_all, primary_of, shared_metrics, sums, values_of
from whet.evaluation.paired import compare, mcnemar
from whet.evaluation.rows import checked, same_rows
from whet.evaluation.scoring import score_all
from whet.evaluation.shares import tango, wilson
from whet.evaluation.verdict import decide

from .made_kinds import grouped, model, shared, texts

GOLD = [["The red fox ran."], ["yes", "Yes"], ["one two three four one two three four"]]
SAID = ["The red dog ran.", " Yes\n", "one two three four one two three four"]
COUNTED = {"nats": [4.0, 1.0, 7.0], "tokens": [4, 1, 8], "num_bytes": [16, 3, 37], "num_right": [3, 1, 4]}


def test_values_computed_by_hand():
    found = values_of(texts(GOLD, SAID, finished=[True, True, False], **COUNTED))
    assert list(found) == [
        "token_nats", "perplexity", "bits_per_byte", "token_accuracy",
        "chrf", "rouge_l", "exact_match_text", "stop_rate", "repetition",
    ]  # fmt: skip
    assert found["token_nats"] == pytest.approx(12 / 13)
    assert found["perplexity"] == pytest.approx(np.exp(12 / 13))
    assert found["bits_per_byte"] == pytest.approx(12 / np.log(2) / 56)
    assert found["token_accuracy"] == pytest.approx(8 / 13)
    assert found["exact_match_text"] == pytest.approx(2 / 3)
    assert found["rouge_l"] == pytest.approx((3 / 4 + 1 + 1) / 3)
    assert found["stop_rate"] == pytest.approx(2 / 3)
    assert found["repetition"] == pytest.approx(1 / (1 + 0 + 5))


def test_metrics_go_by_purpose_and_by_what_is_known():
    full = texts(GOLD, SAID, finished=[True] * 3, **COUNTED)
    assert kind.primary(full) == "token_nats"
    assert kind.primary(replace(full, nats=None)) == "chrf"
    assert kind.metrics(replace(full, said=None)) == kind.LIKELIHOOD
    assert kind.metrics(replace(full, num_bytes=None, num_right=None, said=None)) == ("token_nats", "perplexity")
    assert kind.metrics(replace(full, purpose="translation", nats=None)) == (
        "bleu", "chrf", "rouge_l", "rouge1", "rouge2", "stop_rate", "repetition",
    )  # fmt: skip
    assert kind.primary(replace(full, purpose="summarization")) == "rouge_l"
    assert "stop_rate" not in kind.metrics(replace(full, finished=None))
    assert kind.metrics(replace(full, purpose="language", said=None, gold=None)) == kind.LIKELIHOOD


def test_forms_and_known_answers_are_shares_of_rows():
    full = texts(GOLD, SAID, valid=[True, False, False], chosen=["The red fox ran.", "no", "x"], **COUNTED)
    found = values_of(full)
    assert found["format_valid"] == pytest.approx(1 / 3) == found["label_accuracy"]
    assert kind.details(full)["counts"] | {"of_other_form": 2, "labels_right": 1} == kind.details(full)["counts"]
    taken = full.take(np.array([1, 0]))
    assert values_of(taken)["label_accuracy"] == 0.5 == values_of(taken)["format_valid"]
    other = replace(full, model="base", valid=None)
    assert "format_valid" not in shared_metrics(full, other) and "label_accuracy" in shared_metrics(full, other)
    assert "label_accuracy" not in kind.metrics(replace(full, purpose="summarization"))
    assert values_of(replace(full, purpose="translation"))["format_valid"] == pytest.approx(1 / 3)
    right = replace(full, chosen=tuple(row[0] for row in GOLD), valid=np.ones(3, bool))
    scores = score_all([right], seed=0, num_resamples=50)["models"]["full"]
    for name in ("label_accuracy", "format_valid"):
        assert scores[name]["value"] == 1.0 == scores[name]["high"] and scores[name]["low"] < 0.5, "three rows are few"


def test_models_that_choose_otherwise_are_not_alike():
    full = texts(GOLD, SAID, chosen=["a", "b", "c"], **COUNTED)
    assert say_the_same(full, replace(full, model="base"))
    assert not say_the_same(full, replace(full, model="base", chosen=("a", "b", "d")))


def test_of_a_choice_only_the_choice_must_be_the_same():
    full = texts(GOLD, SAID, chosen=["a", "b", "c"], **COUNTED)
    otherwise = replace(full, model="base", said=("x", "y", "z"), nats=full.nats + 1)
    assert not say_the_same(full, otherwise) and say_the_same(full, otherwise, "label_accuracy")
    assert not say_the_same(full, replace(otherwise, chosen=("a", "b", "d")), "label_accuracy")


def closed(right: int, both: int, n: int = 100, name: str = "full", **numbers):
    """Of n rows the first ``both`` are right, and ``right`` after them; nothing that is said is an accepted text."""
    gold = [["yes" if row % 2 else "no"] for row in range(n)]
    first = both if right >= 0 else both - right
    inside = [row < both or first <= row < first + abs(right) for row in range(n)]
    chosen = [one[0] if is_right else "perhaps" for one, is_right in zip(gold, inside, strict=True)]
    return texts(gold, ["…"] * n, model=name, chosen=chosen, **numbers)


def test_label_accuracy_is_a_share_and_decides():
    """60 rows are right with both, 30 with the first alone, 5 with the second alone."""
    likely = {"tokens": [2] * 100, "num_bytes": [3] * 100, "num_right": [0] * 100}
    full = closed(30, 60, nats=[5.0] * 100, **likely)
    second = np.array([row < 60 or 90 <= row < 95 for row in range(100)])
    base = closed(0, 60, name="base", nats=[1.0] * 100, **likely)
    base = replace(base, chosen=tuple(row[0] if ok else "?" for row, ok in zip(base.gold, second, strict=True)))
    silent = closed(0, 60, name="nearest_answer")
    assert kind.metrics(full)[:2] == ("label_accuracy", "token_nats")
    assert kind.primary(full) == primary_of([silent, base, full], ["base", "nearest_answer"]) == "label_accuracy"
    assert is_share_of_all(full, "label_accuracy")
    found = compare(full, base, "label_accuracy", seed=0)
    assert (found.test, found.won, found.lost) == ("McNemar exact", 30, 5)
    assert (found.positive_flips, found.negative_flips) == (30, 5)
    assert found.p == pytest.approx(mcnemar(30, 5)) and found.difference == pytest.approx(0.25)
    assert (found.low, found.high) == pytest.approx(tango(30, 5, 100))
    scores = score_all([silent, base, full], seed=0, num_resamples=50, baselines=["base", "nearest_answer"])
    assert scores["primary"] == "label_accuracy"
    value = scores["models"]["full"]["label_accuracy"]
    assert (value["value"], value["low"], value["high"]) == pytest.approx((0.9, *wilson(90, 100)))
    verdict = decide([full], [silent, base], seed=0, num_resamples=200)
    assert (verdict.code, verdict.ship, verdict.metric) == ("ship", "full", "label_accuracy")
    assert verdict.best_baseline == "base" and verdict.beside == (), "though the base thinks the truth likelier"
    assert "points better than the untouched base on 100 test rows (label accuracy 90.0" in verdict.reason
    flips = next(one for one in gates(verdict, [full, base, silent], scores, seed=0) if one.code == "V002")
    assert flips.evidence["all"]["negative"] == 5 and "the answer chosen for it" in flips.message
    assert negative_flips(full, base).bin == "not_applicable", "no text is an accepted one"
    documents = [replace(one, groups=np.arange(100, dtype=np.uint64) // 2) for one in (full, base)]
    assert compare(*documents, "label_accuracy", seed=0, num_rounds=99).test.startswith("approximate randomisation")


def test_models_that_choose_alike_need_no_more_rows():
    full, base = closed(10, 60, nats=[2.0] * 100, tokens=[1] * 100), closed(10, 60, name="base")
    verdict = decide([full], [base], seed=0)
    assert verdict.leading.alike and verdict.rows_to_decide is None and verdict.metric == "label_accuracy"


def test_what_is_written_may_be_degenerate():
    gold = [["yes it is so"]] * 20
    fine = degenerate(texts(gold, ["yes it is so"] * 18 + ["", " "], finished=[True] * 10 + [False] * 10))
    assert (fine.code, fine.bin, fine.remedy) == ("V008", "passed", ""), "exactly a tenth, exactly half"
    assert fine.evidence == {"num_rows": 20, "empty": 2, "unfinished": 10, "stop_rate": 0.5, "repetition": 0.0}
    empty = degenerate(texts(gold, ["yes"] * 17 + ["", " ", "\n"]))
    assert empty.bin == "issue" and empty.message == "Of 20 test texts 3 are empty (15 %)."
    assert "generation.stop" in empty.remedy and empty.evidence["stop_rate"] is None
    assert degenerate(texts([["", "a"]] * 4, [""] * 4)).bin == "passed", "an empty text is accepted"
    endless = degenerate(texts(gold, ["yes"] * 20, finished=[True] * 9 + [False] * 11))
    assert endless.bin == "issue" and "11 are cut off by the limit on their length (55 %)" in endless.message
    assert "generation.max_tokens" in endless.remedy
    dots = degenerate(texts(gold, ["." * 40] * 20, finished=[False] * 20))
    assert dots.bin == "issue" and "97 % of what is written stood earlier" in dots.message
    assert "generation.temperature" in dots.remedy and "max_tokens" in dots.remedy
    language = texts(None, None, purpose="language", nats=[1.0], tokens=[1])
    assert degenerate(language).bin == degenerate(model("values", 0.5)).bin == "not_applicable"
    json.dumps(dots.to_json(), allow_nan=False)


def test_why_there_is_no_calibration_of_texts():
    verdict = trio()
    found = calibration(verdict[0], None, seed=0)
    assert (found.code, found.bin) == ("V003", "not_applicable")
    assert "likely the true ones are is scored" in found.message and "states no probabilities" not in found.message


def test_a_row_without_counted_tokens_adds_nothing():
    one = texts(None, None, purpose="language", nats=[0.0, 6.0], tokens=[0, 3], num_bytes=[0, 9])
    assert values_of(one)["token_nats"] == pytest.approx(2.0)
    nothing = texts(None, None, purpose="language", nats=[0.0], tokens=[0], num_bytes=[0])
    assert values_of(nothing) == {"token_nats": 0.0, "perplexity": 1.0, "bits_per_byte": 0.0}
    hopeless = texts(None, None, purpose="language", nats=[9e5], tokens=[1], num_bytes=[1])
    assert np.isfinite(values_of(hopeless)["perplexity"])


def test_what_cannot_be_evaluated():
    full = texts(GOLD, SAID, **COUNTED)
    for broken, code in (
        (replace(full, nats=np.array([1.0, np.nan, 1.0])), "V105"),
        (replace(full, nats=np.array([1.0, -1.0, 1.0])), "V105"),
        (replace(full, num_right=np.array([5, 0, 0])), "V105"),
        (replace(full, tokens=np.array([-1, 9, 9])), "V105"),
        (replace(full, gold=(("a",), (), ("b",))), "V112"),
        (replace(full, said=None, nats=None), "V112"),
        (replace(full, gold=None), "V104"),
    ):
        with pytest.raises(UserError, match=code):
            checked(broken)
    with pytest.raises(UserError, match="V102"):
        same_rows(full, replace(full, model="probe", purpose="translation"))
    with pytest.raises(UserError, match="V107"):
        same_rows(full, replace(full, model="probe", gold=(("a",), ("b",), ("c",))))
    turned = replace(full, gold=(GOLD[0], ("Yes", "yes"), GOLD[2]))
    assert len(same_rows(full, replace(turned, model="probe"))) == 2
    assert checked(texts(None, None, purpose="language", nats=[1.0], tokens=[1])).has_gold


def test_likelihoods_are_compared_only_where_they_are_of_the_same_tokens():
    full = texts(GOLD, SAID, **COUNTED)
    other = texts(GOLD, SAID, model="base", **COUNTED | {"tokens": [5, 1, 9]})
    silent = texts(GOLD, SAID, model="nearest_answer")
    assert shared_metrics(full, other)[0] == "bits_per_byte" and "perplexity" not in shared_metrics(full, other)
    assert shared_metrics(full, silent) == ("chrf", "rouge_l", "exact_match_text", "repetition")
    assert primary_of([full, other]) == "bits_per_byte"
    assert primary_of([full, other], ["base"]) == "bits_per_byte"
    assert primary_of([silent, full]) == "chrf"
    assert primary_of([silent, full], ["nearest_answer"]) == "chrf"
    base = replace(full, model="base")
    assert primary_of([silent, base, full], ["nearest_answer", "base"]) == "token_nats"
    assert primary_of([silent, other, full], ["nearest_answer", "base"]) == "bits_per_byte"
    cut = replace(base, tokens=full.tokens - 1, num_bytes=full.num_bytes - 1)
    assert primary_of([cut, full], ["base"]) == "chrf"
    with pytest.raises(UserError, match=r"V113.*bits_per_byte"):
        compare(full, other, "token_nats", seed=0)
    with pytest.raises(UserError, match="G001"):
        compare(full, other, "bleu", seed=0)
    no_text = [replace(one, said=None, num_right=None) for one in (full, cut)]
    with pytest.raises(UserError, match="V113"):
        decide(no_text[:1], no_text[1:], seed=0)


def trio(n: int = 200, nearest: float = 0.6):
    full, base = model("generation", 0.9, n=n), model("generation", 0.5, n=n, name="base")
    silent = model("generation", nearest, n=n, name="nearest_answer")
    return full, base, replace(silent, nats=None, tokens=None, num_bytes=None, num_right=None, finished=None)


def test_a_baseline_without_probabilities_stands_beside():
    full, base, silent = trio()
    verdict = decide([full], [silent, base], seed=0, num_rounds=499)
    assert (verdict.metric, verdict.code, verdict.ship, verdict.best_baseline) == ("token_nats", "ship", "full", "base")
    assert set(verdict.values) == {"full", "base"}
    assert [one["model"] for one in verdict.near_best] == ["base"]
    (beside,) = verdict.beside
    assert (beside.candidate, beside.against, beside.metric) == ("full", "nearest_answer", "chrf")
    expected = values_of(full)["chrf"] - values_of(silent)["chrf"]
    assert beside.difference == pytest.approx(expected) and beside.p < 0.01
    assert "nats better than the untouched base" in verdict.reason
    first, second = verdict.reason.split(": ship full fine-tuning. ")
    assert "nearest" not in first
    assert second.startswith(
        "The answer of the nearest training row cannot be measured by token cross-entropy and is no rival here; by "
        f"chrF full fine-tuning is {100 * expected:.1f} points better than it (95 % interval "
    )
    json.dumps(verdict.to_json(), allow_nan=False)
    scores = score_all([silent, base, full], seed=0, num_resamples=50, baselines=["nearest_answer", "base"])
    assert scores["primary"] == "token_nats"
    assert set(scores["models"]["nearest_answer"]) == set(kind.metrics(silent))
    assert set(scores["models"]["full"]) == set(kind.metrics(full))
    assert score_all([silent, base, full], seed=0, num_resamples=50)["primary"] == "chrf"
    found = {one.code: one for one in gates(verdict, [full, base, silent], scores, seed=0)}
    assert found["V001"].bin == "passed" and found["V003"].bin == "not_applicable"


def test_that_it_is_worse_than_the_one_beside_is_said():
    full, base, silent = trio(nearest=1.0)
    reason = decide([full], [silent, base], seed=0, num_rounds=499).reason
    assert "by chrF full fine-tuning is" in reason and "points worse than it (95 % interval -" in reason
    same = decide([full], [replace(silent, said=full.said), base], seed=0, num_rounds=99).reason
    assert "full fine-tuning is exactly as good (95 %" in same


def test_alone_with_a_baseline_without_probabilities_texts_decide():
    full, _, silent = trio()
    verdict = decide([full], [silent], seed=0, num_rounds=499)
    assert (verdict.metric, verdict.code, verdict.beside) == ("chrf", "ship", ())
    with pytest.raises(UserError, match=r"V113.*no baseline.*Judge by chrf"):
        decide([full], [silent], seed=0, metric="token_nats")


@pytest.mark.parametrize("metric", ["token_nats", "perplexity", "bits_per_byte", "repetition"])
def test_lower_is_better_through_the_whole_verdict(metric):
    full, base, _ = trio()
    if metric == "repetition":
        often = tuple(" ".join([text.split()[0]] * 9) for text in base.said)
        base = replace(base, said=often)
    verdict = decide([full], [base], seed=0, metric=metric, num_rounds=499)
    assert (verdict.code, verdict.ship, verdict.best) == ("ship", "full", "full")
    lead = verdict.leading
    assert lead.difference < 0 < lead.gain and lead.won > lead.lost
    assert lead.low < lead.difference < lead.high < 0
    back = decide([base], [replace(full, model="probe")], seed=0, metric=metric, num_rounds=499)
    assert (back.code, back.ship) == ("keep_baseline", "probe")
    assert "worse than the frozen probe" in back.reason


def test_the_figures_of_a_gain_in_nats():
    """Every row is half a nat a token nearer: nothing is left to chance."""
    tokens = np.arange(100) % 7 + 1
    numbers = {"tokens": tokens, "num_bytes": 4 * tokens}
    base = texts(None, None, purpose="language", model="base", nats=3.0 * tokens, **numbers)
    full = texts(None, None, purpose="language", nats=2.5 * tokens, **numbers)
    verdict = decide([full], [base], seed=0, num_rounds=999)
    (one,) = verdict.comparisons
    assert (one.gain, one.low, one.high) == pytest.approx((0.5, -0.5, -0.5))
    assert (one.won, one.lost, one.positive_flips, one.negative_flips) == (100, 0, 0, 0)
    assert verdict.code == "ship"
    assert verdict.reason.startswith(
        "Full fine-tuning is 0.500 nats better than the untouched base on 100 test rows (token cross-entropy 2.500 "
        "against 3.000; 95 % interval 0.500 to 0.500, p = 0.001)"
    )


def test_cross_entropy_is_a_ratio_of_totals_and_documents_are_drawn_whole():
    one = model("language", 0.6, n=120)
    again = grouped(one, 10)
    found = score_all([again], seed=0, num_resamples=300)
    assert found["num_groups"] == 12
    value = found["models"]["full"]["token_nats"]["value"]
    assert value == pytest.approx(one.nats.sum() / one.tokens.sum())
    assert value != pytest.approx((one.nats / one.tokens).mean(), abs=1e-6)


def test_exact_match_is_a_share():
    full = texts([["yes"]] * 100, ["yes"] * 80 + ["no"] * 20)
    base = texts([["yes"]] * 100, ["yes"] * 60 + ["no"] * 40, model="base")
    assert is_share_of_all(full, "exact_match_text") and not is_share_of_all(full, "stop_rate")
    found = compare(full, base, "exact_match_text", seed=0)
    assert (found.test, found.won, found.lost, found.positive_flips) == ("McNemar exact", 20, 0, 20)


def test_rows_are_weighed_by_the_metric_that_compares():
    full = texts(GOLD, SAID, **COUNTED)
    np.testing.assert_allclose(kind.mistakes(full), [1.0, 1.0, 7 / 8])
    np.testing.assert_allclose(kind.mistakes(full, "bits_per_byte"), np.array([4 / 16, 1 / 3, 7 / 37]) / np.log(2))
    np.testing.assert_allclose(kind.mistakes(full, "exact_match_text"), [1, 0, 0])
    translated = replace(full, purpose="translation")
    np.testing.assert_allclose(kind.mistakes(translated), kind.mistakes(translated, "chrf"))


def test_flips_of_texts():
    closed = texts([["yes"]] * 4, ["yes"] * 3 + ["no"])
    base = texts([["yes"]] * 4, ["no", "no", "yes", "yes"], model="base")
    found = negative_flips(closed, base)
    assert found.evidence["all"]["negative"] == 1 and "letter by letter" in found.message
    open_ended = [replace(one, gold=(("a b",), ("c d",), ("e f",), ("g h",))) for one in (closed, base)]
    assert negative_flips(*open_ended).bin == "not_applicable"
    likely = texts([["yes"]] * 4, None, model="unigram", nats=[1.0] * 4, tokens=[1] * 4)
    assert negative_flips(closed, likely).bin == "not_applicable"


def test_details():
    found = kind.details(texts(GOLD, SAID, finished=[True, True, False], num_said=[4, 1, 8], **COUNTED))
    assert found["counts"] == {
        "rows": 3, "tokens": 13, "bytes": 56, "exact": 2, "empty": 0, "said_tokens": 13, "cut_short": 1,
    }  # fmt: skip
    assert found["lengths"]["gold"] == {"mean": pytest.approx((16 + 3 + 37) / 3), "median": 16.0}
    assert found["length_ratio"] == pytest.approx((16 + 5 + 37) / 56)
    assert found["signatures"]["chrf"].startswith("nrefs:var|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    translated = kind.details(texts([["a b"]], ["a"], purpose="translation"))
    assert translated["signatures"]["bleu"].startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
    assert "length_ratio" not in kind.details(texts([[""]], ["a"]))
    language = kind.details(texts(None, None, purpose="language", nats=[1.0], tokens=[2]))
    assert language == {"purpose": "language", "counts": {"rows": 1, "tokens": 2}}


def test_odd_texts_are_measured_without_trouble():
    gold = [[""], [" "], ["\x00é"], ["👩‍🔬" * 3]]
    for said in (["", "", "", ""], ["a " * 50, "\n", "\ud7ff", "👩"]):
        for purpose in ("generation", "translation", "summarization"):
            one = texts(gold, said, purpose=purpose)
            assert all(0 <= value <= 1 for value in values_of(one).values())
            assert len(sums(one)) == 4
    assert shared(1, "a", "b")["split"] == "b"
