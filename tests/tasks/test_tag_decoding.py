from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from whet.data.entity_arrays import Words
from whet.data.ragged import Spans
from whet.tasks import tag_decoding
from whet.tasks.tag_decoding import best_tags, decode, quick_f1


def words_of(lengths: list[int]) -> Words:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = np.asarray([2 * n for length in lengths for n in range(length)], np.int32)
    return Words(offsets, starts, starts + 1)


def logs_of(table: NDArray[np.float64] | list[list[float]]) -> NDArray[np.float32]:
    chances = np.asarray(table, np.float64)
    return np.log(chances / chances.sum(axis=1, keepdims=True)).astype(np.float32)


def is_whole(tags: tuple[int, ...]) -> bool:
    return all(not tag or tag % 2 or (place and tags[place - 1] in (tag, tag - 1)) for place, tag in enumerate(tags))


def best_by_trying(logs: NDArray[np.float32]) -> float:
    tried = product(range(logs.shape[1]), repeat=len(logs))
    return max(sum(float(logs[n, tag]) for n, tag in enumerate(tags)) for tags in tried if is_whole(tags))


@st.composite
def problems(draw: st.DrawFn) -> tuple[list[int], NDArray[np.float32]]:
    lengths = draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    width = draw(st.sampled_from([3, 5]))
    values = arrays(np.float32, (sum(lengths), width), elements=st.floats(-8, 0, width=32))
    return lengths, draw(values)


@settings(deadline=None)
@given(problems())
def test_the_tags_are_the_likeliest_without_a_break(given: tuple[list[int], NDArray[np.float32]]) -> None:
    lengths, logs = given
    offsets = words_of(lengths).offsets
    tags = best_tags(offsets, logs)
    for begin, end in pairwise(offsets):
        row = tuple(tags[begin:end].tolist())
        assert is_whole(row)
        score = sum(float(logs[begin + n, tag]) for n, tag in enumerate(row))
        assert score == pytest.approx(best_by_trying(logs[begin:end]), abs=1e-4)


def test_many_rows_are_searched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    lengths = draw.integers(0, 30, 200).tolist()
    logs = draw.normal(size=(sum(lengths), 7)).astype(np.float32)
    words = words_of(lengths)
    whole = best_tags(words.offsets, logs)
    monkeypatch.setattr(tag_decoding, "CELLS", 100)
    np.testing.assert_array_equal(best_tags(words.offsets, logs), whole)
    rows = [best_tags(np.asarray([0, b - a]), logs[a:b]) for a, b in pairwise(words.offsets)]
    np.testing.assert_array_equal(np.concatenate(rows), whole)


def test_an_entity_cannot_go_on_from_another_row() -> None:
    logs = logs_of([[0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    assert best_tags(np.asarray([0, 2]), logs).tolist() == [1, 2]
    assert best_tags(np.asarray([0, 1, 2]), logs).tolist() == [1, 0]


def test_confidence_is_that_of_the_least_certain_part() -> None:
    table = [
        [0.10, 0.80, 0.10, 0.0, 0.0],  # first word: B or I of the type, 0.9
        [0.20, 0.10, 0.70, 0.0, 0.0],
        [0.60, 0.00, 0.40, 0.0, 0.0],  # it ends here: 0.6
        [0.30, 0.00, 0.00, 0.7, 0.0],
    ]
    found = decode(words_of([4]), logs_of(np.asarray(table) + 1e-9))
    assert found.said.row(0) == [(0, 3, 0), (6, 7, 1)]
    assert found.confidence.tolist() == pytest.approx([0.6, 0.7], abs=1e-5)
    alone = decode(words_of([2, 2]), logs_of(np.asarray(table) + 1e-9))
    assert alone.confidence.tolist()[0] == pytest.approx(0.7, abs=1e-5), "nothing follows at the end of a row"


def test_beside_another_of_its_type_an_entity_must_begin() -> None:
    table = [[0.05, 0.90, 0.05], [0.05, 0.55, 0.40]]
    found = decode(words_of([2]), logs_of(table))
    assert found.said.row(0) == [(0, 1, 0), (2, 3, 0)]
    assert found.confidence.tolist() == pytest.approx([0.6, 0.55], abs=1e-5)


def test_nothing_to_say() -> None:
    found = decode(words_of([0, 2]), logs_of([[0.8, 0.1, 0.1]] * 2))
    assert len(found.said) == 2
    assert len(found.said.starts) == len(found.confidence) == 0
    assert len(decode(words_of([0]), np.zeros((0, 3), np.float32)).said) == 1


def test_the_quick_score_counts_whole_entities() -> None:
    gold = Spans.of([[(0, 3, 0), (4, 6, 1)], []])
    assert quick_f1(gold, gold) == 1.0
    assert quick_f1(Spans.of([[(0, 3, 1), (4, 6, 1)], [(0, 3, 0)]]), gold) == pytest.approx(2 / 5)
    assert quick_f1(Spans.of([[], []]), gold) == 0.0
    assert quick_f1(Spans.of([[]]), Spans.of([[]])) == 1.0
