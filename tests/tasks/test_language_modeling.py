from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.made_models import WORDS, make_base
from tests.tasks.learning import overfit
from whet.batches.encoding import Encoded
from whet.batches.flat import make
from whet.data.forms import Examples, Shape
from whet.models.loading import load_model, load_tokenizer
from whet.models.networks import read_config
from whet.models.places import find
from whet.models.task_model import TaskModel
from whet.tasks.fill_mask import FillMask
from whet.tasks.language_loss import next_tokens, sums_by_row
from whet.tasks.language_modeling import LanguageModeling, LanguageTask, known_of, windows_of
from whet.tasks.task import Setting

LIMIT = 16


def texts(*given: str) -> Examples:
    return Examples.of({"text": list(given)}, Shape(()), "train")


EXAMPLES = texts(
    *(" ".join(WORDS[(7 * row + step) % len(WORDS)] for step in range(4 + 3 * row)) for row in range(8)), WORDS[0]
)


class Tuned:
    """A tiny language model with a task."""

    def __init__(self, folder: Path, task: LanguageTask, family: str) -> None:
        place = find(str(make_base(folder, family, language=True)))
        self.tokenizer = load_tokenizer(place)
        if isinstance(task, FillMask):  # any word of the made vocabulary will do
            self.tokenizer.mask_token = "<unk>"
        known = known_of(self.tokenizer, read_config(place))
        task.__init__(replace(task.setting, settled=known))  # type: ignore[misc]
        self.task = task
        self.model: TaskModel = load_model(place, task.head(None), self.tokenizer, 3)
        self.model.use_flat_batches()
        self.model.eval()

    def encode(self, examples: Examples = EXAMPLES) -> Encoded:
        return self.task.encode(self.tokenizer, self.task.blocks(examples), LIMIT, None)

    def nats(self, examples: Examples = EXAMPLES) -> Any:
        encoded = self.encode(examples)
        return self.task.predictions("m", self.task.outputs(self.model, encoded), encoded, examples)

    def overfit(self, steps: int = 120, rate: float = 5e-3) -> None:
        overfit(self.task, self.model, self.encode(), EXAMPLES, steps, rate)


def causal(folder: Path, family: str = "gpt2", **options: Any) -> Tuned:
    return Tuned(folder, LanguageModeling(Setting(options=options)), family)


def masked(folder: Path, family: str = "bert", **options: Any) -> Tuned:
    return Tuned(folder, FillMask(Setting(options=options)), family)


# --- windows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [None, 99])
@pytest.mark.parametrize("stride", [0, 1, 3])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 40])
def test_every_token_counts_in_one_window(start: int | None, stride: int, count: int) -> None:
    ids = list(range(count))
    counted: list[int] = []
    for number, (window, weights) in enumerate(windows_of(ids, start, 8, stride)):
        assert len(window) == len(weights) <= 8
        assert number == 0 or weights[0] == 0.0  # something tells of its first token
        counted += [one for one, weight in zip(window, weights, strict=True) if weight]
        told = [one for one in window if one != start]
        assert told == list(range(told[0], told[0] + len(told)))
    assert counted == ids


def test_a_document_costs_what_transformers_says(tmp_path: Path) -> None:
    found = causal(tmp_path)
    encoded, said = found.encode(), found.nats()
    for row in range(len(EXAMPLES)):
        total, count = 0.0, 0
        for sequence in np.flatnonzero(np.asarray(encoded.rows) == row):
            ids = torch.from_numpy(encoded.row(int(sequence)).astype(np.int64))
            found.model.use_padded_batches()
            with torch.no_grad():
                logits = found.model.network(input_ids=ids[None]).logits[0, :-1]
            found.model.use_flat_batches()
            losses = F.cross_entropy(logits.float(), ids[1:], reduction="none")
            begin = int(encoded.offsets[sequence])
            weights = torch.from_numpy(np.asarray(encoded.weights[begin + 1 : begin + len(ids)]))  # type: ignore[index]
            total, count = total + float((losses * weights).sum()), count + int(weights.sum())
        assert said.nats[row] == pytest.approx(total, rel=1e-4) and said.tokens[row] == count
    assert said.num_bytes.tolist() == [len(text) for text in EXAMPLES.column("text")]


