"""A tiny model learns eight questions by heart, some without an answer, and says what it learnt."""

from __future__ import annotations

import numpy as np
import torch

from tests.made_models import make_base
from tests.tasks.made_questions import columns_of, examples_of
from whet.batches.flat import TrainingBatches, collect
from whet.models import loading, places
from whet.tasks.question_answering import QuestionAnswering
from whet.tasks.task import Setting

CONTEXT = "where is my card the order has not arrived yet please help i want a refund for this item it was broken"
ASKED = ["card", "order", "help", "refund", "item", "broken", "", ""]
QUESTIONS = ["where", "what order", "please", "want", "it", "why was", "phone", "password"]


def test_questions_are_learnt_by_heart(tmp_path):
    rows = []
    for question, answer in zip(QUESTIONS, ASKED, strict=True):
        start = CONTEXT.index(answer)
        rows.append((question, CONTEXT, [(start, start + len(answer))] if answer else []))
    examples = examples_of(rows)
    place = places.find(str(make_base(tmp_path / "base", "bert")))
    tokenizer = loading.load_tokenizer(place)
    task = QuestionAnswering(Setting(options={"data.stride": 4}))
    task.learn(examples)
    model = loading.load_model(place, task.head(None), tokenizer, seed=0)
    encoded = task.encode(tokenizer, columns_of(examples), 20, None)
    assert len(encoded) > len(examples), "in windows"
    batches = TrainingBatches(encoded, task.targets(examples, encoded), 400, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    objective = task.objective()
    model.eval()  # no dropout: by heart
    for epoch in range(60):
        for batch in batches.starting_at(epoch, 0):
            loss = objective(model, batch)
            (loss.total / loss.num_counted).backward()
            optimiser.step()
            optimiser.zero_grad()
    outputs = collect(model, encoded, 400, per_token=True)
    found = task.predictions("full", outputs, encoded, examples)
    assert found.said == tuple(ASKED)
    assert found.correct.all()
    assert found.confidence.min() > 0.5
    look = task.look(outputs, encoded, examples)
    assert look["answer_f1"] == 1.0
    assert look["loss"] < 0.3
    alone = collect(model, encoded.of_rows(np.asarray([3])), 400, per_token=True)
    again = task.predictions("full", alone, encoded.of_rows(np.asarray([3])), examples.take([3]))
    assert again.said == ("refund",)
    np.testing.assert_allclose(again.confidence, found.confidence[3:4], rtol=1e-4)
