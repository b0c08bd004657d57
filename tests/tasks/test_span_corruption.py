from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import make
from whet.errors import UserError
from whet.tasks.span_corruption import Spans, refuse_without, sentinels_of, spans_of

SENTINELS = list(range(1000, 1008))
SPANS = Spans(SENTINELS, begins=[0], ends=[1])


def windows(lengths: list[int]) -> Encoded:
    ids = np.arange(10, 10 + sum(lengths), dtype=np.uint32)
    return Encoded(
        ids,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.full(len(lengths), -1, np.int32),
        Cut(0, 0, 0, 0),
        weights=np.ones(len(ids), np.float32),
    )


@given(st.integers(1, 200), st.floats(0.05, 0.9), st.integers(1, 20), st.integers(0, 10_000))
def test_spans_lie_apart_and_hold_the_share(length: int, share: float, most: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).random((2, length)).astype(np.float32)
    spans = spans_of(length, drawn, share, most)
    assert 1 <= len(spans) <= most
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in zip(spans, spans[1:], strict=False))
    assert 0 <= spans[0][0] and spans[-1][1] <= length
    taken = sum(end - start for start, end in spans)
    assert taken == min(max(1, round(length * share)), max(1, length - 1))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 1000))
def test_source_and_target_give_the_window_back(lengths: list[int], seed: int) -> None:
    encoded = windows(lengths)
    batch = make(encoded, np.arange(len(encoded)), None)
    drawn = torch.from_numpy(np.random.default_rng(seed).random((2, batch.num_tokens)).astype(np.float32))
    wanted = SPANS.corrupt(batch, drawn, True)
    pairs = wanted.batch.encoded
    for number in range(len(lengths)):
        source, target = pairs.row(2 * number).tolist(), pairs.row(2 * number + 1).tolist()
        assert source[-1] == 1 and target[0] == 0 and target[-1] == 1
        said: dict[int, list[int]] = {}
        for token in target[1:-1]:
            if token in SENTINELS:
                said[token] = []
            else:
                said[list(said)[-1]].append(token)
        assert said[list(said)[-1]] == []  # the last sentinel closes the last span
        whole = [one for token in source[:-1] for one in said.get(token, [token])]
        assert whole == encoded.row(number).tolist()
    assert (wanted.batch.input_ids[0][wanted.read + 1] == wanted.ids).all()


def test_a_look_counts_the_tokens_of_the_text_alone() -> None:
    encoded = windows([20, 7])
    batch = make(encoded, np.arange(2), None)
    drawn = torch.from_numpy(np.random.default_rng(0).random((2, batch.num_tokens)).astype(np.float32))
    every, counted = SPANS.corrupt(batch, drawn, True), SPANS.corrupt(batch, drawn, False)
    assert (batch.input_ids[0][counted.said] == counted.ids).all()
    assert len(counted.ids) == 3 + 1 and len(every.ids) > len(counted.ids)
    assert not set(counted.ids.tolist()) & {*SENTINELS, 0, 1}


class Words:
    unk_token_id = 3

    def __init__(self, known: int) -> None:
        self.known = known

    def convert_tokens_to_ids(self, token: str) -> int:
        number = int(token.removeprefix("<extra_id_").removesuffix(">"))
        return 100 - number if number < self.known else self.unk_token_id


def test_sentinels_are_found_in_their_order() -> None:
    assert sentinels_of(Words(3)) == [100, 99, 98]
    with pytest.raises(UserError, match="no tokens that stand for spans"):
        refuse_without(sentinels_of(Words(0)))
