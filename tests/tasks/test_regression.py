from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from torch import nn

from tests.tasks.made_pairs import LIMIT, Base, outputs, rows, setting, trained
from whet.batches.flat import Targets
from whet.tasks.regression import STRENGTHS, Regression

TEXTS = ["where is my card", "why", "help me cancel this order", "refund", "no one answers the phone", "password"]
SCORES = [120.0, 80.0, 100.0, 95.0, 140.0, 60.0]
ROWS = rows(text=TEXTS, score=SCORES)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Base:
    return Base(tmp_path_factory.mktemp("base") / "bert")


def learnt() -> Regression:
    task = Regression(setting(ROWS))
    task.learn(ROWS)
    return task


def encode(base: Base, task: Regression, examples=ROWS):
    return task.encode(base.tokenizer, examples.column_blocks(("text", "text_pair")), LIMIT, None)


def test_targets_have_mean_0_and_deviation_1(base):
    task = learnt()
    values = task.targets(ROWS, encode(base, task)).values
    assert values.dtype == torch.float32
    assert float(values.mean()) == pytest.approx(0, abs=1e-6)
    assert float(values.std(unbiased=False)) == pytest.approx(1, abs=1e-6)


def test_look_and_predictions_by_hand(base):
    task = learnt()
    encoded = encode(base, task)
    found = torch.tensor([[0.5], [-1.0], [0.2], [0.0], [1.5], [-1.0]])
    said = task.predictions("m", found, encoded, ROWS)
    mean, deviation = np.mean(SCORES), np.std(SCORES)
    assert said.said == pytest.approx(mean + deviation * found[:, 0].numpy(), rel=1e-6)
    assert said.purpose == "regression" and said.gold.tolist() == SCORES
    numbers = task.look(found, encoded, ROWS)
    assert numbers["r2"] == pytest.approx(r2_score(SCORES, said.said), abs=1e-6)
    assert numbers["loss"] == pytest.approx(np.mean((said.said - SCORES) ** 2) / deviation**2, rel=1e-5)
    assert task.look(torch.zeros(6, 1), encoded, ROWS)["r2"] == pytest.approx(task.floor(ROWS), abs=1e-6)


def test_the_mean_and_deviation_are_worked_into_the_head(base):
    task = learnt()
    encoded = encode(base, task)
    model = base.model(task)
    before = task.predictions("m", outputs(model, encoded), encoded, ROWS).said
    assert task.folded(model.head, {}) is model.head
    raw = outputs(model, encoded)
    assert raw[:, 0].numpy() == pytest.approx(before, rel=1e-5)
    assert task.carried == {}
    saved = Regression(replace(setting(ROWS), settled=task.carried))
    assert saved.predictions("m", raw, encoded, ROWS).said == pytest.approx(before, rel=1e-5)


def test_a_head_without_bias_leaves_the_mean_to_be_carried():
    task = learnt()
    head = nn.Linear(3, 1, bias=False)
    features = torch.randn(6, 3)
    with torch.no_grad():
        before = task.predictions("m", head(features), None, ROWS).said
        task.folded(head, {})
        saved = Regression(replace(setting(ROWS), settled=task.carried))
        assert task.carried == {"mean": pytest.approx(np.mean(SCORES))}
        assert saved.predictions("m", head(features), None, ROWS).said == pytest.approx(before, rel=1e-5)


def test_folding_one_model_leaves_the_next_as_it_was(base):
    task = learnt()
    encoded = encode(base, task)
    first, second = base.model(task, seed=1), base.model(task, seed=2)
    expected = task.predictions("m", outputs(second, encoded), encoded, ROWS).said
    task.folded(first.head, {})
    assert task.predictions("m", outputs(second, encoded), encoded, ROWS).said == pytest.approx(expected)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_probe_is_the_ridge_of_scikit_learn(intercept):
    draw = np.random.default_rng(0)
    table = draw.normal(size=(80, 5)) * [1, 10, 0.1, 3, 1] + [0, 5, 1, -2, 0]
    truth = table @ [1, 0.1, -4, 0, 2] + draw.normal(size=80)
    truth -= 0 if intercept else truth.mean()
    train, held = (
        (torch.from_numpy(table[part]).float(), Targets(torch.from_numpy(truth[part]).float()))
        for part in (slice(0, 60), slice(60, 80))
    )
    told: list[tuple[int, int]] = []
    found = learnt().fit_head(train, held, intercept, lambda *at: told.append(at))
    assert told[-1] == (len(STRENGTHS), len(STRENGTHS)) and found.strength in STRENGTHS
    assert (found.bias is not None) == intercept
    losses = {}
    for strength in STRENGTHS:
        if intercept:
            scaler = StandardScaler().fit(table[:60])
            model = Ridge(alpha=60 * strength).fit(scaler.transform(table[:60]), truth[:60])
            said = model.predict(scaler.transform(table))
        else:
            scale = np.sqrt((table[:60] ** 2).mean(0))
            model = Ridge(alpha=60 * strength, fit_intercept=False).fit(table[:60] / scale, truth[:60])
            said = model.predict(table / scale)
        losses[strength] = ((said[60:] - truth[60:]) ** 2).sum()
        if strength == found.strength:
            mine = table @ found.weight[0].double().numpy() + (0 if found.bias is None else float(found.bias))
            assert mine == pytest.approx(said, rel=1e-3, abs=1e-3)
    assert found.strength == min(losses, key=losses.__getitem__)


def test_texts_are_learnt_by_heart(base):
    task = learnt()
    encoded = encode(base, task)
    model = base.model(task)
    trained(model, task, encoded, ROWS, steps=60, rate=1e-2)
    assert task.look(outputs(model, encoded), encoded, ROWS)["r2"] > 0.95


def test_pairs_are_read_together(base):
    examples = rows(text=TEXTS, text_pair=TEXTS[::-1], score=SCORES)
    task = Regression(setting(examples))
    task.learn(examples)
    encoded = encode(base, task, examples)
    assert encoded.parts == 1 and (encoded.second > 0).all()


def test_rows_that_only_want_a_prediction(base):
    task = learnt()
    examples = rows("predict", text=TEXTS)
    encoded = encode(base, task, examples)
    said = task.predictions("m", outputs(base.model(task), encoded), encoded, examples)
    assert said.gold is None and len(said) == 6
