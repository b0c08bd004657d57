from __future__ import annotations

import numpy as np
import pytest
import torch

from whet.kernels import logistic
from whet.kernels.out_of_fold import out_of_fold


def made(n: int = 120, several: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(n, 6, generator=draw)
    scores = features[:, :3] + 0.5 * torch.randn(n, 3, generator=draw)
    targets = (scores > 0.3).float() if several else scores.argmax(1)
    return features, targets, torch.arange(n) % 4


@pytest.mark.parametrize("several", [False, True])
def test_each_row_by_the_others_alone(several: bool):
    features, targets, folds = made(several=several)
    found = out_of_fold(features, targets, 3, folds, [0.1])
    for fold in range(4):
        others = folds != fold
        (fit,) = logistic.path(features[others], targets[others], 3, [0.1])
        assert torch.equal(found.logits[~others], fit.logits(features[~others]))
    turned = targets.clone()
    turned[0] = 1 - turned[0] if several else (turned[0] + 1) % 3
    again = out_of_fold(features, turned, 3, folds, [0.1])
    assert torch.equal(again.logits[folds == 0], found.logits[folds == 0])
    assert not torch.equal(again.logits, found.logits)


def test_the_strength_is_that_of_the_lowest_loss_on_the_first_fold():
    features, targets, folds = made()
    found = out_of_fold(features, targets, 3, folds, [0.001, 0.03, 0.3, 1.0])
    others, own = folds != 0, folds == 0
    losses = {}
    for fit in logistic.path(features[others], targets[others], 3, [0.001, 0.03, 0.3, 1.0]):
        losses[fit.strength] = float(torch.nn.functional.cross_entropy(fit.logits(features[own]), targets[own]))
    assert found.strength == min(losses, key=losses.__getitem__)
    told = []
    out_of_fold(features, targets, 3, folds, [0.1], progress=lambda *one: told.append(one))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert np.isfinite(found.logits.numpy()).all()
