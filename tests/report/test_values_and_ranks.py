from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import rankdata

from whet.data.predictions import Lists, RankPredictions, ValuePredictions
from whet.evaluation import ranks as measured_ranks
from whet.evaluation import values as measured_values
from whet.report.rank_sections import first_ranks, recall_by_depth
from whet.report.ranked_lists import chosen, places
from whet.report.value_sections import bars_of, gaps, parts, ranks_of

some_values = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6, width=32))


@given(some_values)
def test_every_value_is_in_one_bar(values: np.ndarray) -> None:
    bars = bars_of(values)
    assert sum(count for _, _, count in bars) == len(values)
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bars))
    assert any(low == 0 or high == 0 for low, high, _ in bars)
    assert 1 <= len(bars) <= 60


def test_bars_by_hand() -> None:
    assert bars_of(np.array([-0.2, 0.0, 0.1, 0.95, 1.0]))[0] == (-0.2, -0.15, 1)
    assert {(low, high): count for low, high, count in bars_of(np.array([0.0, 3.0, 24.0]))}[(3.0, 4.0)] == 1


@given(some_values)
def test_places_are_shares_of_the_ranks(values: np.ndarray) -> None:
    np.testing.assert_allclose(ranks_of(values), (rankdata(values) - 0.5) / len(values))


@pytest.mark.parametrize("purpose", ["similarity", "regression"])
def test_gaps_are_the_mistakes_of_the_scores(purpose: str) -> None:
    random = np.random.default_rng(1)
    gold, said = random.integers(0, 6, 50).astype(float), random.normal(size=50)
    ids = np.arange(50)
    predictions = ValuePredictions("m", "test", ids, ids.astype(np.uint64), gold, said, purpose)  # type: ignore[arg-type]
    np.testing.assert_allclose(np.abs(gaps(predictions)), measured_values.mistakes(predictions))


@given(some_values)
def test_parts_hold_every_row_once_and_keep_equal_truths_together(true: np.ndarray) -> None:
    found = parts(true, true * 2)
    assert sum(part[4] for part in found) == len(true)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))
    for low, high, mean, said, _ in found:
        inside = true[(true >= low) & (true <= high)]
        assert mean == pytest.approx(inside.mean()) and said == pytest.approx(2 * inside.mean())


def lists(seed: int) -> RankPredictions:
    random = np.random.default_rng(seed)
    gold = [[(key, float(random.integers(0, 3))) for key in range(6)] for _ in range(8)] + [[(1, 0.0)]]
    said = [[(int(key), float(-rank)) for rank, key in enumerate(random.permutation(12))] for _ in gold]
    ids = np.arange(len(gold))
    return RankPredictions("m", "test", ids, ids.astype(np.uint64), Lists.of(gold), Lists.of(said))


@pytest.mark.parametrize("seed", range(4))
def test_recall_by_depth_agrees_with_the_scores(seed: int) -> None:
    predictions = lists(seed)
    rows = measured_ranks.row_metrics(predictions)
    found = recall_by_depth(places(predictions))
    assert dict(found["Recall"])[1] == pytest.approx(rows["recall_at_1"].mean())
    assert dict(found["Recall"])[10] == pytest.approx(rows["recall_at_10"].mean())
    assert [share for _, share in found["Recall"]] == sorted(share for _, share in found["Recall"])
    assert all(some >= share for (_, share), (_, some) in zip(*found.values(), strict=True))


def test_places_by_hand() -> None:
    gold = Lists.of([[(7, 1.0), (8, 2.0)], [(9, 1.0)], [(5, 0.0)]])
    said = Lists.of([[(1, 0.9), (8, 0.5), (7, 0.1)], [(1, 1.0), (2, 0.0)], [(5, 1.0)]])
    ids = np.arange(3)
    where = places(RankPredictions("m", "test", ids, ids.astype(np.uint64), gold, said))
    assert where.first.tolist() == [2, 0, 0]
    assert where.num_relevant.tolist() == [2, 1, 0]
    assert where.found == [[2, 3], [], []]
    assert first_ranks(where) == [("1", 0), ("2", 1), ("none", 1)]


def test_the_worst_queries_come_first_and_those_without_truth_never() -> None:
    gold = Lists.of([[(0, 1.0)], [(9, 1.0)], [(1, 1.0)], [(2, 1.0)], [(3, 0.0)]])
    said = Lists.of([[(0, 3.0), (1, 2.0), (2, 1.0)]] * 5)
    ids = np.arange(5)
    predictions = RankPredictions("m", "test", ids, ids.astype(np.uint64), gold, said)
    worst, middle = chosen(predictions, places(predictions))
    assert worst == [1, 3, 2]
    assert middle == [0]
