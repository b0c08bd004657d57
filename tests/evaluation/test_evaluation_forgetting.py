from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from whet.evaluation.forgetting import (
    AnsweredSet,
    Forgotten,
    ReadTexts,
    by_probes,
    by_text,
    gate,
    in_words,
    knows,
    unmoved,
)
from whet.evaluation.shares import tango
from whet.seeds import generator


def answered(name: str, n: int, both: int, lost: int, won: int) -> AnsweredSet:
    """n rows of two labels: ``both`` right with both models, ``lost`` with the base alone, ``won`` with the tuned."""
    gold = np.arange(n) % 2
    wrong = 1 - gold
    base, tuned = wrong.copy(), wrong.copy()
    base[: both + lost] = gold[: both + lost]
    tuned[:both] = gold[:both]
    tuned[both + lost : both + lost + won] = gold[both + lost : both + lost + won]
    return AnsweredSet(name, gold, base, tuned)


def test_accuracy_lost_is_the_mean_over_sets() -> None:
    found = by_probes([answered("a", 100, 70, 20, 5), answered("b", 200, 150, 10, 10)])
    assert found is not None and found.way == "probes" and found.num_rows == 300
    assert found.value == pytest.approx((0.15 + 0.0) / 2)
    assert found.base == pytest.approx((0.90 + 0.80) / 2) and found.tuned == pytest.approx((0.75 + 0.80) / 2)
    first, second = found.sets
    assert first.p == pytest.approx(binomtest(5, 25).pvalue) and second.p == 1.0
    assert first.p_holm == pytest.approx(2 * first.p) and second.p_holm == 1.0
    low, high = tango(20, 5, 100)
    assert (first.low, first.high) == (low, high) and low < 0.15 < high
    below = np.hypot(first.forgotten - first.low, second.forgotten - second.low) / 2
    assert found.low == pytest.approx(found.value - below)
    assert found.surely


def test_where_nothing_changed_the_interval_still_has_a_width() -> None:
    found = by_probes([answered("a", 100, 80, 0, 0), answered("b", 100, 80, 0, 0)])
    assert found is not None and found.value == 0 and found.low < -0.005 and found.high > 0.005
    assert not found.surely


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    inside = 0
    for number in range(300):
        draw = generator(1, "coverage", number)
        sets = []
        for name, (lost, won) in {"a": (0.10, 0.04), "b": (0.06, 0.06), "c": (0.02, 0.01)}.items():
            counts = draw.multinomial(200, [0.7 - won, lost, won, 0.3 - lost])
            sets.append(answered(name, 200, int(counts[0]), int(counts[1]), int(counts[2])))
        found = by_probes(sets)
        assert found is not None
        inside += found.low <= (0.06 + 0.0 + 0.01) / 3 <= found.high
    assert 0.91 <= inside / 300 <= 0.99


def test_a_set_that_the_base_does_not_know_is_left_out() -> None:
    unknown = answered("guessed", 100, 40, 10, 30)  # the base has 50 of 100 right, the tuned model 70
    assert not knows(unknown.base, unknown.gold)
    assert by_probes([unknown]) is None
    found = by_probes([unknown, answered("known", 100, 70, 20, 5)])
    assert (
        found is not None and found.value == pytest.approx(0.15) and [one.known for one in found.sets] == [False, True]
    )
    assert found.sets[1].p_holm == found.sets[1].p, "Holm counts what was tested"


def test_nats_a_token_are_weighted_by_tokens() -> None:
    tokens = np.asarray([10, 30, 20, 40, 10, 0])
    base = np.asarray([20.0, 90.0, 50.0, 100.0, 30.0, 0.0])
    found = by_text(ReadTexts(base, base + 0.1 * tokens, tokens), seed=0)
    assert found is not None and found.way == "text" and found.num_rows == 5
    assert found.base == pytest.approx(290 / 110) and found.value == pytest.approx(0.1)
    assert found.low == pytest.approx(0.1) or found.low < 0.1  # five pieces: the test does not reject
    assert by_text(ReadTexts(base[:4], base[:4], tokens[:4]), seed=0) is None, "too few pieces"


def test_a_loss_on_many_pieces_is_sure_and_noise_is_not() -> None:
    draw = generator(0, "pieces")
    tokens = draw.integers(20, 90, 60)
    base = tokens * draw.normal(3.0, 0.3, 60)
    worse = by_text(ReadTexts(base, base + tokens * draw.normal(0.2, 0.05, 60), tokens), seed=0)
    alike = by_text(ReadTexts(base, base + tokens * draw.normal(0.0, 0.05, 60), tokens), seed=0)
    assert worse is not None and worse.low > 0.15 and worse.p < 0.001 and worse.surely
    assert alike is not None and alike.low < 0 < alike.high and not alike.surely


SOME = by_probes([answered("a", 400, 300, 40, 10), answered("b", 400, 300, 30, 20)])
"""5 points lost: 7.5 on one set, 2.5 on the other."""


@pytest.mark.parametrize(
    ("limit", "bin_", "words"),
    [
        (None, "tip", "Surely worse: a."),
        (0.02, "issue", "surely more than the limit of 2.0 points"),
        (0.045, "issue", "more than the limit"),
        (0.055, "tip", "do not rule out more"),
        (0.2, "passed", "within the limit of 20.0 points"),
    ],
)
def test_the_gate(limit: float | None, bin_: str, words: str) -> None:
    found = gate(SOME, "full", limit)
    assert found.code == "V009" and found.bin == bin_ and words in found.message
    assert found.message.startswith("Full fine-tuning forgot 5.0 points in accuracy")
    assert bool(found.remedy) == (bin_ != "passed")


def test_the_gate_where_nothing_was_measured() -> None:
    assert gate(None, "full", None, "Why not.").bin == "not_applicable"
    assert gate(None, "full", 0.1, "Why not.").bin == "issue", "a limit that was not held is not passed over"
    assert unmoved("probe").bin == "passed"


def test_a_gain_is_called_one() -> None:
    draw = generator(0, "gain")
    tokens = np.full(40, 50)
    base = tokens * draw.normal(3.0, 0.3, 40)
    found = by_text(ReadTexts(base, base - tokens * draw.normal(0.3, 0.05, 40), tokens), seed=0)
    assert found is not None
    words = in_words(found, "lora")
    low, high = -found.high, -found.low
    assert f"LoRA gained {-found.value:.3f} nats a token" in words and f"interval {low:.3f} to {high:.3f}" in words


def test_it_is_kept_as_json() -> None:
    assert SOME is not None
    value: Any = SOME.to_json()
    assert Forgotten.from_json(value) == SOME
