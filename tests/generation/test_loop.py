"""What is generated: as transformers does it, alone as in a batch, within limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.generation.made_language_models import EOS, POSITIONS, SHAPES, network, prompts, tokenizer
from whet.errors import UserError
from whet.generation import reading_prompts
from whet.generation.loop import Said, Sampling, generate, stream
from whet.models import flat_attention

GREEDY = Sampling(max_tokens=12)
DRAWN = Sampling(max_tokens=12, temperature=1.3, top_p=0.95, top_k=40, min_p=0.01, seed=3)


def said(family: str, given: list[Any], sampling: Sampling = GREEDY, **more: Any) -> list[Said]:
    return generate(network(family), tokenizer(), given, sampling, eos_ids=[EOS], **more)


def by_transformers(family: str, prompt: Any, **more: Any) -> list[int]:
    found = network(family).generate(
        torch.tensor([prompt.tolist()]), max_new_tokens=12, do_sample=False, eos_token_id=EOS, pad_token_id=1, **more
    )
    ids: list[int] = found[0, len(prompt) :].tolist()
    return ids


@pytest.mark.parametrize("family", SHAPES)
def test_greedy_is_what_transformers_says(family: str) -> None:
    given = prompts()
    assert [one.ids for one in said(family, given)] == [by_transformers(family, one) for one in given]


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("family", SHAPES)
def test_a_batch_does_not_change_what_is_said(family: str, sampling: Sampling) -> None:
    given = prompts(8, shared=10)
    alone = [said(family, [one], sampling)[0] for one in given]
    together = said(family, given, sampling)
    small = said(family, given[::-1], sampling, batch_tokens=70)[::-1]
    for one, other, third in zip(alone, together, small, strict=True):
        assert one.ids == other.ids == third.ids
        assert one.text == other.text == third.text
        assert one.nats == pytest.approx(other.nats, abs=1e-3)


@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
def test_nats_are_those_of_one_pass_over_the_whole(family: str) -> None:
    for sampling in (GREEDY, DRAWN):
        for prompt, one in zip(prompts(), said(family, prompts(), sampling), strict=True):
            whole = torch.tensor([[*prompt.tolist(), *one.ids]])
            with torch.no_grad():
                logits = network(family)(whole).logits[0].double().log_softmax(-1)
            told = -logits[len(prompt) - 1 : -1].gather(1, torch.tensor(one.ids)[:, None]).sum()
            assert one.nats == pytest.approx(float(told), abs=1e-3)


def test_what_prompts_share_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    called = reading_prompts.called

    def counting(network: Any, tokens: torch.Tensor, *more: Any) -> torch.Tensor:
        read.append(tokens.numel())
        return called(network, tokens, *more)

    monkeypatch.setattr(reading_prompts, "called", counting)
    given = [np.concatenate([np.arange(4, 44), [number]]) for number in range(4, 12)]
    said("llama", given, replace(GREEDY, max_tokens=1))
    assert sum(read) == 40 + 8
    read.clear()
    said("mistral", given, replace(GREEDY, max_tokens=1))  # padding would count among the tokens it looks back
    assert sum(read) == 8 * 41


def test_a_stop_text_ends_an_answer_and_is_no_part_of_it() -> None:
    prompt = prompts()[0]
    whole = said("gemma2", [prompt])[0]  # twelve different words
    words = whole.text.split()
    stopped = said("gemma2", [prompt], replace(GREEDY, stop=("w99", f"{words[3]} {words[4]}")))[0]
    assert stopped.ids == whole.ids[:5]
    assert stopped.text.split() == words[:3]
    assert stopped.finished and not whole.finished


def test_a_stop_token_ends_an_answer_and_is_said_but_not_read() -> None:
    prompt = prompts()[1]
    whole = said("llama", [prompt])[0]
    assert whole.text == tokenizer().decode(whole.ids)
    place = next(n for n in range(2, 12) if whole.ids[n] not in whole.ids[:n])
    stopped = generate(network("llama"), tokenizer(), [prompt], GREEDY, eos_ids=[whole.ids[place]])[0]
    assert stopped.ids == whole.ids[: place + 1]
    assert stopped.text.split() == whole.text.split()[:place]
    assert stopped.finished


def test_an_answer_ends_where_the_model_does() -> None:
    given = [4 + np.arange(size) % 50 for size in (POSITIONS - 3, 5)]
    for family in ("gpt2", "llama"):
        long, short = said(family, given)
        assert len(long.ids) == 3 or long.finished
        assert len(short.ids) == 12 or short.finished


@pytest.mark.parametrize("size", [0, POSITIONS, POSITIONS + 5])
def test_a_prompt_without_room_is_refused(size: int) -> None:
    with pytest.raises(UserError, match="C010") as refused:
        said("llama", [np.full(size, 5), np.array([4])])
    assert "1 of 2" in str(refused.value)


def test_the_tokenizer_says_what_ends_an_answer_where_nobody_does() -> None:
    given = prompts(8)
    for sampling in (GREEDY, replace(GREEDY, num_beams=2)):
        assert generate(network("gpt2"), tokenizer(), given, sampling) == said("gpt2", given, sampling)
    assert any(one.finished for one in said("gpt2", given))


def test_no_prompts_no_answers() -> None:
    assert said("llama", []) == []


def test_progress_is_told() -> None:
    told: list[int] = []
    said("llama", prompts(6), replace(GREEDY, max_tokens=2), batch_tokens=20, progress=told.append)
    assert told[-1] == 6 and told == sorted(told) and len(told) > 1


def test_draws_follow_the_seed_and_the_prompt() -> None:
    given = prompts(4)
    first, again, other = (said("gpt2", given, replace(DRAWN, seed=seed)) for seed in (1, 1, 2))
    assert [one.ids for one in first] == [one.ids for one in again]
    assert [one.ids for one in first] != [one.ids for one in other]
    twice = said("gpt2", [given[0], given[0]], DRAWN)
    assert twice[0] == twice[1]


@pytest.mark.parametrize(
    "sampling", [GREEDY, DRAWN, replace(GREEDY, stop=("w7", "w1"))], ids=["greedy", "drawn", "stop"]
)
def test_a_stream_says_the_same(sampling: Sampling) -> None:
    for prompt in prompts(5):
        pieces = list(stream(network("qwen2"), tokenizer(), prompt, sampling, eos_ids=[EOS]))
        assert "".join(pieces) == said("qwen2", [prompt], sampling)[0].text


def test_a_constraint_holds_row_by_row() -> None:
    given = prompts(5)
    rows: set[int] = set()

    def only(row: int, ids: list[int]) -> list[int] | None:
        rows.add(row)
        if row == 2:
            return None
        return [10 + row, 20 + row] if len(ids) < 4 else [EOS]

    free = said("llama", given)
    for number, one in enumerate(said("llama", given, constraint=only)):
        if number == 2:
            assert one.ids == free[2].ids
        else:
            assert set(one.ids[:-1]) <= {10 + number, 20 + number}
            assert one.ids[-1] == EOS and len(one.ids) == 5 and one.finished
    assert rows == set(range(5))


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_beams_are_those_of_transformers(family: str) -> None:
    given = prompts(4)
    found = said(family, given, replace(GREEDY, num_beams=3))
    for prompt, one in zip(given, found, strict=True):
        told = by_transformers(family, prompt, num_beams=3)
        assert one.ids == told[: len(one.ids)]
        assert one.finished == (one.ids[-1] == EOS)
    greedy = said(family, given)
    assert sum(one.nats for one in found) < sum(one.nats for one in greedy)


def test_settings_that_a_model_brings_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network("llama")
    plain = said("llama", prompts(3), replace(GREEDY, num_beams=2))
    for name, value in {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "min_new_tokens": 9}.items():
        monkeypatch.setattr(model.generation_config, name, value)
    assert said("llama", prompts(3), replace(GREEDY, num_beams=2)) == plain


def test_beams_take_no_constraint() -> None:
    with pytest.raises(UserError, match="C011"):
        said("llama", prompts(1), replace(GREEDY, num_beams=2), constraint=lambda row, ids: None)


def test_a_network_is_left_as_it_was() -> None:
    model = network("qwen3")
    plain = said("qwen3", prompts(2))
    attention = model.config._attn_implementation
    flat_attention.register()
    model.set_attn_implementation(flat_attention.NAME)
    model.train()
    try:
        assert said("qwen3", prompts(2)) == plain
        assert model.training and model.config._attn_implementation == flat_attention.NAME
    finally:
        model.set_attn_implementation(attention)
        model.eval()
