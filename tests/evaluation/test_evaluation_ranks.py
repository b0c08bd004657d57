from __future__ import annotations

from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whet.data.predictions import Lists
from whet.errors import UserError
from whet.evaluation import ranks as kind
from whet.evaluation.kinds import sums, values_of
from whet.evaluation.rows import checked, same_rows

from .made_kinds import ranks


def test_values_computed_by_hand():
    gold = [[(1, 2.0), (2, 1.0), (3, 0.0)], [(9, 1.0)]]
    said = [[(3, 0.9), (2, 0.8), (1, 0.7)], [(8, 0.5), (7, 0.4)]]
    found = values_of(ranks(gold, said))
    gain, ideal = 1 / log2(3) + 2 / log2(4), 2 / log2(2) + 1 / log2(3)
    assert found["ndcg_at_10"] == pytest.approx((gain / ideal + 0) / 2)
    assert found["mrr_at_10"] == pytest.approx((1 / 2 + 0) / 2)
    assert found["recall_at_1"] == 0.0
    assert found["recall_at_10"] == pytest.approx((1 + 0) / 2)
    assert found["map_at_100"] == pytest.approx(((1 / 2 + 2 / 3) / 2 + 0) / 2)


def by_definition(gold: dict[int, float], said: list[int]) -> dict[str, float]:
    """One query, place by place."""
    relevant = [key for key, value in gold.items() if value > 0]
    best = sorted(gold.values(), reverse=True)[:10]
    ideal = sum(value / log2(place + 2) for place, value in enumerate(best))
    gain = sum(gold.get(key, 0.0) / log2(place + 2) for place, key in enumerate(said[:10]))
    first = next((1 / (place + 1) for place, key in enumerate(said[:10]) if key in relevant), 0.0)
    hits, precision = 0, 0.0
    for place, key in enumerate(said[:100]):
        if key in relevant:
            hits += 1
            precision += hits / (place + 1)
    many = len(relevant) or 1
    return {
        "ndcg_at_10": gain / ideal if ideal else 0.0,
        "mrr_at_10": first,
        "recall_at_1": len(set(said[:1]) & set(relevant)) / many,
        "recall_at_10": len(set(said[:10]) & set(relevant)) / many,
        "map_at_100": precision / many,
    }


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 6), st.integers(1, 130), st.integers(0, 10**6))
def test_the_definition_place_by_place_gives_the_same(n, deep, seed):
    rng = np.random.default_rng(seed)
    gold, said = [], []
    for _ in range(n):
        judged = rng.choice(200, size=rng.integers(1, 25), replace=False)
        gold.append({int(key): float(rng.integers(0, 4)) for key in judged})
        said.append([int(key) for key in rng.choice(200, size=rng.integers(0, deep + 1), replace=False)])
    one = ranks(
        [list(row.items()) for row in gold], [[(key, -float(at)) for at, key in enumerate(row)] for row in said]
    )
    expected = [by_definition(*row) for row in zip(gold, said, strict=True)]
    found = values_of(one)
    part = sums(one)
    for name in kind.METRICS:
        assert found[name] == pytest.approx(np.mean([row[name] for row in expected])), name
        assert part.metrics([name], part.total)[name][0] == pytest.approx(found[name])
        assert 0 <= found[name] <= 1


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_says_the_same_of_ndcg(seed):
    from sklearn.metrics import ndcg_score

    rng = np.random.default_rng(seed)
    relevance = rng.integers(0, 4, size=(20, 40)).astype(float)
    scores = rng.permuted(np.tile(np.arange(40.0), (20, 1)), axis=1)
    one = ranks([list(enumerate(row)) for row in relevance], [list(enumerate(row)) for row in scores])
    assert values_of(one)["ndcg_at_10"] == pytest.approx(ndcg_score(relevance, scores, k=10))


def test_a_query_without_a_relevant_passage_counts_nothing_and_is_told():
    one = ranks([[(1, 0.0)], [], [(1, 1.0)]], [[(1, 1.0)], [(2, 1.0)], [(1, 1.0)]])
    assert values_of(one)["ndcg_at_10"] == pytest.approx(1 / 3)
    assert kind.details(one) == {
        "queries": 3, "without_relevant": 2, "relevant_per_query": 1 / 3, "first_is_relevant": 1,
    }  # fmt: skip


def test_what_cannot_be_evaluated():
    gold = [[(1, 1.0), (2, 0.0)]]
    for said in ([[(1, float("nan"))]], [[(1, 0.5), (1, 0.4)]]):
        with pytest.raises(UserError, match=r"V105|V112"):
            checked(ranks(gold, said))
    for wrong in ([[(1, -1.0)]], [[(1, 1.0), (1, 2.0)]]):
        with pytest.raises(UserError, match=r"V105|V112"):
            checked(ranks(wrong, [[(1, 0.5)]]))
    from dataclasses import replace

    one = ranks(gold, [[(1, 0.5)]])
    with pytest.raises(UserError, match="best first"):
        checked(replace(one, said=Lists.of([[(1, 0.4), (2, 0.5)]])))
    with pytest.raises(UserError, match="V107"):
        same_rows(one, ranks([[(1, 2.0), (2, 0.0)]], [[(1, 0.5)]], model="probe"))
    with pytest.raises(UserError, match="V107"):
        same_rows(one, ranks([[(1, 1.0)]], [[(1, 0.5)]], model="probe"))
    assert len(same_rows(one, ranks([[(2, 0.0), (1, 1.0)]], [[(2, 0.5)]], model="probe"))) == 2
