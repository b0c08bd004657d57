"""Losses over classes that weigh differently, against sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whet.objectives.classes import EVEN, Weighing, positive_weights, sampling_shares, weights_of

LOGITS = torch.randn(9, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
SINGLE = torch.tensor([0, 1, 2, 3, 3, 2, 1, 0, 0])
SEVERAL = (torch.rand(9, 4, generator=torch.Generator().manual_seed(1)) < 0.4).double()
WEIGHTS = (0.5, 2.0, 1.0, 3.5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("focal", [0.0, 0.5, 2.0])
def test_one_class_a_row(smoothing: float, focal: float):
    found = Weighing(WEIGHTS, focal).single(LOGITS, SINGLE, smoothing)
    for row, (logits, true) in enumerate(zip(LOGITS.tolist(), SINGLE.tolist(), strict=True)):
        whole = math.log(sum(math.exp(x) for x in logits))
        nats = [whole - x for x in logits]
        soft = (1 - smoothing) * nats[true] + smoothing * sum(nats) / 4
        expected = WEIGHTS[true] * (1 - math.exp(-nats[true])) ** focal * soft
        assert float(found[row]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("focal", [0.0, 2.0])
def test_several_labels_a_row(smoothing: float, focal: float):
    found = Weighing(WEIGHTS, focal).several(LOGITS, SEVERAL, smoothing)
    for row in range(9):
        expected = 0.0
        for label in range(4):
            chance = 1 / (1 + math.exp(-float(LOGITS[row, label])))
            there = float(SEVERAL[row, label])
            soft = there * (1 - smoothing) + smoothing / 2
            nats = -(WEIGHTS[label] * soft * math.log(chance) + (1 - soft) * math.log(1 - chance))
            expected += (1 - (chance if there else 1 - chance)) ** focal * nats
        assert float(found[row]) == pytest.approx(expected, rel=1e-6)


def test_even_rows_are_the_plain_loss():
    assert not EVEN
    assert Weighing(None, 1.0) and Weighing(WEIGHTS)
    ours = EVEN.single(LOGITS, SINGLE, 0.1).sum()
    assert float(ours) == pytest.approx(float(F.cross_entropy(LOGITS, SINGLE, reduction="sum", label_smoothing=0.1)))
    assert EVEN.counts(SINGLE).tolist() == [1.0] * 9
    assert Weighing(WEIGHTS).counts(SINGLE).tolist() == [WEIGHTS[i] for i in SINGLE.tolist()]


def test_gradients_stay_finite_where_a_row_is_certain():
    logits = torch.tensor([[80.0, -80.0]], requires_grad=True)
    Weighing(None, 0.5).single(logits, torch.tensor([0]), 0.0).sum().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_balanced_weights_make_classes_weigh_the_same():
    counts = [6, 3, 1, 0]
    found = weights_of("balanced", list("abcd"), counts)
    assert [weight * count for weight, count in zip(found, counts, strict=True)] == pytest.approx([10 / 3] * 3 + [0])
    assert weights_of({"b": 2.0}, list("abc"), ()) == (1.0, 2.0, 1.0)
    gold = np.asarray([[1, 0], [1, 0], [1, 1], [0, 0]], bool)
    assert positive_weights("balanced", list("ab"), gold) == (pytest.approx(1 / 3), 3.0)
    assert positive_weights({"a": 4.0}, list("ab"), gold) == (4.0, 1.0)


def test_shares_of_sampling():
    gold = np.asarray([0, 0, 0, 0, 1])
    for kind, wanted in (("balanced", (0.5, 0.5)), ("root", (2 / 3, 1 / 3))):
        shares = sampling_shares(gold, kind)
        by_class = np.bincount(gold, weights=shares) / shares.sum()
        assert by_class == pytest.approx(wanted)
    several = np.asarray([[1, 0], [1, 1], [1, 0], [0, 0], [0, 0]], bool)
    assert sampling_shares(several, "balanced") == pytest.approx([1 / 3, 1.0, 1 / 3, 1 / 2, 1 / 2])
