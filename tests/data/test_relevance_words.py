"""Words and BM25."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from whet.data.relevance_words import Bm25, Vocabulary, words


def test_words_of_a_text():
    assert words("The cat's 2 HATS, naïve_1") == ["the", "cat", "s", "2", "hats", "naïve_1"]
    assert words("日本語 テスト ok") == ["日", "本", "語", "テ", "ス", "ト", "ok"]
    assert words("... !?") == []


def test_counts_are_those_of_scikit_learn():
    texts = ["a b a", "c", "", "b c d d"]
    theirs = CountVectorizer(token_pattern=r"\w+").fit(texts)
    vocabulary = Vocabulary()
    mine = vocabulary.counts(texts).toarray()
    order = [vocabulary.numbers[word] for word in theirs.get_feature_names_out()]
    assert np.array_equal(mine[:, order], theirs.transform(texts).toarray())


def test_a_closed_vocabulary_leaves_new_words_out():
    vocabulary = Vocabulary()
    vocabulary.counts(["a b"])
    vocabulary.closed = True
    assert vocabulary.counts(["b x x"]).toarray().tolist() == [[0.0, 1.0]]


def by_hand(query: str, passage: str, passages: list[str]) -> float:
    """The formula as it is usually written, k1 = 1.2 and b = 0.75."""
    lengths = [len(words(one)) for one in passages]
    mean = sum(lengths) / len(lengths)
    total = 0.0
    counts = Counter(words(passage))
    for word in words(query):
        having = sum(word in words(one) for one in passages)
        if not having:
            continue
        idf = math.log(1 + (len(passages) - having + 0.5) / (having + 0.5))
        f = counts[word]
        total += idf * f * 2.2 / (f + 1.2 * (1 - 0.75 + 0.75 * len(words(passage)) / mean))
    return total


PASSAGES = ["the cat sat", "the dog sat on the mat the end", "a cat and a dog", "nothing here"]


def test_bm25_by_hand():
    found = Bm25.of(PASSAGES)
    queries = ["cat dog", "the the", "unicorn", ""]
    expected = [[by_hand(query, passage, PASSAGES) for passage in PASSAGES] for query in queries]
    assert found.scores(queries) == pytest.approx(np.asarray(expected, np.float32), rel=1e-6)
    assert found.pairs(queries, PASSAGES) == pytest.approx([expected[n][n] for n in range(4)])


def test_pairs_may_hold_passages_that_were_not_counted():
    found = Bm25.of(PASSAGES)
    assert found.pairs(["cat dog"], ["dog dog cat unicorn"])[0] == pytest.approx(
        by_hand("cat dog", "dog dog cat unicorn", PASSAGES)
    )


@given(st.lists(st.text("ab .", max_size=6), min_size=1, max_size=5), st.text("abc ", max_size=6))
def test_bm25_of_any_texts(passages, query):
    found = Bm25.of(passages).scores([query])[0]
    assert np.isfinite(found).all() and (found >= 0).all()
    if any(map(words, passages)):
        assert found == pytest.approx([by_hand(query, one, passages) for one in passages], rel=1e-5)
