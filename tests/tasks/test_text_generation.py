from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import WORDS, make_base
from whet.batches import chat
from whet.batches.encoding import Encoded
from whet.batches.flat import TrainingBatches
from whet.data.conversations import MESSAGES
from whet.data.forms import Examples, Shape
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import find
from whet.models.task_model import TaskModel
from whet.tasks.task import Setting
from whet.tasks.text_generation import TextGeneration, counted_turns, fitted

LIMIT = 48


def message(role: str, content: str, weight: float | None = None) -> dict[str, Any]:
    return {
        "role": role,
        "content": content,
        "weight": weight,
        "name": None,
        "tool_calls": None,
        "tool_call_id": None,
    }


def conversations(rows: list[list[dict[str, Any]]], split: str = "test", answered: bool = True) -> Examples:
    more = [("answers", pa.list_(pa.string()))] if answered else []
    columns: dict[str, list[Any]] = {
        "text": [row[0]["content"] if row else "" for row in rows],
        "messages": rows,
        **({"answers": [[row[-1]["content"]] for row in rows]} if answered else {}),
    }
    return Examples.of(columns, Shape((*more, ("messages", MESSAGES))), split)


TALKS = [
    [message("user", f"{WORDS[n]} {WORDS[n + 9]}"), message("assistant", f"{WORDS[2 * n]} {WORDS[n + 3]} {WORDS[n]}")]
    for n in range(8)
]
EXAMPLES = conversations(TALKS)


class Tuned:
    """A tiny decoder with the task."""

    def __init__(self, folder: Path, family: str = "gpt2", **options: Any) -> None:
        place = find(str(make_base(folder, family, language=True)))
        self.tokenizer = load_tokenizer(place)
        self.task = TextGeneration(Setting(options={"generation.max_tokens": 12, **options}))
        self.model: TaskModel = load_model(place, self.task.head(None), self.tokenizer, 3)
        self.model.use_flat_batches()
        self.model.eval()

    def encode(self, examples: Examples = EXAMPLES, limit: int = LIMIT) -> Encoded:
        return self.task.encode(self.tokenizer, self.task.blocks(examples), limit, None)

    def answer(self, examples: Examples = EXAMPLES) -> Any:
        return self.task.answer("m", self.model, self.tokenizer, self.encode(examples), examples, None)

    def overfit(self, steps: int = 200) -> None:
        encoded = self.encode()
        batches = TrainingBatches(encoded, self.task.targets(EXAMPLES, encoded), 10_000, seed=0)
        optimiser = torch.optim.Adam(self.model.parameters(), lr=5e-3)
        for step in range(steps):
            for batch in batches.starting_at(step, 0):
                found = self.task.objective()(self.model, batch)
                optimiser.zero_grad()
                (found.total / found.num_counted).backward()
                optimiser.step()


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_it_learns_answers_by_heart_and_says_them_alone_and_together(tmp_path: Path, family: str) -> None:
    tuned = Tuned(tmp_path, family)
    before = tuned.answer()
    tuned.overfit()
    after = tuned.answer()
    assert after.nats.sum() < 0.1 * before.nats.sum()
    assert after.said == tuple(talk[-1]["content"] for talk in TALKS)
    assert after.finished.all() and after.correct.all()
    alone = [tuned.answer(conversations([talk])).said[0] for talk in TALKS]
    assert tuple(alone) == after.said


def test_only_answers_carry_loss_and_the_prompt_is_what_is_asked_in_use(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    encoded = tuned.encode()
    assert encoded.weights is not None
    asked = tuned.encode(conversations([talk[:1] for talk in TALKS], answered=False))
    for row in range(len(TALKS)):
        ids, prompt = encoded.row(row), int(encoded.second[row])
        weights = np.asarray(encoded.weights[encoded.offsets[row] : encoded.offsets[row + 1]])
        assert not weights[:prompt].any() and weights[prompt:].any()
        assert asked.row(row).tolist() == ids[:prompt].tolist()
        assert int(asked.second[row]) == prompt


def test_validation_is_not_written_for(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    rows = conversations(TALKS, "validation")
    found = tuned.answer(rows)
    assert found.said is None and found.nats is not None
    assert found.num_bytes.tolist() == [len(talk[-1]["content"].encode()) for talk in TALKS]


def test_rows_without_an_answer_are_answered(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    found = tuned.answer(conversations([talk[:1] for talk in TALKS] + [[]], answered=False))
    assert len(found.said) == 9 and found.gold is None and not found.tokens.any()


@pytest.mark.parametrize(
    ("train", "wanted"), [("answers", ["b", "d"]), ("last", ["d"]), ("all", ["a", "b", "c", "d"]), ("weights", ["d"])]
)
def test_which_turns_count(train: str, wanted: list[str]) -> None:
    talk = [message("user", "a"), message("assistant", "b", 0.0), message("user", "c"), message("assistant", "d")]
    assert [one["content"] for one in counted_turns(talk, train)] == wanted


@given(st.integers(1, 30), st.integers(0, 30), st.integers(4, 40), st.sampled_from(["prompt", "answer"]))
def test_what_is_cut_is_counted_and_something_is_left_to_say(
    prompt: int, answer: int, limit: int, what: chat.Cut
) -> None:
    ids = np.arange(prompt + answer)
    weights = (ids >= prompt).astype(np.float32)
    found = fitted(chat.Rendered(ids, weights, prompt), limit, what)
    assert len(found.ids) == len(found.weights) <= limit
    assert len(found.ids) + found.num_cut == prompt + answer
    if answer:
        assert 1 <= found.prompt_length < len(found.ids)
        assert found.ids[found.prompt_length] == prompt, "the answer keeps its beginning"
        if what == "prompt" and answer < limit:
            assert found.ids[-1] == prompt + answer - 1, "and its end where it fits"
    else:
        assert found.prompt_length == len(found.ids) < limit


def test_conversations_are_looked_at_before_training(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    found = {one.code: one for one in tuned.task.findings(tuned.tokenizer, EXAMPLES, LIMIT)}
    assert found["G002"].bin == "passed" and "G001" in found and "G003" in found
