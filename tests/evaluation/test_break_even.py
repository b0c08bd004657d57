"""After how many requests fine-tuning has paid for itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.evaluation.break_even import Prices, even, in_money, in_seconds, rounded, standing, words

COSTS = st.floats(0, 1e6)


def test_by_hand():
    found = in_seconds(600.0, (0.5, 2.0), 10.0)
    assert found.low == pytest.approx(600 / 1.9) and found.high == pytest.approx(600 / 0.4)
    # an hour costs 3.6: a second 0.001; 600 seconds of training and 40 labels of 0.05
    money = in_money(600.0, (0.5, 2.0), 10.0, 40, Prices(3.6, 0.05))
    assert money is not None and money.once == pytest.approx(2.6)
    assert money.low == pytest.approx(2.6 / 0.0019) and money.high == pytest.approx(2.6 / 0.0004)
    paid = in_money(600.0, (0.5, 2.0), 10.0, 40, Prices(3.6), (0.001, 0.01))
    assert paid is not None and paid.once == pytest.approx(0.6)
    assert paid.low == pytest.approx(0.6 / 0.0099) and paid.high == pytest.approx(0.6 / 0.0009)
    assert in_money(600.0, (0.5, 2.0), 10.0, 40, Prices(None, 0.05)) is None
    json.dumps(paid.to_json(), allow_nan=False)


def test_where_prompting_is_as_cheap_it_is_never():
    assert (even("money", 5.0, (0.1, 0.2), 0.2).low, even("money", 5.0, (0.1, 0.2), 0.2).high) == (None, None)
    half = even("money", 5.0, (0.1, 0.3), 0.2)
    assert half.low == pytest.approx(50) and half.high is None
    assert even("money", 0.0, (0.1, 0.3), 0.0).low == 0.0


@given(COSTS, COSTS, COSTS, COSTS)
def test_at_the_range_both_have_cost_the_same(once, one, other, tuned):
    cheap, dear = sorted((one, other))
    found = even("seconds", once, (cheap, dear), tuned)
    for requests, cost in ((found.low, dear), (found.high, cheap)):
        if requests is None:
            assert cost <= tuned
        else:
            assert requests * cost == pytest.approx(once + requests * tuned, rel=1e-6)
    if found.high is not None:
        assert found.low is not None and found.low <= found.high


@pytest.mark.parametrize(
    "costs", [(-1, (0, 1), 0), (1, (2, 1), 0), (float("nan"), (0, 1), 0), (1, (0, float("inf")), 0)]
)
def test_costs_that_cannot_be(costs):
    with pytest.raises(ValueError, match="cannot be"):
        even("seconds", *costs)


def test_in_words():
    assert words(even("money", 10.0, (0.01, 0.03), 0.0)) == (
        "By the price, fine-tuning pays after about 330 to 1,000 requests."
    )
    assert words(even("seconds", 10.0, (0.01, 0.01), 0.0)).endswith("after about 1,000 requests.")
    assert "costs no more than one of the tuned model: fine-tuning never pays" in words(even("seconds", 1, (0, 1), 1))
    assert "after about 1 request where requests are the dearer ones, and never" in words(even("money", 1, (0, 2), 1))


def test_rounding_to_two_digits():
    assert [rounded(one) for one in (0, 0.2, 3.1, 9.9, 12.4, 99.6, 1234, 98765)] == [1, 1, 4, 10, 12, 100, 1200, 99000]


FACTS = {
    "prompting": {
        "asked": "somebody",
        "here": True,
        "labels": 20,
        "a_request": {"seconds": {"low": 0.5, "mean": 1.0, "high": 2.0}, "price": None},
    }
}


def test_all_ways_beside_the_tuned_model():
    tuned = {"train_seconds": 600.0, "predict_rows_per_second": 10.0}
    found = standing({"few_shot": FACTS, "zero_shot": {}}, "full", tuned, 500, Prices(3.6, 0.1))
    few = found["ways"]["few_shot"]
    assert few["labels_saved"] == 480 and few["asked"] == "somebody"
    assert few["break_even"]["seconds"]["low"] == pytest.approx(600 / 1.9)
    assert few["break_even"]["money"]["once"] == pytest.approx(0.6 + 48)
    assert few["words"].startswith("By the price, fine-tuning pays after about 26,000 to 120,000 requests")
    assert found["ways"]["zero_shot"]["break_even"] == {"seconds": None, "money": None}
    assert found["ways"]["zero_shot"]["words"] == "" and found["ways"]["zero_shot"]["labels_saved"] is None
    assert found["tuned"] == "full" and found["prices"] == {"machine": 3.6, "label": 0.1}
    json.dumps(found, allow_nan=False)
    unpriced = standing({"few_shot": FACTS}, "full", tuned, 500, Prices())["ways"]["few_shot"]
    assert unpriced["break_even"]["money"] is None and unpriced["words"].startswith("By the time spent")
    assert standing({"few_shot": FACTS}, "full", {}, 500, Prices(1))["ways"]["few_shot"]["words"] == ""


def test_an_endpoint_has_its_own_price_or_none():
    tuned = {"train_seconds": 600.0, "predict_rows_per_second": 10.0}
    about = FACTS["prompting"] | {"here": False}
    found = standing({"few_shot": {"prompting": about}}, "full", tuned, 500, Prices(3.6))["ways"]["few_shot"]
    assert found["break_even"]["money"] is None and found["break_even"]["seconds"] is not None
    paid = about | {"a_request": {"seconds": None, "price": {"low": 0.01, "mean": 0.02, "high": 0.03}}}
    found = standing({"few_shot": {"prompting": paid}}, "full", tuned, 500, Prices(3.6))["ways"]["few_shot"]
    assert found["break_even"]["seconds"] is None
    assert found["break_even"]["money"]["low"] == pytest.approx(0.6 / (0.03 - 0.0001))
