"""The next token: which may be drawn, and how often each is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.generation.sampling import Sampling, choose, cost, forbid, row_generator

SHARES = torch.tensor([0.05, 0.4, 0.1, 0.25, 0.2], dtype=torch.float64)
LOGITS = SHARES.log().float().unsqueeze(0)


def drawn(sampling: Sampling, times: int = 4000) -> np.ndarray:
    stream = np.random.default_rng(1)
    found = choose(LOGITS.expand(times, -1), sampling, [stream] * times)
    return np.bincount(found.numpy(), minlength=5) / times


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=1.0), [0.05, 0.4, 0.1, 0.25, 0.2]),
        (Sampling(temperature=0.5), [0.0025, 0.16, 0.01, 0.0625, 0.04]),
        (Sampling(temperature=1.0, top_k=2), [0, 0.4, 0, 0.25, 0]),
        (Sampling(temperature=1.0, top_p=0.6), [0, 0.4, 0, 0.25, 0]),
        (Sampling(temperature=1.0, top_p=0.7), [0, 0.4, 0, 0.25, 0.2]),
        (Sampling(temperature=1.0, top_p=0.0001), [0, 1, 0, 0, 0]),
        (Sampling(temperature=1.0, min_p=0.45), [0, 0.4, 0, 0.25, 0.2]),
        (Sampling(temperature=1.0, top_k=4, top_p=0.8, min_p=0.6), [0, 0.4, 0, 0.25, 0]),
        (Sampling(temperature=0.0, top_k=1), [0, 1, 0, 0, 0]),
    ],
)
def test_tokens_are_drawn_as_often_as_they_should(sampling: Sampling, expected: list[float]) -> None:
    shares = np.array(expected) / sum(expected)
    found = drawn(sampling)
    assert (found[shares == 0] == 0).all()
    np.testing.assert_allclose(found, shares, atol=0.035)


@given(
    # in eighths: what differs in its last digits only is equally likely
    st.lists(st.integers(-160, 160).map(lambda eighths: eighths / 8), min_size=2, max_size=12),
    st.floats(0.1, 3),
    st.integers(0, 12),
    st.floats(0.01, 1),
    st.floats(0, 0.9),
    st.integers(0, 9),
)
def test_only_what_transformers_keeps_is_drawn(
    values: list[float], temperature: float, top_k: int, top_p: float, min_p: float, seed: int
) -> None:
    from transformers import MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = torch.tensor([values])
    kept = logits.double() / temperature
    if top_k:
        kept = TopKLogitsWarper(top_k)(None, kept)
    if top_p < 1:
        kept = TopPLogitsWarper(top_p)(None, kept)
    if min_p > 0:
        kept = MinPLogitsWarper(min_p)(None, kept)
    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    token = int(choose(logits, sampling, [np.random.default_rng(seed)]))
    # of equally likely tokens all may be drawn here, and there those that happen to be ranked first
    assert float(logits[0, token]) in logits[0][kept[0] > -torch.inf].tolist()


def test_what_is_forbidden_is_never_drawn() -> None:
    logits = forbid(LOGITS.expand(3, -1).contiguous(), [[0, 2], None, [4]])
    for seed in range(50):
        streams = [np.random.default_rng(seed + row) for row in range(3)]
        found = choose(logits, Sampling(temperature=5.0), streams).tolist()
        assert found[0] in (0, 2) and found[2] == 4
    assert choose(logits, Sampling(), []).tolist() == [2, 1, 4]
    assert forbid(LOGITS, [None]) is LOGITS


def test_cost_is_the_negative_log_of_the_share() -> None:
    found = cost(LOGITS.expand(5, -1), torch.arange(5))
    torch.testing.assert_close(found, -SHARES.log(), atol=1e-6, rtol=0)


def test_a_stream_depends_on_seed_and_prompt_alone() -> None:
    prompt = np.array([5, 6, 7])
    first = row_generator(1, prompt).random(3)
    np.testing.assert_array_equal(first, row_generator(1, prompt.astype(np.int32)).random(3))
    assert (first != row_generator(2, prompt).random(3)).all()
    assert (first != row_generator(1, prompt[::-1]).random(3)).all()
