from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from whet.batches import flat
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import Targets
from whet.tasks.pair_losses import (
    ContrastiveLoss,
    ScoreLoss,
    cosent_loss,
    cosine_loss,
    cosines,
    hidden,
    known_pairs,
    mixed,
    sigmoid_loss,
    squared_loss,
)

NO_PAIRS = np.zeros(0, np.uint64)


def drawn(units: int, parts: int = 2, width: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(units * parts, width, generator=torch.Generator().manual_seed(seed))


def keys(*rows: tuple[int, ...]) -> torch.Tensor:
    return torch.tensor([(*row, *([0] if len(row) == 2 else []), 1) for row in rows])


# --- scores ---------------------------------------------------------------------------------------


def test_cosines_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 3.0], [0.0, 2.0], [0.0, -1.0]])
    assert cosines(vectors).tolist() == pytest.approx([math.sqrt(0.5), -1.0])


def test_cosine_loss_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 3.0], [0.0, 2.0], [0.0, -1.0]])
    expected = (math.sqrt(0.5) - 0.25) ** 2 + (-1.0 - 1.0) ** 2
    assert float(cosine_loss(vectors, torch.tensor([0.25, 1.0]))) == pytest.approx(expected)


def test_cosent_loss_by_its_formula():
    vectors, scores = drawn(6), torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0])
    found = [float(cosines(vectors)[n]) for n in range(6)]
    total = 1.0
    for one in range(6):
        for other in range(6):
            if scores[one] > scores[other]:
                total += math.exp(20 * (found[other] - found[one]))
    assert float(cosent_loss(vectors, scores, 0.05)) == pytest.approx(6 * math.log(total), rel=1e-5)


def test_cosent_sees_the_order_of_scores_alone():
    vectors, scores = drawn(6), torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0])
    assert float(cosent_loss(vectors, scores, 0.05)) == float(cosent_loss(vectors, scores**3, 0.05))
    assert float(cosent_loss(vectors, torch.full((6,), 0.3), 0.05)) == 0.0


def test_sigmoid_and_squared_loss_by_hand():
    logits, scores = torch.tensor([[0.0], [2.0]]), torch.tensor([0.25, 1.0])
    expected = math.log(2) + math.log(1 + math.exp(-2))
    assert float(sigmoid_loss(logits, scores)) == pytest.approx(expected, rel=1e-6)
    assert float(squared_loss(logits, scores)) == pytest.approx(0.0625 + 1.0)


# --- texts that belong together -------------------------------------------------------------------


@pytest.mark.parametrize("parts", [2, 3])
def test_contrastive_loss_of_different_texts_is_a_cross_entropy(parts):
    vectors = drawn(4, parts)
    targets = keys(*[tuple(range(1 + n * parts, 1 + (n + 1) * parts)) for n in range(4)])
    units = F.normalize(vectors.view(4, parts, -1), dim=-1)
    candidates = torch.cat([units[:, part] for part in range(1, parts)])
    expected = F.cross_entropy(units[:, 0] @ candidates.T / 0.05, torch.arange(4), reduction="sum")
    assert float(ContrastiveLoss(0.05).of(vectors, targets, NO_PAIRS)) == pytest.approx(float(expected), rel=1e-5)


def expected_loss(vectors: torch.Tensor, targets: torch.Tensor, allowed: dict[int, set[tuple[int, int]]]) -> float:
    """By hand: each anchor's positive against itself and the texts (unit, part) that are allowed beside it."""
    units = F.normalize(vectors.double().view(len(targets), -1, vectors.shape[-1]), dim=-1)
    total = 0.0
    for anchor, others in allowed.items():
        near = {place: math.exp(float(units[anchor, 0] @ units[place]) / 0.1) for place in {*others, (anchor, 1)}}
        total -= math.log(near[anchor, 1] / sum(near.values()))
    return total


def test_equal_positives_are_no_negatives_of_each_other():
    vectors = drawn(3)
    vectors[5] = vectors[1]  # the same text has the same vector
    targets = keys((1, 10), (2, 11), (3, 10))
    expected = expected_loss(vectors, targets, {0: {(1, 1)}, 1: {(0, 1)}, 2: {(1, 1)}})
    assert float(ContrastiveLoss(0.1).of(vectors, targets, NO_PAIRS)) == pytest.approx(expected, rel=1e-5)


