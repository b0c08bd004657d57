"""How long the models of a run train: variants by all that they learn from, controls as long as their variants."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from whet.batches.flat import Targets
from whet.recipe import Recipe
from whet.workflows import learning

ROWS, TEXTS = 1_000, 10_000


def run_of(monkeypatch: pytest.MonkeyPatch, method: str, **training: Any) -> Any:
    whole = range(ROWS + TEXTS)
    monkeypatch.setattr(learning.distilling, "learnt", lambda run: whole)
    monkeypatch.setattr(learning, "rows", lambda run, name: learning.Learnt(whole, Targets(torch.zeros(1))))  # type: ignore[arg-type]
    recipe = Recipe.model_validate({"data": {"source": "rows.csv"}, "method": method, "training": training})
    decided = {"method": method, "training.epochs": training.get("epochs", 8.0)}
    return SimpleNamespace(
        recipe=recipe, value=decided.__getitem__, encoded={"train": range(ROWS)}, examples=lambda split: range(ROWS)
    )


@pytest.mark.parametrize(
    ("method", "name"), [("full", "distilled"), ("full", "self-trained"), ("contrastive", "self-trained")]
)
def test_a_variant_passes_over_many_texts_less_often(monkeypatch: pytest.MonkeyPatch, method: str, name: str):
    run = run_of(monkeypatch, method)
    assert learning.epochs(run, method) == learning.epochs(run) == 8.0
    assert learning.epochs(run, name) == 3.0
    assert learning.epochs(run_of(monkeypatch, method, epochs=5.0), name) == 5.0, "what the recipe says holds for all"


def test_attempts_of_a_control_that_are_as_long(monkeypatch: pytest.MonkeyPatch):
    run = run_of(monkeypatch, "full")
    assert learning.as_long_as(run, "full", 0) is None, "nobody learns from more"
    assert learning.as_long_as(run, "full", learning.AS_LONG) == "self-trained"
    assert learning.as_long_as(run, "self-trained", 0) is None
    monkeypatch.setattr(learning.distilling, "wanted", lambda run: True)
    monkeypatch.setattr(learning.distilling, "learns_more", lambda run: True)
    assert learning.as_long_as(run, "full", 0) == "distilled"
