"""Losses over pairs of a batch's texts against their plain formulas, and that they teach."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from whet.objectives.contrast import LOSSES, cosine_pairs, supervised

CLASSES = torch.tensor([0, 0, 1, 1, 1, 2, 3])


@pytest.fixture
def vectors() -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(7, 5, dtype=torch.float64, generator=draw), dim=1).requires_grad_()


def test_supervised_is_the_published_formula(vectors: Tensor):
    found = []
    for i in range(7):
        own = [j for j in range(7) if j != i and CLASSES[j] == CLASSES[i]]
        if own:
            others = sum(torch.exp(vectors[i] @ vectors[k] / 0.1) for k in range(7) if k != i)
            found.append(-sum(torch.log(torch.exp(vectors[i] @ vectors[j] / 0.1) / others) for j in own) / len(own))
    torch.testing.assert_close(supervised(vectors, CLASSES, 0.1), 7 * sum(found) / len(found))


def test_cosine_counts_both_kinds_of_pairs_alike(vectors: Tensor):
    pairs = [(i, j) for i in range(7) for j in range(i)]
    same = [(vectors[i] @ vectors[j] - 1) ** 2 for i, j in pairs if CLASSES[i] == CLASSES[j]]
    other = [(vectors[i] @ vectors[j]) ** 2 for i, j in pairs if CLASSES[i] != CLASSES[j]]
    wanted = 7 * (sum(same) / len(same) + sum(other) / len(other)) / 2
    torch.testing.assert_close(cosine_pairs(vectors, CLASSES, 1.0), wanted)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [[0, 0, 0], [0, 1, 2], [0]])
def test_batches_without_one_kind_of_pair_have_a_loss(loss: str, classes: list[int]):
    vectors = F.normalize(torch.arange(1.0, 4.0 * len(classes) + 1).reshape(-1, 4).cos(), dim=1).requires_grad_()
    found = LOSSES[loss](vectors, torch.tensor(classes), 0.1)
    found.backward()
    assert torch.isfinite(found)
    assert vectors.grad is not None
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_following_a_loss_brings_classes_together(loss: str, vectors: Tensor):
    free = vectors.detach().clone().requires_grad_()
    optimiser = torch.optim.Adam([free], lr=0.05)
    for _ in range(100):
        optimiser.zero_grad()
        LOSSES[loss](F.normalize(free, dim=1), CLASSES, 0.2).backward()
        optimiser.step()
    cosines = F.normalize(free, dim=1) @ F.normalize(free, dim=1).T
    same = CLASSES[:, None] == CLASSES[None, :]
    assert cosines[same].min() > cosines[~same].max() + 0.2