def test_what_belongs_to_an_anchor_elsewhere_is_no_negative_of_it():
    vectors = drawn(3)
    targets = keys((1, 10), (1, 11), (2, 12))
    known = known_pairs(keys((1, 10), (1, 11), (2, 12), (2, 11)))  # the last stands in another batch
    expected = expected_loss(vectors, targets, {0: {(2, 1)}, 1: {(2, 1)}, 2: {(0, 1)}})
    assert float(ContrastiveLoss(0.1).of(vectors, targets, known)) == pytest.approx(expected, rel=1e-5)


def test_a_pair_belongs_together_in_either_order():
    known = known_pairs(keys((5, 9)))
    assert hidden(np.array([9]), np.array([5, 6]), known).tolist() == [[True, False]]


def test_an_anchor_is_no_negative_of_itself():
    vectors = drawn(2)
    targets = keys((1, 10), (2, 1))
    expected = expected_loss(vectors, targets, {0: set(), 1: {(0, 1)}})
    assert float(ContrastiveLoss(0.1).of(vectors, targets, NO_PAIRS)) == pytest.approx(expected, rel=1e-5)


def test_negatives_that_are_absent_or_belong_are_left_out():
    vectors = drawn(3, parts=3)
    targets = keys((1, 10, 20), (2, 11, 0), (3, 12, 10))
    vectors[8] = vectors[1]
    expected = expected_loss(
        vectors, targets, {0: {(1, 1), (2, 1), (0, 2)}, 1: {(0, 1), (2, 1), (0, 2)}, 2: {(0, 1), (1, 1), (0, 2)}}
    )
    assert float(ContrastiveLoss(0.1).of(vectors, targets, NO_PAIRS)) == pytest.approx(expected, rel=1e-5)


def test_units_without_a_positive_are_candidates_alone():
    vectors = drawn(3)
    targets = keys((1, 10), (2, 11), (3, 12))
    targets[1, 3] = 0
    expected = expected_loss(vectors, targets, {0: {(1, 1), (2, 1)}, 2: {(0, 1), (1, 1)}})
    assert float(ContrastiveLoss(0.1).of(vectors, targets, NO_PAIRS)) == pytest.approx(expected, rel=1e-5)
    targets[:, 3] = 0
    assert float(ContrastiveLoss(0.1).of(vectors, targets, NO_PAIRS)) == 0.0


def test_mixed_keys_tell_the_order():
    one, other = np.array([3]), np.array([-7])
    assert mixed(one, other) != mixed(other, one)


class _Table(nn.Module):
    """A vector for each token: texts of one token."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(size, 4)

    def forward(self, batch: flat.FlatBatch) -> torch.Tensor:
        return self.table(batch.input_ids[0])


def one_token_texts(parts: int, units: int) -> Encoded:
    size = parts * units
    return Encoded(
        np.arange(size, dtype=np.uint32), np.arange(size + 1), np.full(size, -1, np.int32), Cut(9, 0, 0, size), parts
    )


@pytest.mark.parametrize("parts", [2, 3])
def test_a_contrastive_step_counts_anchors_and_knows_the_whole_split(parts):
    torch.manual_seed(parts)
    encoded = one_token_texts(parts, 6)
    rows = [tuple(range(100 + n * parts, 100 + (n + 1) * parts)) for n in range(6)]
    targets = keys(*rows)
    targets[0, 0] = targets[5, 0]  # unit 5, outside of the batch, has the anchor of unit 0
    targets[5, 1] = targets[1, 1]  # and the positive of unit 1
    targets[2, 3] = 0
    model = _Table(6 * parts)
    loss = ContrastiveLoss(0.1)
    batch = flat.make(encoded, np.arange(4), Targets(targets), whole=True)
    step = loss(model, batch)
    assert step.num_counted == 3
    vectors = model(batch).detach()
    expected = float(loss.of(vectors, targets[:4], known_pairs(targets)))
    assert step.total.item() == pytest.approx(expected)
    assert expected < float(loss.of(vectors, targets[:4], NO_PAIRS))
    step.total.backward()
    assert torch.isfinite(model.table.weight.grad).all()


def test_losses_over_pairs_do_not_depend_on_how_a_batch_is_cut():
    encoded = one_token_texts(2, 6)
    targets = Targets(torch.linspace(0, 1, 6))
    model = _Table(12)
    whole = ScoreLoss(cosine_loss)(model, flat.make(encoded, np.arange(6), targets))
    parts = [ScoreLoss(cosine_loss)(model, part) for part in flat.make(encoded, np.arange(6), targets).split(4)]
    assert len(parts) == 3 and sum(part.num_counted for part in parts) == whole.num_counted == 6
    assert sum(part.total.item() for part in parts) == pytest.approx(whole.total.item())
