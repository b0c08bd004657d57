"""Distances to a teacher against plain formulas; rows without labels; loss independent of how a batch is cut."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.objectives.test_two_passes import LENGTHS, SINGLE, C, H, Noisy, V, batch
from whet.batches import flat
from whet.batches.flat import Targets
from whet.kernels import top_k
from whet.kernels.flat import layout
from whet.models.insides import by_token
from whet.objectives.classes import Weighing
from whet.objectives.distillation import Distilled, OfRows, OfVectors, OfWords, kept_apart, labels_apart
from whet.objectives.matching import common_heads, relations
from whet.objectives.token_lessons import OfTokens, Unasked
from whet.tasks.language_loss import LanguageLoss, next_tokens
from whet.tasks.text_classification import ClassificationLoss
from whet.tasks.token_classification import UNCOUNTED, TaggingLoss

HEAT, SHARE = 2.5, 0.3
TABLE = np.random.default_rng(0).normal(size=(3, C)).astype(np.float32)


def still(per_token: bool = False) -> Noisy:
    model = Noisy(per_token)
    model.eval()
    return model


def plain(student: Tensor, teacher: Any) -> Tensor:
    """t^2 KL(teacher, student), each row."""
    true = torch.softmax(torch.as_tensor(teacher) / HEAT, -1)
    said = torch.softmax(student / HEAT, -1)
    return HEAT**2 * (true * (true / said).log()).sum(-1)


def test_the_distance_is_that_of_softened_distributions():
    one, other = torch.randn(4, C), torch.randn(4, C)
    assert torch.allclose(kept_apart(one, other, HEAT), plain(one, other), atol=1e-5)
    assert torch.allclose(kept_apart(one, one, HEAT), torch.zeros(4), atol=1e-6)
    p, q = (other / HEAT).sigmoid(), (one / HEAT).sigmoid()
    both = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert torch.allclose(labels_apart(one, other, HEAT), HEAT**2 * both.sum(1), atol=1e-5)


@pytest.mark.parametrize("weighing", [Weighing(), Weighing((1.0, 2.0, 0.5, 3.0))])
def test_a_row_costs_its_own_loss_and_its_distance(weighing: Weighing):
    own = ClassificationLoss(0.1, weighing)
    counts = weighing.counts if weighing else None
    lesson = OfRows(TABLE, "classes", HEAT, counts)
    model, some = still(), batch(SINGLE)
    found = Distilled(own, lesson, SHARE, 3)(model, some)
    alone = own(model, some)
    weights = weighing.counts(SINGLE)
    expected = (1 - SHARE) * alone.total + SHARE * (plain(model(some), TABLE) * weights).sum()
    assert float(found.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert found.num_counted == pytest.approx(alone.num_counted)


def test_rows_without_a_label_cost_their_distance_alone():
    targets = torch.tensor([2, UNCOUNTED, UNCOUNTED])
    model, some = still(), batch(targets)
    found = Distilled(ClassificationLoss(), OfRows(TABLE, "classes", HEAT), SHARE, 1)(model, some)
    logits = model(some)
    apart = plain(logits, TABLE)
    expected = (1 - SHARE) * F.cross_entropy(logits[:1], targets[:1]) + SHARE * apart[0] + apart[1:].sum()
    assert float(found.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5) and found.num_counted == 3
    nothing = Distilled(ClassificationLoss(), OfRows(TABLE, "classes", HEAT), SHARE, 0)(model, some)
    assert (
        float(nothing.total.detach()) == pytest.approx(float(apart.sum().detach()), rel=1e-5)
        and nothing.num_counted == 3
    )


def test_weights_of_classes_leave_rows_without_a_label_as_they_are():
    weighing, targets = Weighing((1.0, 2.0, 0.5, 3.0)), torch.tensor([2, UNCOUNTED, UNCOUNTED])
    model, some = still(), batch(targets)
    own, lesson = ClassificationLoss(0.0, weighing), OfRows(TABLE, "classes", HEAT, weighing.counts)
    found = Distilled(own, lesson, SHARE, 1)(model, some)
    logits, weight = model(some), weighing.counts(targets[:1])
    apart, labelled = plain(logits, TABLE), F.cross_entropy(logits[:1], targets[:1])
    expected = weight * ((1 - SHARE) * labelled + SHARE * apart[:1]) + apart[1:].sum()
    assert float(found.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert found.num_counted == pytest.approx(float(weight) + 2)


def test_words_are_looked_up_wherever_they_stand():
    tags = torch.tensor([1, UNCOUNTED, 0, 2, UNCOUNTED, 3, 0, 1, UNCOUNTED, 2])
    standing = (tags != UNCOUNTED).nonzero()[:, 0]
    places = np.full(len(tags), -1, np.int64)
    places[standing.numpy()] = np.arange(len(standing))
    table = np.random.default_rng(1).normal(size=(len(standing), C)).astype(np.float32)
    objective = Distilled(TaggingLoss(), OfWords(table, places, HEAT), SHARE, 3)
    model, some = still(True), batch(tags, True)
    found, alone = objective(model, some), TaggingLoss()(model, some)
    expected = (1 - SHARE) * alone.total + SHARE * plain(model(some)[standing], table).sum()
    assert float(found.total.detach()) == pytest.approx(
        float(expected.detach()), rel=1e-5
    ) and found.num_counted == len(standing)
    pieces = [objective(model, piece) for piece in some.split(4)]
    assert len(pieces) > 1
    assert sum(float(one.total.detach()) for one in pieces) == pytest.approx(float(found.total.detach()), rel=1e-5)
    assert sum(one.num_counted for one in pieces) == found.num_counted


def test_vectors_are_told_by_their_directions():
    table = F.normalize(torch.randn(3, C), dim=1).numpy()
    model, some = still(), batch(SINGLE)
    apart = OfVectors(table).apart(model, None, model(some), some)
    cosine = F.cosine_similarity(model(some), torch.from_numpy(table))
    assert torch.allclose(apart.each, 2 - 2 * cosine, atol=1e-5)


@pytest.mark.parametrize("k", [2, V])
def test_of_a_vocabulary_the_likeliest_words_and_the_rest_are_compared(k: int):
    torch.manual_seed(1)
    teacher, student = torch.randn(5, H), torch.randn(5, H, requires_grad=True)
    weight, bias = torch.randn(V, H), torch.randn(V)
    words, logs = top_k.likeliest(teacher, weight, bias, None, k, HEAT)
    found = top_k.apart(student, weight, bias, words, logs, None, HEAT)
    true, said = (torch.softmax((one @ weight.t() + bias) / HEAT, 1) for one in (teacher, student))
    p, q = true.gather(1, words), said.gather(1, words)
    expected = (p * (p / q).log()).sum(1)
    if k < V:
        rest, left = 1 - p.sum(1), 1 - q.sum(1)
        expected = expected + rest * (rest / left).log()
    assert torch.allclose(found, HEAT**2 * expected, atol=1e-4)
    found.sum().backward()
    assert student.grad is not None and bool(student.grad.abs().sum() > 0)
    if k == V:
        same = top_k.apart(teacher, weight, bias, words, logs, None, HEAT)
        assert torch.allclose(same, torch.zeros(5), atol=1e-5)


def test_rows_that_pad_a_teachers_table_say_nothing():
    torch.manual_seed(1)
    teacher, weight, bias = torch.randn(5, H), torch.randn(V, H), torch.randn(V)
    padded, more = torch.cat([weight, 10 * torch.ones(5, H)]), torch.cat([bias, torch.full((5,), 50.0)])
    found = top_k.likeliest(teacher, padded, more, None, 3, HEAT, V)
    known = top_k.likeliest(teacher, weight, bias, None, 3, HEAT)
    assert torch.equal(found[0], known[0]) and torch.allclose(found[1], known[1])


def test_a_language_model_learns_from_what_was_kept_of_each_token():
    model, some = still(True), batch(None)
    own = LanguageLoss(next_tokens)
    wanted = next_tokens(some)
    model.linear_head = torch.nn.Linear(H, V)
    words = np.tile(np.arange(V, dtype=np.int32), (len(wanted.said), 1))
    true = torch.randn(len(wanted.said), V).log_softmax(1)
    places = np.full(sum(LENGTHS), -1, np.int64)
    places[wanted.said.numpy()] = np.arange(len(wanted.said))
    lesson = OfTokens(words, true.numpy(), places, 1.0)
    found = Distilled(own, lesson, SHARE, 3)(model, some)
    said = model.linear_head(wanted.features(model)).log_softmax(1)
    apart = (true.exp() * (true - said)).sum(1)
    expected = (1 - SHARE) * own(model, some).total + SHARE * (apart * wanted.weights).sum()
    assert float(found.total.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert found.num_counted == pytest.approx(float(wanted.weights.sum()))


def test_tokens_that_nobody_asked_about_weigh_what_happens_within():
    model, some = still(True), batch(None)
    model.linear_head = torch.nn.Linear(H, V)
    own, wanted = LanguageLoss(next_tokens), next_tokens(some)
    alone = own(model, some)
    found = Distilled(own, Unasked(), 0.0, 3, [(Ones(), 0.5)])(model, some)
    assert float(found.total.detach()) == pytest.approx(
        float(alone.total.detach()) + 0.5 * float(wanted.weights.sum()), rel=1e-5
    )
    assert found.num_counted == alone.num_counted


class Ones:
    """A distance of one for every text."""

    def __call__(self, model: Any, batch: flat.FlatBatch) -> Tensor:
        return torch.ones(len(batch.rows))

    def watched(self, model: Any) -> Any:
        return contextlib.nullcontext()


def test_relations_are_those_of_each_text_alone():
    where = layout(torch.tensor(LENGTHS))
    vectors = torch.randn(sum(LENGTHS), 8)
    found = relations(vectors, where, 2)
    one = vectors[3:8].view(5, 2, 4).transpose(0, 1)
    expected = (one @ one.transpose(1, 2) / 2.0).log_softmax(-1)
    assert torch.allclose(found[1, :, :5, :5], expected, atol=1e-5)
    assert common_heads(384, 192) == 12 and common_heads(16, 24) == 8 and common_heads(7, 4) == 1


def test_what_happens_within_is_taken_of_tokens_alone():
    """Flat batches may be filled up to one of few sizes, padded ones are to their longest text."""
    where = layout(torch.tensor([2, 3]))
    of_tokens = torch.arange(5.0)[:, None]
    flat_table = torch.cat([of_tokens, torch.full((3, 1), -1.0)])[None]
    padded = torch.tensor([[0.0, 1.0, -1.0], [2.0, 3.0, 4.0]])[..., None]
    for table in (of_tokens[None], flat_table, padded):
        assert torch.equal(by_token(table, where), of_tokens)
    alone = layout(torch.tensor([3]))
    assert torch.equal(by_token(flat_table, alone), of_tokens[:3])


def test_what_is_cut_apart_is_counted_as_together():
    targets = Targets(SINGLE)
    some = batch(SINGLE)
    objective = Distilled(ClassificationLoss(), OfRows(TABLE, "classes", HEAT), SHARE, 2)
    model = still()
    whole = objective(model, some)
    pieces = [objective(model, flat.make(some.encoded, np.asarray([row]), targets)) for row in range(3)]
    assert sum(float(one.total.detach()) for one in pieces) == pytest.approx(float(whole.total.detach()), rel=1e-5)
    assert sum(one.num_counted for one in pieces) == whole.num_counted
