"""Answers in 16 bits: near those in fp32, or fp32 after all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import whet
from tests import forked, made_talks
from tests.made_runs import Runs
from whet.errors import UserError
from whet.inference import rounded
from whet.inference.answers import ask
from whet.inference.trained import TrainedModel
from whet.workflows.using import open_model

TEXTS = ["where is my card", "i want a refund for this item", "how do i change my password", "thank you"] * 3


@pytest.fixture(autouse=True)
def has_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounded, "fastest_dtype", lambda _: (torch.bfloat16, "it is said so"))


def scores(path: Path, precision: rounded.Precision) -> tuple[np.ndarray, TrainedModel]:
    model = open_model(path, "full", precision)
    assert isinstance(model, TrainedModel)
    return np.array([list(one.scores.values()) for one in ask(model, TEXTS, None)]), model  # type: ignore[union-attr]


def test_answers_are_near_those_in_fp32(runs: Runs):
    run = runs.finished("full")
    (exact, plain), (short, model) = scores(run, "fp32"), scores(run, "bf16")
    assert 0 < np.abs(exact - short).max() < 0.02 and (exact.argmax(1) == short.argmax(1)).all()
    assert plain.rounding is None and model.rounding is not None
    assert "apart from fp32 on 12 rows" in model.rounding.note
    weights = {name: weight.dtype for name, weight in model.model.named_parameters()}
    head = str(model.model.head_name)
    assert {kind for name, kind in weights.items() if name.startswith(head)} == {torch.float32}
    assert {kind for name, kind in weights.items() if not name.startswith(head)} == {torch.bfloat16}
    again = np.array([list(one.scores.values()) for one in ask(model, TEXTS, None)])  # type: ignore[union-attr]
    assert (again == short).all(), "it is proven once"


def test_where_they_differ_fp32_answers(runs: Runs, monkeypatch: pytest.MonkeyPatch):
    run = runs.finished("full")
    exact, _ = scores(run, "fp32")
    with monkeypatch.context() as patch:
        patch.setattr(rounded, "TOLERANCE", -1.0)
        assert (scores(run, "bf16")[0] == exact).all()
    monkeypatch.setattr(rounded, "fastest_dtype", lambda _: (torch.float32, "the CPU has no bf16 products"))
    found, model = scores(run, "bf16")
    assert (found == exact).all() and model.rounding is not None
    assert model.rounding.note == "answers are computed in fp32: the CPU has no bf16 products"


def test_from_python_either_can_be_asked_for(runs: Runs):
    run = whet.open_run(runs.finished("full"))
    assert len(run.predict(TEXTS, precision="bf16")) == len(run.predict(TEXTS)) == len(TEXTS)


def test_models_that_write_answer_in_fp32_alone(tmp_path: Path):
    run = made_talks.tuned(tmp_path / "talks")
    with pytest.raises(UserError, match="M076"):
        open_model(run, "full", "bf16")


def test_the_command(runs: Runs, tmp_path: Path):
    rows = tmp_path / "texts.jsonl"
    rows.write_text("".join(json.dumps({"text": one}) + "\n" for one in TEXTS))
    words = ["predict", str(runs.finished("full")), str(rows), "--model", "full", "--precision", "bf16"]
    child = forked.run(words, tmp_path / "said")
    assert child.code() == 0 and len(child.out.splitlines()) == len(TEXTS)
    assert "fp32" in child.err, "whether bf16 could be had, and how near it is"


def test_of_a_model_without_such_weights_it_is_said_that_nothing_was_rounded(runs: Runs, tmp_path: Path):
    rows = tmp_path / "texts.jsonl"
    rows.write_text(json.dumps({"text": TEXTS[0]}) + "\n")
    words = ["predict", str(runs.finished("full")), str(rows), "--model", "tfidf_linear", "--precision", "bf16"]
    child = forked.run(words, tmp_path / "said")
    assert child.code() == 0
    assert "TF-IDF are fp32" in child.err