def test_a_document_does_not_see_its_neighbour(tmp_path: Path) -> None:
    found = causal(tmp_path, "llama")
    alone = [found.nats(texts(text)).nats[0] for text in EXAMPLES.column("text")]
    assert found.nats().nats == pytest.approx(alone, abs=1e-3)


def test_only_what_counts_goes_through_the_last_layer(tmp_path: Path) -> None:
    found = causal(tmp_path)
    batch = make(found.encode(), np.arange(3), None)
    wanted = next_tokens(batch)
    assert (wanted.said - wanted.read == 1).all()
    starts = set(batch.where.starts.tolist())
    assert not starts & set(wanted.said.tolist())
    assert torch.equal(wanted.ids, batch.input_ids[0][wanted.said])


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "gemma2", "opt", "gpt_neox", "phi", "xlnet"])
def test_it_learns_a_few_texts_by_heart(tmp_path: Path, family: str) -> None:
    found = causal(tmp_path, family)
    before = found.nats()
    found.overfit(steps=200)
    after = found.nats()
    assert after.nats.sum() < 0.3 * before.nats.sum()
    assert after.num_right.sum() > 0.8 * after.tokens.sum()


# --- hidden words -----------------------------------------------------------------------------------------


def with_mask(folder: Path, **options: Any) -> Tuned:
    return masked(folder, "bert", **options)


def test_the_same_words_are_hidden_at_every_look_and_others_in_training(tmp_path: Path) -> None:
    found = with_mask(tmp_path)
    encoded = found.encode()
    whole = make(encoded, np.arange(len(encoded)), None)
    alone = make(encoded, np.asarray([2]), None)
    start = int(whole.where.starts[2])
    again = found.task.choose(whole).said
    assert torch.equal(again, found.task.choose(whole).said)
    inside = again[(again >= start) & (again < start + alone.num_tokens)] - start
    assert torch.equal(inside, found.task.choose(alone).said)
    torch.manual_seed(0)
    objective: Any = found.task.objective()
    assert not torch.equal(objective.choose(whole).said, objective.choose(whole).said)


def test_whole_words_are_hidden_and_some_of_each_text(tmp_path: Path) -> None:
    found = with_mask(tmp_path, **{"masking.share": 0.5})
    encoded = found.encode()
    whole = make(encoded, np.arange(len(encoded)), None)
    wanted = found.task.choose(whole)
    words = np.asarray(encoded.words)
    assert (words[wanted.said.numpy()] >= 0).all()
    row = np.repeat(np.arange(len(encoded)), np.diff(encoded.offsets))
    assert set(row[wanted.said.numpy()]) == set(range(len(encoded)))
    shown, mask = wanted.batch.input_ids[0][wanted.said], found.tokenizer.mask_token_id
    share = float((shown == mask).float().mean())
    assert 0.6 < share <= 1.0 and wanted.ids.tolist() == whole.input_ids[0][wanted.said].tolist()
    hidden = set(wanted.said.tolist())
    for place in range(1, whole.num_tokens):
        if words[place] >= 0 and words[place] == words[place - 1] and row[place] == row[place - 1]:
            assert (place in hidden) == (place - 1 in hidden)


def test_it_learns_hidden_words(tmp_path: Path) -> None:
    found = with_mask(tmp_path, **{"masking.share": 0.3})
    before = found.nats()
    found.overfit(steps=400, rate=3e-3)
    after = found.nats()
    assert after.nats.sum() < 0.5 * before.nats.sum()
    assert after.tokens.tolist() == before.tokens.tolist()


def test_numbers_are_summed_by_row_over_windows(tmp_path: Path) -> None:
    found = causal(tmp_path)
    encoded = found.encode()
    ones = torch.ones(encoded.num_tokens, 1)
    assert sums_by_row(ones, encoded, len(EXAMPLES))[:, 0].sum() == encoded.num_tokens
    look = found.task.look(found.task.outputs(found.model, encoded), encoded, EXAMPLES)
    assert look["likelihood"] == -look["loss"] and 0 <= look["token_accuracy"] <= 1
    assert look["loss"] == pytest.approx(found.nats().nats.sum() / found.nats().tokens.sum(), rel=1e-5)
    assert math.isfinite(look["loss"])
