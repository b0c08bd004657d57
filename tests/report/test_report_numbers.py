from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whet.report import numbers

GAP = "\u00a0"


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numbers.percent(0.934), f"93.4{GAP}%"),
        (numbers.percent(1), f"100.0{GAP}%"),
        (numbers.percent(-0.0001), f"0.0{GAP}%"),
        (numbers.percent(None), "–"),
        (numbers.percent(float("nan")), "–"),
        (numbers.points(0.006), "+0.6"),
        (numbers.points(-0.0114), "−1.1"),
        (numbers.points(0.0001), "0.0"),
        (numbers.difference(-0.02, "log_loss"), "−0.020"),
        (numbers.difference(0.02, "mcc"), "+0.020"),
        (numbers.count(12345), "12,345"),
        (numbers.figure(0.93412), "0.934"),
        (numbers.figure(0), "0.000"),
        (numbers.figure(-1250000.04), "−1,250,000.0"),
        (numbers.figure(1e300), "1e+300"),
        (numbers.figure(-2.5e-6), "−2.5e−06"),
        (numbers.figure(None), "–"),
        (numbers.written(0.62, "entity_f1"), f"62.0{GAP}%"),
        (numbers.written(0.62, "ndcg_at_10"), "0.620"),
        (numbers.written(6079.1, "mse"), "6,079.1"),
        (numbers.written(-9.73e-7, "r2"), "0.000"),
        (numbers.interval(-9.73e-7, 2e-5, "r2"), "0.000 to 0.000"),
        (numbers.written(9.73e-7, "mse"), "9.73e−07"),
        (numbers.amount(-0.01, "spearman"), "0.010"),
        (numbers.amount(0.01, "answer_f1"), f"1.0{GAP}points"),
        (numbers.amount(None, "answer_f1"), ""),
        (numbers.interval(1500, 2500, "mae"), "1,500.0 to 2,500.0"),
        (numbers.count(True), "–"),
        (numbers.plural(1, "row"), f"1{GAP}row"),
        (numbers.plural(3080, "row"), f"3,080{GAP}rows"),
        (numbers.probability(0.0831), "0.083"),
        (numbers.probability(1e-9), f"<{GAP}0.001"),
        (numbers.seconds(0.417), f"0.42{GAP}s"),
        (numbers.seconds(38.21), f"38.2{GAP}s"),
        (numbers.seconds(99.97), f"1{GAP}min 40{GAP}s"),
        (numbers.seconds(192), f"3{GAP}min 12{GAP}s"),
        (numbers.seconds(8400), f"2{GAP}h 20{GAP}min"),
        (numbers.size(90_900_000), f"90.9{GAP}MB"),
        (numbers.size(12), f"12{GAP}B"),
        (numbers.magnitude(22_713_216), f"22.7{GAP}M"),
        (numbers.magnitude(0), "0"),
        (numbers.interval(0.925, 0.942, "accuracy"), "92.5 to 94.2"),
        (numbers.interval(0.1, None, "accuracy"), ""),
        (numbers.interval(-0.1, 0.25, "log_loss"), "−0.100 to 0.250"),
    ],
)
def test_numbers_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected


def test_scores_come_with_or_without_interval() -> None:
    assert numbers.measured({"value": 0.5, "low": 0.4, "high": None}) == (0.5, 0.4, None)
    assert numbers.measured(0.5) == (0.5, None, None)
    assert numbers.measured(None) == (None, None, None)


@given(st.one_of(st.none(), st.booleans(), st.text(), st.floats(), st.integers(-(10**12), 10**12)))
def test_no_value_breaks_a_way_of_writing(value: object) -> None:
    for write in (
        numbers.percent,
        numbers.decimal,
        numbers.figure,
        numbers.count,
        numbers.points,
        numbers.probability,
        numbers.seconds,
        numbers.size,
        numbers.magnitude,
    ):
        assert isinstance(write(value), str)
