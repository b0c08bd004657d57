"""W001 to W006 on curves and answers made for them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evaluation.made import several, single, with_right
from whet.data.prediction_kinds import SpanPredictions, ValuePredictions
from whet.data.ragged import Spans
from whet.evaluation.collapse import collapsed
from whet.evaluation.curves import diagnose_curves, read_curves
from whet.evaluation.likeness import gap, told_apart, unlike
from whet.evaluation.steadiness import of_attempts, of_seeds
from whet.recipe.reading import all_options


def curve(seen, own, best=None):
    kept = min(range(len(seen)), key=seen.__getitem__) if best is None else best
    return [
        {"kind": "evaluation", "step": 100 * place, "loss": loss, "train_loss": train, "best": place <= kept}
        for place, (loss, train) in enumerate(zip(seen, own, strict=True))
    ]


FINE = curve([0.9, 0.5, 0.46, 0.455], [0.9, 0.4, 0.35, 0.33])


def bins(points, **more):
    return [(one.code, one.bin) for one in diagnose_curves(points, "full", **more)]


def test_a_sound_training_passes_all():
    assert bins(FINE) == [("W001", "passed"), ("W002", "passed"), ("W003", "passed")]
    assert read_curves(FINE).bin == "passed"


def test_each_of_them_and_the_gate_that_sums_up():
    over = curve([0.9, 0.5, 0.45, 0.6, 0.8], [0.8, 0.4, 0.2, 0.1, 0.05])
    assert bins(over) == [("W001", "tip"), ("W002", "passed"), ("W003", "passed")]
    assert read_curves(over).message == "It overfits; W001 says how."
    under = curve([0.9, 0.7, 0.55], [0.9, 0.7, 0.5])
    assert bins(under) == [("W001", "passed"), ("W002", "tip"), ("W003", "passed")]
    thrown = curve([0.9, 0.7, 1.6, 1.5], [0.8, 0.6, 1.4, 1.3])
    assert [b for _, b in bins(thrown)] == ["passed", "passed", "issue"]
    told = read_curves(thrown, "full")
    assert (told.code, told.bin) == ("V005", "issue") and told.message.startswith("The rate looks too high; W003")
    assert "0.6 (step 100) to 1.4 (step 200)" in diagnose_curves(thrown)[2].message


def test_thrown_back_and_recovered_is_a_tip():
    one = diagnose_curves(curve([0.9, 1.4, 0.6, 0.5], [0.8, 1.3, 0.5, 0.4]))[2]
    assert one.bin == "tip" and "by the end it was back" in one.message
    assert (one.evidence["before"], one.evidence["worst"]) == (0, 100)


def test_label_smoothing_alone_is_no_rate_too_high():
    """A head that starts from the probe begins near nothing, and smoothing 0.1 lifts its loss to about 0.1."""
    assert diagnose_curves(curve([0.3, 0.28, 0.28], [0.01, 0.11, 0.11]))[2].bin == "passed"


def test_leaving_a_head_fitted_to_training_rows_is_no_rate_too_high():
    """Training rows lose what the fit had, validation does not."""
    assert diagnose_curves(curve([0.46, 0.48, 0.5, 0.48], [0.05, 0.3, 0.28, 0.25]))[2].bin == "passed"
    assert diagnose_curves(curve([0.46, 0.58, 0.56, 0.52], [0.03, 0.2, 0.1, 0.06]))[2].bin == "passed"
    thrown = diagnose_curves(curve([0.46, 1.6, 1.5, 1.4], [0.05, 1.4, 1.2, 1.1]))[2]
    assert thrown.bin == "issue" and "that of validation before any step, from 0.46 to 1.4 (step 100)" in thrown.message


def test_a_rate_that_was_lowered_or_never_held_needs_no_curve():
    assert [b for _, b in bins([], lowered=1)] == ["not_applicable", "not_applicable", "issue"]
    one = diagnose_curves(FINE, ended="diverged")[2]
    assert one.bin == "issue" and "given up" in one.message
    assert read_curves(FINE, lowered=2).bin == "issue"


@pytest.mark.parametrize(
    ("ended", "option"), [("max_seconds", "max_seconds"), ("patience", "patience"), ("", "epochs")]
)
def test_what_to_change_depends_on_why_training_ended(ended, option):
    one = diagnose_curves(curve([0.9, 0.7, 0.55], [0.9, 0.7, 0.5]), ended=ended)[1]
    assert f"training.{option}" in one.remedy


def test_remedies_name_options_that_there_are():
    points = [
        curve([0.9, 0.5, 0.45, 0.6, 0.8], [0.8, 0.4, 0.2, 0.1, 0.05]),
        curve([0.7, 0.7, 0.7], [0.7, 0.7, 0.7]),
        curve([0.9, 0.7, 1.6], [0.8, 0.6, 1.4]),
    ]
    told = [one.remedy for some in points for one in diagnose_curves(some) if one.remedy]
    told += [collapsed(single(np.arange(40) % 2, np.zeros(40, int))).remedy]
    told += [of_attempts([{"failed": True}], "full").remedy]
    words = {word.strip(".,;():'").partition("=")[0] for text in told for word in text.split()}
    named = {
        word for word in words if word.split(".")[0] in ("training", "regularisation", "data", "layers") and "." in word
    }
    assert named and named <= set(all_options())


def test_collapsed_to_one_class():
    gold = np.arange(90) % 3
    one = collapsed(single(gold, np.zeros(90, int), num_labels=3))
    assert (one.code, one.bin) == ("W004", "issue") and "100 % of the 90 test rows, and true of 33 %" in one.message
    assert one.evidence["said"] == {"a": 90, "b": 0, "c": 0}
    assert collapsed(single(gold, gold, num_labels=3)).bin == "passed"
    # what is true of nearly all rows may be said of all of them
    assert collapsed(single(np.repeat([0, 1], [97, 3]), np.zeros(100, int))).bin == "passed"


def test_classes_that_are_never_said():
    gold = np.repeat([0, 1, 2, 3], [50, 40, 6, 4])
    one = collapsed(single(gold, np.where(gold > 1, 0, gold), num_labels=4))
    assert one.bin == "tip" and "'c' (true 6 times)" in one.message and "'d'" not in one.message


def test_collapsed_sets_of_labels():
    gold = np.zeros((60, 3), bool)
    gold[np.arange(60), np.arange(60) % 3] = True
    one = collapsed(several(gold, np.tile([0.9, 0.1, 0.1], (60, 1))))
    assert one.bin == "issue" and "'a' is the answer" in one.message
    assert "'no label' is the answer" in collapsed(several(gold, np.full((60, 3), 0.1))).message
    assert collapsed(several(gold, gold.astype(float))).bin == "passed"


def test_collapsed_spans_and_numbers():
    n = 10
    gold = Spans.of([[(0, 3, row % 2)] for row in range(n)])
    none = Spans.of([[] for _ in range(n)])
    about = ("full", "validation", np.arange(n), np.arange(n, dtype=np.uint64), ("a", "b"), gold)
    assert collapsed(SpanPredictions(*about, none, np.zeros(0, np.float32))).bin == "issue"
    half = Spans.of([[(0, 3, 0)] for _ in range(n)])
    one = collapsed(SpanPredictions(*about, half, np.ones(n, np.float32)))
    assert one.bin == "tip" and "'b' (true 5 times)" in one.message
    rows = ("full", "validation", np.arange(n), np.arange(n, dtype=np.uint64), np.arange(n, dtype=float))
    assert collapsed(ValuePredictions(*rows, np.full(n, 4.5), "regression")).bin == "issue"
    assert collapsed(ValuePredictions(*rows, np.arange(n) / 2, "regression")).bin == "passed"
    assert collapsed(ValuePredictions(*rows, np.full(n, 4.5), "similarity")).bin == "not_applicable"


def test_attempts_that_failed():
    assert of_attempts([{"failed": False, "best_score": 0.9}], "full").bin == "not_applicable"
    one = of_attempts([{"failed": True, "best_score": 0.3}, {"failed": False, "best_score": 0.9}], "full")
    assert one.bin == "issue" and one.message.startswith("1 of 2 trainings") and one.evidence["failed"] == 1


def test_seeds_that_lie_apart_and_seeds_that_do_not():
    rng = np.random.default_rng(0)
    near = [with_right(rng.random(600) < rate, model=f"{rate}/full") for rate in (0.8, 0.805, 0.795)]
    assert of_seeds(near, seed=0, margin=0.01, alpha=0.05, num_resamples=300).bin == "passed"
    apart = [*near, with_right(rng.random(600) < 0.6, model="0.6/full")]
    one = of_seeds(apart, seed=0, margin=0.01, alpha=0.05, num_resamples=300)
    assert (one.code, one.bin, one.place) == ("W005", "issue", "0.6/full")
    assert len(one.evidence["apart"]) == 3 and all("0.6/full" in pair for pair in one.evidence["apart"])


def test_validation_better_than_test():
    validation = with_right(np.arange(200) < 180, model="full")
    test = with_right(np.arange(300) < 210, model="full")
    found = gap(validation, test, "accuracy", seed=0)
    assert found.value == pytest.approx(0.2)
    assert 0.12 < found.low < found.value < found.high < 0.28
    one = unlike(found, None, "full", "accuracy", 0.01)
    assert (one.code, one.bin) == ("W006", "issue") and "20 points better on validation" in one.message
    other = gap(test, validation, "accuracy", seed=0)
    assert (other.value, other.low, other.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert unlike(other, None, "full", "accuracy", 0.01).bin == "tip"
    assert unlike(gap(test, test, "accuracy", seed=0), None, "full", "accuracy", 0.01).bin == "passed"


def test_a_lower_loss_on_validation_is_better_there():
    gold = np.arange(200) % 2
    sure, unsure = single(gold, gold, sure=0.95), single(gold, gold, sure=0.6)
    assert gap(sure, unsure, "log_loss", seed=0).low > 0
    assert unlike(gap(replace(sure), unsure, "log_loss", seed=0), None, "full", "log_loss", 0.01).bin == "issue"


def test_rows_told_apart_by_their_words():
    rng = np.random.default_rng(0)
    words = np.array([f"w{number}" for number in range(300)])

    def texts(start):
        return [" ".join(words[start + rng.integers(0, 200, 12)]) for _ in range(200)]

    same = told_apart(texts(0), texts(0), seed=0)
    assert same is not None and same.low < 0.5 < same.high
    other = told_apart(texts(0), texts(60), seed=0)
    assert other is not None and other.low > 0.6 and other.words[0][0].startswith("w")
    validation = with_right(np.arange(200) < 160, model="full")
    equal = gap(validation, validation, "accuracy", seed=0)
    assert unlike(equal, same, "full", "accuracy", 0.01).bin == "passed"
    one = unlike(equal, other, "full", "accuracy", 0.01)
    assert one.bin == "tip" and "can be told apart" in one.message and one.remedy


def test_documents_of_their_own_do_not_make_splits_unlike():
    """Each document has words of its own: a classifier that saw other rows of it would always know."""
    rng = np.random.default_rng(1)

    def rows(first):
        return [
            f"d{doc} e{doc} f{doc} " + " ".join(f"w{n}" for n in rng.integers(0, 50, 6))
            for doc in range(first, first + 20)
            for _ in range(10)
        ]

    groups = np.repeat(np.arange(40), 10)
    one, other = rows(0), rows(20)
    assert told_apart(one, other, groups, seed=0).low < 0.55
    assert told_apart(one, other, None, seed=0).low > 0.9


def test_too_few_rows_to_tell_apart():
    assert told_apart(["one word"] * 20, ["other word"] * 20, seed=0) is None
    assert told_apart([f"a{n}" for n in range(60)], [f"b{n}" for n in range(60)], seed=0) is None
