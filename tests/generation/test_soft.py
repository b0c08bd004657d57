"""Writing behind learnt vectors: as PEFT itself writes, alone as in a batch, in as many places fewer."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import POSITIONS, make_base
from whet.errors import UserError
from whet.generation.closed import label_nats
from whet.generation.loop import Sampling, generate, stream
from whet.generation.reading_prompts import room
from whet.generation.reading_sources import answer_room, refuse_long_sources
from whet.models import sequences, soft_prompts, soft_reading, soft_starts
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.networks import quiet
from whet.models.places import find
from whet.models.task_model import TaskModel

FAMILIES = ("llama", "gpt2", "opt", "mistral", "gemma2", "t5", "m2m_100")
METHODS = tuple(soft_prompts.ADAPT)
NUM, EOS = 3, 3
GREEDY = Sampling(max_tokens=8)
DRAWN = Sampling(max_tokens=8, temperature=1.3, top_p=0.95, seed=3)
LABELS = [np.array([5, 6]), np.array([9])]


@cache
def base(family: str) -> Path:
    return make_base(Path(mkdtemp()) / family, family, width=32, language=True)


@cache
def written_with(family: str, method: str) -> tuple[TaskModel, Any, Any, Any]:
    """A model, its PeftModel, its tokenizer, and what its answers begin with."""
    place = find(str(base(family)))
    tokenizer = load_tokenizer(place)
    model = load_model(place, Head("language"), tokenizer, seed=5)
    options = {"soft.tokens": NUM, "soft.start": "words", "soft.width": "auto", soft_starts.WORDS: [6, 7]}
    adapter = soft_prompts.ADAPT[method](model, options, "somewhere", 1)
    assert model.soft is not None
    random = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for parameter in model.soft.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=random))
    model.eval()
    adapter.eval()
    writes = model.guesses == "target"
    target = "__de__" if family == "m2m_100" else None
    begins = np.asarray(sequences.prefix(tokenizer, model.network.config, target)) if writes else None
    return model, adapter, tokenizer, begins


def prompts(family: str) -> list[Any]:
    found = [np.array([5, 6, 7]), np.array([8, 9, 10, 11, 5, 6, 7, 8, 9]), np.array([12, 13])]
    return [np.append(one, EOS) for one in found] if family in ("t5", "m2m_100") else found


def said(family: str, method: str, given: list[Any], sampling: Sampling = GREEDY) -> list[Any]:
    model, _, tokenizer, begins = written_with(family, method)
    return generate(model.network, tokenizer, given, sampling, eos_ids=[EOS], begins=begins)


def by_peft(family: str, method: str, prompt: Any) -> list[int]:
    model, adapter, _, begins = written_with(family, method)
    ids = torch.from_numpy(prompt)[None]
    given = {} if begins is None else {"decoder_input_ids": torch.from_numpy(begins)[None], "forced_bos_token_id": None}
    model.network.set_attn_implementation("eager")
    ends = {"max_new_tokens": 8, "do_sample": False, "eos_token_id": EOS, "forced_eos_token_id": None}
    with quiet(), torch.no_grad():
        found = adapter.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **ends, **given)
    list_of: list[int] = found[0, len(prompt if begins is None else begins) :].tolist()
    return list_of


@pytest.mark.filterwarnings("ignore::UserWarning")  # PEFT says that it counts positions itself
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_is_what_peft_says(family: str, method: str) -> None:
    for prompt in prompts(family):
        assert said(family, method, [prompt])[0].ids == by_peft(family, method, prompt)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_does_not_change_what_is_said(family: str, method: str) -> None:
    given = prompts(family)
    for sampling in (GREEDY, DRAWN):
        alone = [said(family, method, [one], sampling)[0] for one in given]
        for one, other in zip(alone, said(family, method, given, sampling), strict=True):
            assert one.ids == other.ids
            assert one.nats == pytest.approx(other.nats, abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_what_prompts_share_is_read_once_behind_the_vectors(method: str) -> None:
    start = np.array([5, 6, 7, 8, 9, 10, 11, 12, 13])
    given = [np.append(start, end) for end in ([5], [6, 7], [8])]
    alone = [said("llama", method, [one])[0].ids for one in given]
    assert [one.ids for one in said("llama", method, given)] == alone


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_closed_answers_are_as_likely_alone_as_in_a_batch(family: str, method: str) -> None:
    model, _, _, begins = written_with(family, method)
    given = prompts(family)
    together = label_nats(model.network, given, LABELS, begins=begins)
    alone = [label_nats(model.network, [one], LABELS, begins=begins) for one in given]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("family", ["llama", "gemma2", "t5"])
def test_a_stream_says_the_same(family: str, method: str) -> None:
    model, _, tokenizer, begins = written_with(family, method)
    prompt = prompts(family)[0]
    pieces = stream(model.network, tokenizer, prompt, GREEDY, eos_ids=[EOS], begins=begins)
    assert "".join(pieces) == said(family, method, [prompt])[0].text


@pytest.mark.parametrize("method", ["prompt", "p-tuning"])
@pytest.mark.parametrize("family", FAMILIES)
def test_beams_behind_prompts_do_not_depend_on_the_batch(family: str, method: str) -> None:
    given, beams = prompts(family), Sampling(max_tokens=6, num_beams=2)
    alone = [said(family, method, [one], beams)[0].ids for one in given]
    assert [one.ids for one in said(family, method, given, beams)] == alone


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_beams_behind_a_prefix_are_refused(family: str) -> None:
    with pytest.raises(UserError, match="C011"):
        said(family, "prefix", prompts(family), Sampling(max_tokens=6, num_beams=2))


def test_switched_off_the_base_writes() -> None:
    model, _, tokenizer, _ = written_with("llama", "prompt")
    plain = load_model(find(str(base("llama"))), Head("language"), tokenizer, seed=5).eval().network
    wanted = [one.ids for one in generate(plain, tokenizer, prompts("llama"), GREEDY, eos_ids=[EOS])]
    assert [one.ids for one in said("llama", "prompt", prompts("llama"))] != wanted
    with soft_reading.switched_off(model.network):
        assert [one.ids for one in said("llama", "prompt", prompts("llama"))] == wanted


def test_vectors_take_places_of_texts() -> None:
    for method in METHODS:
        assert room(written_with("gpt2", method)[0].network) == POSITIONS - NUM
    model, _, _, begins = written_with("m2m_100", "prompt")
    assert answer_room(model.network, begins) == POSITIONS - len(begins) + 1
    refuse_long_sources(model.network, [np.full(POSITIONS - NUM, 5)])
    with pytest.raises(UserError, match="C010"):
        refuse_long_sources(model.network, [np.full(POSITIONS - NUM + 1, 5)])
    model, _, _, begins = written_with("m2m_100", "prefix")
    assert answer_room(model.network, begins) == POSITIONS - len(begins) + 1 - NUM
    refuse_long_sources(model.network, [np.full(POSITIONS, 5)])
