"""Likelihoods of closed answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.generation.made_language_models import POSITIONS, SHAPES, network, prompts
from whet.errors import UserError
from whet.generation.closed import label_nats

LABELS = [np.array(one) for one in ([7], [8, 9], [7, 10, 11, 3], [30, 31])]


def one_by_one(family: str, prompt: np.ndarray, label: np.ndarray) -> float:
    whole = torch.tensor([[*prompt.tolist(), *label.tolist()]])
    with torch.no_grad():
        logits = network(family)(whole).logits[0].double().log_softmax(-1)
    return -float(logits[len(prompt) - 1 : -1].gather(1, torch.tensor(label)[:, None]).sum())


@pytest.mark.parametrize("batch_tokens", [1, 60, 8192])
@pytest.mark.parametrize("family", SHAPES)
def test_nats_are_those_of_one_pass_over_the_whole(family: str, batch_tokens: int) -> None:
    given = prompts(5, shared=9)
    found = label_nats(network(family), given, LABELS, batch_tokens=batch_tokens)
    expected = [[one_by_one(family, prompt, label) for label in LABELS] for prompt in given]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_shares_of_all_single_tokens_sum_to_one() -> None:
    every = [np.array([number]) for number in range(61)]
    found = label_nats(network("llama"), prompts(3), every)
    np.testing.assert_allclose(np.exp(-found).sum(1), 1.0, atol=1e-6)


def test_progress_is_told() -> None:
    told: list[int] = []
    label_nats(network("llama"), prompts(5), LABELS, batch_tokens=1, progress=told.append)
    assert told == [1, 2, 3, 4, 5]


def test_labels_need_tokens_and_room() -> None:
    with pytest.raises(UserError, match="C012"):
        label_nats(network("llama"), prompts(2), [np.array([], np.int64)])
    almost = np.full(POSITIONS - 4, 5)
    assert label_nats(network("gpt2"), [almost], LABELS).shape == (1, 4)
    with pytest.raises(UserError, match="C010"):
        label_nats(network("gpt2"), [np.append(almost, 5)], LABELS)
    assert label_nats(network("llama"), prompts(2), []).shape == (2, 0)
