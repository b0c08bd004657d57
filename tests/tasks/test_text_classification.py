from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torch import nn

from whet.batches import flat
from whet.batches.encoding import Cut, Encoded
from whet.tasks import text_classification as task
from whet.tasks.text_classification import ClassificationLoss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0], [-3.0, 1.0, 4.0], [0.5, 0.6, 0.7]])
SINGLE = torch.tensor([0, 2, 2, 1])
SEVERAL = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])


def test_the_loss_is_a_sum_in_nats():
    expected = 4 * log_loss(SINGLE, LOGITS.double().softmax(1), labels=[0, 1, 2])
    assert float(ClassificationLoss().of(LOGITS, SINGLE)) == pytest.approx(expected, rel=1e-6)
    p = LOGITS.double().sigmoid()
    by_hand = -(SEVERAL * p.log() + (1 - SEVERAL) * (1 - p).log()).sum()
    assert float(ClassificationLoss().of(LOGITS, SEVERAL)) == pytest.approx(float(by_hand), rel=1e-6)


def test_label_smoothing_spreads_a_share_evenly():
    logs = LOGITS.double().log_softmax(1)
    targets = nn.functional.one_hot(SINGLE, 3).double() * 0.7 + 0.3 / 3
    assert float(ClassificationLoss(0.3).of(LOGITS, SINGLE)) == pytest.approx(float(-(targets * logs).sum()), rel=1e-6)
    soft = SEVERAL * 0.7 + 0.15
    expected = nn.functional.binary_cross_entropy_with_logits(LOGITS, soft, reduction="sum")
    assert float(ClassificationLoss(0.3).of(LOGITS, SEVERAL)) == pytest.approx(float(expected))


@pytest.mark.parametrize("targets", [SINGLE, SEVERAL])
def test_a_step_counts_rows(targets: torch.Tensor):
    encoded = Encoded(np.arange(4, dtype=np.uint32), np.arange(5), np.full(4, -1, np.int32), Cut(9, 0, 0, 4))
    rows = np.asarray([2, 0])

    class Fixed(nn.Module):
        def forward(self, batch: flat.FlatBatch) -> torch.Tensor:
            return LOGITS[torch.from_numpy(batch.rows)]

    found = ClassificationLoss()(Fixed(), flat.make(encoded, rows, flat.Targets(targets)))
    assert found.num_counted == 2
    assert float(found.total) == pytest.approx(float(ClassificationLoss().of(LOGITS[[2, 0]], targets[[2, 0]])))


def test_truth_becomes_tensors():
    assert task.targets_of(np.asarray([1, 0], np.int32)).values.dtype == torch.int64
    assert task.targets_of(np.asarray([[True, False]])).values.dtype == torch.float32


def test_probabilities_are_softmax_or_one_sigmoid_each():
    single, several = task.probabilities(LOGITS, False), task.probabilities(LOGITS, True)
    assert single.dtype == several.dtype == np.float32
    np.testing.assert_allclose(single.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(several, 1 / (1 + np.exp(-LOGITS.numpy())), rtol=1e-6)
    assert (task.probabilities(torch.tensor([[1000.0, -1000.0]]), False) == [[1, 0]]).all()


def test_quick_numbers_agree_with_scikit_learn():
    found = task.quick_numbers(LOGITS, SINGLE)
    assert found["accuracy"] == accuracy_score(SINGLE, LOGITS.argmax(1))
    assert found["loss"] == pytest.approx(log_loss(SINGLE, LOGITS.double().softmax(1), labels=[0, 1, 2]), rel=1e-6)
    found = task.quick_numbers(LOGITS, SEVERAL)
    assert found["micro_f1"] == pytest.approx(f1_score(SEVERAL, LOGITS > 0, average="micro"))
    nothing = task.quick_numbers(torch.full((2, 3), -5.0), torch.zeros(2, 3))
    assert nothing["micro_f1"] == 0.0 and math.isfinite(nothing["loss"])


def test_majority_is_what_always_saying_the_commonest_gets():
    gold = np.asarray([2, 2, 0, 1, 2])
    assert task.majority(gold) == accuracy_score(gold, np.full(5, 2))
    several = SEVERAL.numpy().astype(bool)
    said = np.zeros_like(several)
    said[:, several.sum(0).argmax()] = True
    assert task.majority(several) == pytest.approx(f1_score(several, said, average="micro"))


@pytest.mark.parametrize(
    ("label", "words"),
    [("card_arrival", "card arrival"), ("Lost-or_stolen", "Lost or stolen"), ("a/b", "a b"), (" x__y ", "x y")],
)
def test_labels_are_said_as_words(label: str, words: str):
    assert task.words_of(label) == words
    assert task.label_texts([label]) == [words]
