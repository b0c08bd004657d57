"""Queries, passages, and the order in which they are found."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from whet.data.forms import Examples, Shape
from whet.data.normal import hashes, raw_hashes
from whet.data.relevance import (
    best_places,
    ndcg,
    passages_by_key,
    pool_of,
    rank_predictions,
    ranked,
    relevance_of,
)

SHAPE = Shape((("text_pair", pa.string()), ("score", pa.float64())))


def judged(rows: list[tuple[str, str, float]], split: str = "test") -> Examples:
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("text", "text_pair", "score"))}
    return Examples.of(columns, SHAPE, split)


ROWS = [("b", "p", 1.0), ("a", "q", 0.0), ("b", "r", 2.0), ("a", "p", 0.0), ("c", "r", 3.0), ("b", "p", 1.0)]


def key(text: str) -> int:
    return int(raw_hashes([text])[0])


def test_rows_of_one_query_are_one_query():
    pool = pool_of(judged(ROWS))
    assert pool.queries.tolist() == [0, 1, 4]
    assert pool.query_keys.tolist() == [key("b"), key("a"), key("c")]
    assert sorted(pool.passage_keys.tolist()) == pool.passage_keys.tolist()
    assert set(pool.passage_keys.tolist()) == {key("p"), key("q"), key("r")}
    assert pool.query_of.tolist() == [0, 1, 0, 1, 2, 0]
    assert [int(pool.passage_keys[place]) for place in pool.passage_of] == [key(p) for _, p, _ in ROWS]
    assert [dict(pool.judged.row(query)) for query in range(3)] == [
        {key("p"): 1.0, key("r"): 2.0},
        {key("q"): 0.0, key("p"): 0.0},
        {key("r"): 3.0},
    ]
    assert pool.has_relevant.tolist() == [True, False, True]


def test_rows_without_a_score_belong_together():
    examples = Examples.of({"text": ["a", "b"], "text_pair": ["p", "q"]}, Shape((("text_pair", pa.string()),)))
    assert relevance_of(examples).tolist() == [1.0, 1.0]


def test_texts_are_one_only_if_every_character_is():
    pool = pool_of(judged([("order 12", "a", 1.0), ("order 13", "A", 1.0), ("Order 12", "a ", 1.0)]))
    assert len(pool.queries) == 3 and len(pool.passages) == 3


def test_passages_are_shown_by_their_keys():
    examples = judged(ROWS)
    rows = passages_by_key(examples)
    assert {examples.rows([row], "text_pair")[0] for row in rows.values()} == {"p", "q", "r"}
    assert examples.rows([rows[key("q")]], "text_pair") == ["q"]


def test_queries_without_a_relevant_passage_are_not_measured_but_their_passages_can_be_found():
    examples = judged(ROWS)
    pool = pool_of(examples)
    table = {("b", "q"): 3.0, ("b", "p"): 2.0, ("b", "r"): 1.0, ("c", "r"): 1.0}

    def scores(some: np.ndarray) -> np.ndarray:
        texts, passages = examples.texts(pool.queries[some]), examples.rows(pool.passages, "text_pair")
        return np.asarray([[table.get((query, passage), 0.0) for passage in passages] for query in texts], np.float32)

    found = rank_predictions("m", examples, pool, scores)
    assert found.ids.tolist() == [0, 4]
    assert found.hashes.tolist() == hashes(["b", "c"]).tolist()
    assert [passage for passage, _ in found.said.row(0)] == [key("q"), key("p"), key("r")]
    assert dict(found.gold.row(0)) == {key("p"): 1.0, key("r"): 2.0}
    ideal = 2.0 + 1.0 / math.log2(3)
    first = (1.0 / math.log2(3) + 2.0 / math.log2(4)) / ideal
    assert ndcg(found) == pytest.approx((first + 1.0) / 2)
    assert ndcg(found, depth=1) == pytest.approx((0.0 + 1.0) / 2)


def test_equal_scores_are_in_the_order_of_hashes():
    pool = pool_of(judged([(f"q{n}", f"p{n}", 1.0) for n in range(150)]))
    found = ranked(pool, np.arange(150), lambda some: np.zeros((len(some), 150), np.float32))
    assert found.offsets.tolist() == list(range(0, 150 * 100 + 1, 100))
    assert found.row(7) == [(int(one), 0.0) for one in pool.passage_keys[:100]]


def test_a_query_does_not_find_its_own_text_unless_that_was_judged():
    rows = [("a", "p", 1.0), ("b", "a", 1.0), ("p", "p", 1.0)]
    pool = pool_of(judged(rows))
    found = ranked(pool, np.arange(3), lambda some: np.ones((len(some), 2), np.float32))
    said = [{passage for passage, _ in found.row(query)} for query in range(3)]
    assert said == [{key("p")}, {key("p"), key("a")}, {key("p"), key("a")}]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(1, 12), st.booleans())
def test_best_places_are_a_stable_sort(values, number, some_hidden):
    scores = np.asarray(values, dtype=np.float32)
    without = len(values) // 2 if some_hidden else None
    expected = sorted((place for place in range(len(values)) if place != without), key=lambda place: -values[place])
    assert best_places(scores, number, without).tolist() == expected[:number]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=32)), min_size=2, max_size=25, unique_by=lambda t: t[1])
)
def test_ndcg_is_that_of_scikit_learn(rows):
    relevance, scores = (np.asarray(part, dtype=np.float64) for part in zip(*rows, strict=True))
    if not relevance.any():
        relevance[0] = 1.0
    examples = judged([("query", f"passage {n}", float(value)) for n, value in enumerate(relevance)])
    pool = pool_of(examples)
    found = rank_predictions("m", examples, pool, lambda some: scores[pool.passages].astype(np.float32)[None])
    assert ndcg(found) == pytest.approx(ndcg_score([relevance], [scores], k=10))


def test_groups_of_the_first_row_are_kept():
    shape = SHAPE.having("group", pa.string())
    columns = {
        "text": ["a", "a", "b"],
        "text_pair": ["p", "q", "r"],
        "score": [1.0, 0.0, 1.0],
        "group": ["x", "x", "y"],
    }
    examples = Examples.of(columns, shape, "test")
    pool = pool_of(examples)
    found = rank_predictions("m", examples, pool, lambda some: np.zeros((len(some), 3), np.float32))
    assert found.groups.tolist() == examples.groups[[0, 2]].tolist()
