"""R-Drop: two passes, their mean loss and how much they differ; of classes, labels, tags and words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.batches import flat
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import FlatBatch, Targets
from whet.objectives.classes import Weighing
from whet.objectives.two_passes import TwoPasses, class_divergence, label_divergence
from whet.tasks.language_loss import LanguageLoss, next_tokens
from whet.tasks.text_classification import ClassificationLoss
from whet.tasks.token_classification import UNCOUNTED, TaggingLoss

LENGTHS, V, H, C = (3, 5, 2), 11, 6, 4
WEIGHTS = (1.0, 2.0, 0.5, 1.5)


def batch(targets: Tensor | None, per_token: bool = False) -> FlatBatch:
    offsets = np.concatenate([[0], np.cumsum(LENGTHS)]).astype(np.int64)
    ids = np.arange(offsets[-1], dtype=np.uint32) % V
    weights = np.asarray([0, 1, 1, 0, 1, 0.5, 2, 1, 0, 1], np.float32)
    encoded = Encoded(ids, offsets, np.full(3, -1, np.int32), Cut(9, 0, 0, 10), weights=weights)
    return flat.make(encoded, np.arange(3), None if targets is None else Targets(targets, per_token))


class Noisy(nn.Module):
    """Texts or tokens to numbers, under dropout."""

    guesses, logit_cap, shares_beginnings, whole_logits = "next", None, False, False

    def __init__(self, per_token: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.per_token = per_token
        self.table, self.linear_head, self.drop = nn.Embedding(V, H), nn.Linear(H, C), nn.Dropout(0.5)

    @property
    def logit_bias(self) -> Tensor:
        return self.linear_head.bias

    def features(self, some: FlatBatch) -> Tensor:
        found: Tensor = self.drop(self.table(some.input_ids[0]))
        if self.per_token:
            return found
        return torch.stack([part.mean(0) for part in found.split(some.where.lengths.tolist())])

    def forward(self, some: FlatBatch) -> Tensor:
        found: Tensor = self.linear_head(self.features(some))
        return found


SINGLE = torch.tensor([2, 0, 3])
SEVERAL = torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]])
TAGS = torch.tensor([0, UNCOUNTED, 1, 2, 2, UNCOUNTED, 3, 0, 0, 1])


def plain_classes(one: Tensor, other: Tensor) -> Tensor:
    p, q = one.double().log_softmax(1), other.double().log_softmax(1)
    both = F.kl_div(p, q, reduction="none", log_target=True) + F.kl_div(q, p, reduction="none", log_target=True)
    return both.sum(1) / 2


def test_divergences_against_torch():
    random = torch.Generator().manual_seed(0)
    one, other = torch.randn(7, C, generator=random), torch.randn(7, C, generator=random)
    assert torch.allclose(class_divergence(one, other).double(), plain_classes(one, other), atol=1e-6)
    # a label that is there or not is a class of two
    pairs = [torch.stack([x, torch.zeros_like(x)], 2).reshape(-1, 2) for x in (one, other)]
    wanted = plain_classes(*pairs).reshape(7, C).sum(1)
    assert torch.allclose(label_divergence(one, other).double(), wanted, atol=1e-6)


@pytest.mark.parametrize(
    ("objective", "truth", "per_token"),
    [
        (ClassificationLoss(0.1), SINGLE, False),
        (ClassificationLoss(0.0, Weighing(WEIGHTS, 1.0)), SINGLE, False),
        (ClassificationLoss(0.1), SEVERAL, False),
        (TaggingLoss(), TAGS, True),
        (TaggingLoss(0.1, Weighing(WEIGHTS)), TAGS, True),
    ],
    ids=["classes", "classes weighed", "labels", "tags", "tags weighed"],
)
def test_the_sum_and_its_gradient(objective: Any, truth: Tensor, per_token: bool):
    """Against two passes written out with the same dropout."""
    some, strength = batch(truth, per_token), 0.7
    model = Noisy(per_token)
    torch.manual_seed(5)
    found = TwoPasses(objective, strength)(model, some)
    found.total.backward()
    ours = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()

    torch.manual_seed(5)
    one, other = model(some), model(some)
    assert not torch.equal(one, other)
    known = (some, truth)
    first, second = objective.loss(model, known, one), objective.loss(model, known, other)
    counted = truth != UNCOUNTED if per_token else torch.ones(len(truth), dtype=torch.bool)
    if truth.ndim == 2:
        apart = label_divergence(one, other).sum()
    else:
        apart = (plain_classes(one, other)[counted] * objective.weighing.counts(truth[counted])).sum()
    total = (first.total + second.total) / 2 + strength * apart
    assert float(found.total.detach()) == pytest.approx(float(total.detach()), rel=1e-5)
    assert found.num_counted == first.num_counted == second.num_counted
    total.float().backward()
    theirs = [p.grad for p in model.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_words_of_a_language_model():
    some, model = batch(None), Noisy(True)
    model.linear_head = nn.Linear(H, V)
    torch.manual_seed(5)
    found = TwoPasses(LanguageLoss(next_tokens), 0.5)(model, some)
    torch.manual_seed(5)
    wanted = next_tokens(some)
    one, other = (model.linear_head(model.features(some)[wanted.read]) for _ in range(2))
    losses = [(F.cross_entropy(x, wanted.ids, reduction="none") * wanted.weights).sum() for x in (one, other)]
    apart = (plain_classes(one, other) * wanted.weights).sum()
    assert float(found.total.detach()) == pytest.approx(float((sum(losses) / 2 + 0.5 * apart).detach()), rel=1e-5)
    assert found.num_counted == float(wanted.weights.sum())


def test_without_dropout_both_passes_are_one():
    model = Noisy(False).eval()
    some = batch(SINGLE)
    twice, once = TwoPasses(ClassificationLoss(0.1), 3.0)(model, some), ClassificationLoss(0.1)(model, some)
    assert torch.equal(twice.total, once.total)
