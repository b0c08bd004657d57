from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.made_models import WORDS, make_base
from tests.tasks.learning import overfit
from whet.batches.encoding import Encoded
from whet.data.forms import Examples, Shape
from whet.errors import UserError
from whet.models import sequences
from whet.models.loading import load_model, load_tokenizer
from whet.models.networks import read_config
from whet.models.places import find
from whet.models.task_model import TaskModel
from whet.tasks.language_modeling import known_of
from whet.tasks.rewriting import Summarization, Translation
from whet.tasks.task import Setting

LIMIT = 30
SOURCES = [f"{WORDS[n]} {WORDS[n + 9]} {WORDS[n + 4]}" for n in range(8)]
TARGETS = [f"{WORDS[2 * n]} {WORDS[n + 3]}" for n in range(8)]


def rows(sources: list[str], targets: list[str] | None, split: str = "test") -> Examples:
    columns: dict[str, list[Any]] = {"text": sources}
    more = []
    if targets is not None:
        columns["answers"] = [[target, "another reference"] for target in targets]
        more = [("answers", pa.list_(pa.string()))]
    return Examples.of(columns, Shape(tuple(more)), split)


EXAMPLES = rows(SOURCES, TARGETS)


class Tuned:
    """A tiny model with the task."""

    def __init__(
        self, folder: Path, family: str, kind: type[Translation] | type[Summarization] = Translation, **options: Any
    ) -> None:
        place = find(str(make_base(folder, family, language=True)))
        self.tokenizer = load_tokenizer(place)
        language = options.get("sources.target_language")
        sequences.set_languages(self.tokenizer, options.get("sources.source_language"), language)
        known = known_of(self.tokenizer, read_config(place), language)
        self.task = kind(Setting(options={"generation.max_tokens": 8, **options}, settled=known))
        self.model: TaskModel = load_model(place, self.task.head(None), self.tokenizer, 3)
        self.model.eval()

    def encode(self, examples: Examples = EXAMPLES, limit: int = LIMIT) -> Encoded:
        return self.task.encode(self.tokenizer, self.task.blocks(examples), limit, None)

    def answer(self, examples: Examples = EXAMPLES) -> Any:
        return self.task.answer("m", self.model, self.tokenizer, self.encode(examples), examples, None)

    def overfit(self, steps: int = 250) -> None:
        overfit(self.task, self.model, self.encode(), EXAMPLES, steps)


LANGUAGES = {"mbart": {"sources.source_language": "en_XX", "sources.target_language": "de_DE"}}


@pytest.mark.parametrize("family", ["t5", "mt5", "bart", "mbart", "marian", "m2m_100", "gpt2", "llama"])
def test_eight_rows_are_learnt_and_said(tmp_path: Path, family: str) -> None:
    tuned = Tuned(tmp_path / "base", family, **LANGUAGES.get(family, {}))
    before = tuned.answer()
    tuned.overfit()
    after = tuned.answer()
    assert after.said == tuple(TARGETS)
    assert after.finished is not None and after.finished.all()
    assert after.nats.sum() < 0.2 * before.nats.sum()
    assert after.num_bytes.tolist() == [len(target) for target in TARGETS]


def test_an_encoder_decoder_has_two_sequences_a_row(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path / "base", "marian")
    encoded = tuned.encode()
    assert encoded.parts == 2 and len(encoded) == 8 and encoded.num_sequences == 16
    words = tuned.tokenizer
    for row in range(8):
        assert words.decode(encoded.row(2 * row), skip_special_tokens=True) == SOURCES[row]
        target = encoded.row(2 * row + 1).tolist()
        assert target[0] == words.pad_token_id and target[-1] == words.eos_token_id
        assert words.decode(target, skip_special_tokens=True) == TARGETS[row]
    weights = np.asarray(encoded.weights)
    # of each row every token of the target but the one it begins with
    assert weights.sum() == sum(len(encoded.row(2 * row + 1)) - 1 for row in range(8))


def test_the_likelihood_is_that_of_plain_transformers(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path / "base", "t5")
    found = tuned.answer()
    words, network = tuned.tokenizer, tuned.model.network
    for row in range(8):
        inputs = words(SOURCES[row], return_tensors="pt")
        labels = words(text_target=TARGETS[row], return_tensors="pt")["input_ids"]
        with torch.no_grad():
            loss = network(**{k: inputs[k] for k in ("input_ids", "attention_mask")}, labels=labels).loss
        assert found.nats[row] == pytest.approx(loss.item() * labels.shape[1], rel=1e-4)
        assert found.tokens[row] == labels.shape[1]


def test_what_is_too_long_is_cut_on_record(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path / "base", "bart")
    long = rows([" ".join(WORDS[:20]), WORDS[0]], [WORDS[1], " ".join(WORDS[:20])])
    encoded = tuned.encode(long, limit=10)
    assert encoded.cut.rows == 2
    assert max(np.diff(encoded.offsets)) == 10
    assert encoded.cut.tokens_cut == encoded.cut.tokens_total - sum(
        [10, len(encoded.row(2)), len(encoded.row(1)) - 2, 10 - 2]
    )
    assert encoded.row(0)[-1] == tuned.tokenizer.eos_token_id  # the source keeps its frame


def test_rows_without_references_are_answered(tmp_path: Path) -> None:
    for family in ("marian", "gpt2"):
        tuned = Tuned(tmp_path / family, family)
        with_truth, without = tuned.answer(), tuned.answer(rows(SOURCES, None, "predict"))
        assert without.said == with_truth.said and without.gold is None


def test_a_decoder_reads_what_is_wanted_behind_the_source(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path / "base", "gpt2", Summarization)
    talk = tuned.task.talks(tuned.tokenizer, EXAMPLES)[0][0]
    assert talk[0] == {"role": "prompt", "content": f"{SOURCES[0]}\n\nSummary:"}
    assert talk[1] == {"role": "completion", "content": f" {TARGETS[0]}"}
    chatty = Tuned(
        tmp_path / "chat", "gpt2", Summarization, **{"chat.template": "chatml", "sources.template": "Short: {text}"}
    )
    talk = chatty.task.talks(chatty.tokenizer, EXAMPLES)[0][0]
    assert [one["role"] for one in talk] == ["user", "assistant"] and talk[0]["content"] == f"Short: {SOURCES[0]}"


def test_a_template_without_a_place_is_refused(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path / "base", "t5", **{"sources.template": "translate"})
    with pytest.raises(UserError, match="R031"):
        tuned.encode()


def test_a_language_that_is_not_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="M051"):
        Tuned(tmp_path / "base", "t5", **{"sources.target_language": "de"})
