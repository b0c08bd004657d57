from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tasks.made_questions import columns_of, examples_of, made_tokenizer
from whet.batches.encoding import Encoded
from whet.tasks import span_search
from whet.tasks.question_windows import encode
from whet.tasks.span_search import search

SENTENCE = "where is my card the order has not arrived yet please help i want a refund for this item"
WORDS = SENTENCE.split()


def windows(counts: list[int], limit: int = 16, stride: int = 4) -> Encoded:
    """Questions on contexts of so many words, all different."""
    rows = [("where is it", " ".join(WORDS[:count]), []) for count in counts]
    return encode(made_tokenizer("words"), columns_of(examples_of(rows)), limit, stride)


def by_hand(outputs: np.ndarray, encoded: Encoded, row: int, longest: int) -> dict[tuple[int, int], list[float]]:
    """Score of every span in every window, by its characters."""
    found: dict[tuple[int, int], list[float]] = {}
    for number in np.flatnonzero(np.asarray(encoded.rows) == row):
        start, end = encoded.offsets[number : number + 2]
        none = float(outputs[start].sum())
        for i in range(start, end):
            for j in range(i, min(i + longest, end)):
                (a, _), (_, b) = encoded.places[i].tolist(), encoded.places[j].tolist()
                if a >= 0 and b >= 0:
                    found.setdefault((a, b), []).append(float(outputs[i, 0] + outputs[j, 1]) - none)
    return found


@given(st.lists(st.integers(0, 19), min_size=1, max_size=4), st.integers(1, 25), st.integers(0, 9), st.integers(0, 99))
def test_the_best_spans_are_those_that_a_plain_search_finds(counts, longest, stride, seed):
    encoded = windows(counts, 16, stride)
    outputs = np.random.default_rng(seed).normal(0, 2, (encoded.num_tokens, 2)).astype(np.float32)
    found = search(outputs, encoded, len(counts), longest, 4)
    for row in range(len(counts)):
        expected = by_hand(outputs, encoded, row, longest)
        assert len({one[:2] for one in found.spans[row]}) == len(found.spans[row]) == min(4, len(expected))
        single = {span: scores[0] for span, scores in expected.items() if len(scores) == 1}
        for start, end, score in found.spans[row]:
            assert min(abs(score - one) for one in expected[start, end]) < 1e-4
        if len(single) == len(expected):
            best = sorted(single.values(), reverse=True)[:4]
            np.testing.assert_allclose([score for _, _, score in found.spans[row]], best, rtol=1e-4, atol=1e-4)
            if best:
                assert found.total[row] == pytest.approx(
                    np.log(np.exp(list(single.values())).sum()), rel=1e-5, abs=1e-5
                )
            else:
                assert found.total[row] == -np.inf


@given(st.integers(1, 19), st.integers(0, 9), st.integers(1, 25))
def test_every_span_counts_once(count, stride, longest):
    """Scores of 0 everywhere: the sum is the number of different spans."""
    encoded = windows([count], 16, stride)
    found = search(np.zeros((encoded.num_tokens, 2), np.float32), encoded, 1, longest, 1)
    assert np.exp(found.total[0]) == pytest.approx(len(by_hand(np.zeros((encoded.num_tokens, 2)), encoded, 0, longest)))


def test_a_span_counts_where_it_stands_further_from_the_edge():
    encoded = windows([12], 16, 4)  # windows of the words 0 to 9 and 6 to 11
    assert len(encoded) == 2
    outputs = np.zeros((encoded.num_tokens, 2), np.float32)
    places = [" ".join(WORDS).index(word) for word in WORDS[:12]]

    def raised(window: int, word: int, value: float) -> None:
        start = encoded.offsets[window]
        [token] = np.flatnonzero(encoded.places[start : encoded.offsets[window + 1], 0] == places[word])
        outputs[start + token] = value

    for word, ours in ((6, 0), (9, 1)):
        outputs[:] = 0
        raised(ours, word, 5.0)
        raised(1 - ours, word, 50.0)
        [(start, _, score)] = search(outputs, encoded, 1, 1, 1).spans[0]
        assert (start, score) == (places[word], 10.0)


def test_the_first_token_is_the_measure_of_each_window():
    encoded = windows([12], 16, 4)
    outputs = np.zeros((encoded.num_tokens, 2), np.float32)
    before = search(outputs, encoded, 1, 3, 3)
    outputs[encoded.offsets[1] : encoded.offsets[2]] += 7.0
    after = search(outputs, encoded, 1, 3, 3)
    assert before.total == pytest.approx(after.total)
    outputs[encoded.offsets[1]] += 100.0
    silenced = search(outputs, encoded, 1, 3, 5)
    [ends] = [[end for _, end, _ in spans] for spans in silenced.spans]
    assert max(ends) <= encoded.places[encoded.offsets[1] - 2, 1], "nothing of the window that says there is none"


def test_no_span_goes_beyond_its_limit_or_its_context():
    encoded = windows([10])
    outputs = np.zeros((encoded.num_tokens, 2), np.float32)
    outputs[:4] = 100.0  # the question
    outputs[0] = 0.0
    first, last = np.flatnonzero(encoded.places[:, 0] >= 0)[[0, -1]]
    outputs[first, 0] = outputs[last, 1] = 10.0
    found = search(outputs, encoded, 1, 4, 1).spans[0]
    assert found[0][2] == 10.0, "the two ends are too far from each other to go together"


@pytest.mark.parametrize("at_once", [1, 60, 400])
def test_how_many_scores_are_held_at_once_does_not_matter(monkeypatch, at_once):
    encoded = windows([19, 3, 0, 12, 7, 19])
    outputs = np.random.default_rng(1).normal(0, 2, (encoded.num_tokens, 2)).astype(np.float32)
    expected = search(outputs, encoded, 6, 5, 3)
    monkeypatch.setattr(span_search, "MOST_SCORES", at_once)
    found = search(outputs, encoded, 6, 5, 3)
    assert found.spans == expected.spans
    np.testing.assert_allclose(found.total, expected.total)
    assert found.spans[2] == [] and found.total[2] == -np.inf


def test_spans_of_the_same_characters_are_one():
    encoded = encode(made_tokenizer("bytes"), columns_of(examples_of([("why", "🏛", [])])), 32, 4)
    found = search(np.zeros((encoded.num_tokens, 2), np.float32), encoded, 1, 5, 3)
    assert [(start, end) for start, end, _ in found.spans[0]] == [(0, 1)]
