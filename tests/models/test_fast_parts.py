"""Faster forms of parts of a model: the loss over a vocabulary, and what becomes of one that answers otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.batches.test_shared_beginnings import batch_of
from tests.made_models import make_base
from whet.kernels.token_loss import token_loss
from whet.models import fast_parts, loading, places
from whet.models.heads import Head
from whet.models.task_model import TaskModel
from whet.tasks.language_loss import LanguageLoss, next_tokens


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("bases") / request.param, request.param, language=True)


def language_model(base: Path) -> TaskModel:
    place = places.find(str(base))
    return loading.load_model(place, Head("language"), loading.load_tokenizer(place), seed=0)


def test_with_and_without_all_logits_a_step_is_the_same(base: Path):
    model = language_model(base)
    model.use_flat_batches()
    fast_parts.take(model, adapter=False)
    assert not model.declined and not model.whole_logits
    random = np.random.default_rng(0)
    batch = batch_of([random.integers(5, model.width, size).tolist() for size in (4, 9, 2)])
    found = []
    for model.whole_logits in (False, True):
        model.zero_grad()
        loss = LanguageLoss(next_tokens, label_smoothing=0.1)(model, batch)
        loss.total.backward()
        found.append({name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None})
        found[-1]["loss"] = loss.total.detach()
    assert found[0].keys() == found[1].keys()
    for name, one in found[0].items():
        torch.testing.assert_close(one, found[1][name], atol=1e-5, rtol=1e-4)


def test_a_loss_that_differs_is_not_taken(base: Path, monkeypatch: pytest.MonkeyPatch):
    def lying(*parts: Any, whole: bool = False) -> torch.Tensor:
        return token_loss(*parts, whole=whole) * (1.0 if whole else 1.01)

    monkeypatch.setattr(fast_parts, "token_loss", lying)
    model = language_model(base)
    fast_parts.take(model, adapter=False)
    assert model.whole_logits
    assert model.declined == ("a loss without the table of all logits differs from the one with it, which is used",)
