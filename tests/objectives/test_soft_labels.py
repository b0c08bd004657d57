"""Cross-entropy against probabilities: that of labels where all probability is on one."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from whet.objectives.soft_labels import SoftLabelLoss


def test_it_is_the_loss_of_labels_and_of_probabilities():
    draw = torch.Generator().manual_seed(0)
    said = torch.randn(6, 3, generator=draw)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    hard = SoftLabelLoss(0.1).loss(torch.nn.Identity(), (None, F.one_hot(labels, 3).float()), said)  # type: ignore[arg-type]
    torch.testing.assert_close(hard.total, F.cross_entropy(said, labels, reduction="sum", label_smoothing=0.1))
    assert hard.num_counted == 6
    soft = torch.softmax(torch.randn(6, 3, generator=draw), 1)
    found = SoftLabelLoss().loss(torch.nn.Identity(), (None, soft), said)  # type: ignore[arg-type]
    torch.testing.assert_close(found.total, -(soft * said.log_softmax(1)).sum())
