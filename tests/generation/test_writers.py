"""What an encoder-decoder writes: as transformers does it, alone as in a batch, within limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.generation.made_language_models import EOS, POSITIONS, WRITERS, begins, network, prompts, tokenizer, writer
from whet.errors import UserError
from whet.generation import reading_prompts
from whet.generation.closed import label_nats
from whet.generation.loop import Said, Sampling, generate, stream

GREEDY = Sampling(max_tokens=12)
DRAWN = Sampling(max_tokens=12, temperature=1.3, top_p=0.95, top_k=40, min_p=0.01, seed=3)
BEAMS = replace(GREEDY, num_beams=3)
PAD = 1
LABELS = [np.array(one) for one in ([7], [8, 9], [7, 10, 11, 3], [30, 31])]


def said(family: str, sources: list[Any], sampling: Sampling = GREEDY, **more: Any) -> list[Said]:
    known = {"eos_ids": [EOS], "begins": begins(family)} | more
    return generate(writer(family), tokenizer(), sources, sampling, **known)


def by_transformers(family: str, source: Any, sampling: Sampling = GREEDY) -> list[int]:
    """As whoever has the saved model would ask for it: one source, the language or the like forced."""
    first, *forced = begins(family).tolist()
    found = writer(family).generate(
        torch.tensor([source.tolist()]),
        max_new_tokens=sampling.max_tokens + len(forced),
        num_beams=sampling.num_beams,
        length_penalty=sampling.length_penalty,
        do_sample=False,
        decoder_start_token_id=first,
        forced_bos_token_id=forced[0] if forced else None,
        eos_token_id=EOS,
        pad_token_id=PAD,
    )
    ids: list[int] = found[0, 1 + len(forced) :].tolist()
    return ids


def logits(family: str, source: Any, target: list[int]) -> torch.Tensor:
    """(len(target), V) log likelihoods in one pass without a cache."""
    first = begins(family).tolist()
    with torch.no_grad():
        found = writer(family)(
            input_ids=torch.tensor([source.tolist()]), decoder_input_ids=torch.tensor([[*first, *target[:-1]]])
        )
    return found.logits[0, len(first) - 1 :].double().log_softmax(-1)


@pytest.mark.parametrize("family", WRITERS)
def test_greedy_is_what_transformers_says(family: str) -> None:
    sources = prompts()
    found = [one.ids for one in said(family, sources)]
    assert found == [by_transformers(family, one) for one in sources]
    assert len({tuple(one) for one in found}) > 1, "sources that all read alike say nothing"


@pytest.mark.parametrize("family", WRITERS)
@pytest.mark.parametrize("penalty", [1.0, 3.0, -1.0])
def test_beams_are_those_of_transformers(family: str, penalty: float) -> None:
    sources = prompts()
    sampling = replace(BEAMS, length_penalty=penalty)
    alone = [said(family, [one], sampling)[0] for one in sources]
    for source, one, other in zip(sources, alone, said(family, sources, sampling), strict=True):
        told = by_transformers(family, source, sampling)
        assert one.ids == other.ids == told[: len(one.ids)]
        assert one.finished == (one.ids[-1] == EOS)
        assert all(token == PAD for token in told[len(one.ids) :])
        told_nats = -logits(family, source, one.ids).gather(1, torch.tensor(one.ids)[:, None]).sum()
        assert one.nats == pytest.approx(float(told_nats), abs=1e-3)


def test_a_length_penalty_makes_longer_texts() -> None:
    few, many = (
        sum(len(one.ids) for family in WRITERS for one in said(family, prompts(), replace(BEAMS, length_penalty=power)))
        for power in (-2.0, 4.0)
    )
    assert few < many


@pytest.mark.parametrize("sampling", [GREEDY, DRAWN], ids=["greedy", "drawn"])
@pytest.mark.parametrize("family", WRITERS)
def test_a_batch_does_not_change_what_is_said(family: str, sampling: Sampling) -> None:
    sources = prompts(8, shared=10)
    alone = [said(family, [one], sampling)[0] for one in sources]
    together = said(family, sources, sampling)
    small = said(family, sources[::-1], sampling, batch_tokens=70)[::-1]
    for one, other, third in zip(alone, together, small, strict=True):
        assert one.ids == other.ids == third.ids
        assert one.text == other.text == third.text
        assert one.nats == pytest.approx(other.nats, abs=1e-3)


@pytest.mark.parametrize("family", WRITERS)
def test_nats_are_those_of_one_pass_without_a_cache(family: str) -> None:
    for sampling in (GREEDY, DRAWN):
        for source, one in zip(prompts(), said(family, prompts(), sampling), strict=True):
            if family == "m2m_100" and PAD in one.ids:  # which it does not count as a place where it has no cache
                continue
            told = -logits(family, source, one.ids).gather(1, torch.tensor(one.ids)[:, None]).sum()
            assert one.nats == pytest.approx(float(told), abs=1e-3)


@pytest.mark.parametrize("batch_tokens", [1, 60, 8192])
@pytest.mark.parametrize("family", WRITERS)
def test_likelihoods_of_closed_answers(family: str, batch_tokens: int) -> None:
    sources = prompts(5, shared=9)
    found = label_nats(writer(family), sources, LABELS, begins=begins(family), batch_tokens=batch_tokens)
    expected = [
        [-float(logits(family, source, one.tolist()).gather(1, torch.tensor(one)[:, None]).sum()) for one in LABELS]
        for source in sources
    ]
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_a_source_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    written: list[int] = []
    encoder = writer("bart").get_encoder()
    handle = encoder.register_forward_pre_hook(
        lambda _, given, named: read.append(int(named["attention_mask"].sum())), with_kwargs=True
    )
    called = reading_prompts.called

    def counting(network: Any, tokens: torch.Tensor, *more: Any) -> torch.Tensor:
        written.append(int(tokens.shape[1]))
        return called(network, tokens, *more)

    monkeypatch.setattr(reading_prompts, "called", counting)
    monkeypatch.setattr("whet.generation.reading_sources.called", counting)
    sources = prompts(4)
    found = said("bart", sources)
    handle.remove()
    assert read == [sum(len(one) for one in sources)]
    longest = max(len(one.ids) for one in found)
    assert written == [2, *[1] * (longest - 1)], "what answers begin with, then a token at a time"


def test_rows_that_are_finished_leave_their_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    called = reading_prompts.called

    def counting(network: Any, tokens: torch.Tensor, *more: Any) -> torch.Tensor:
        sizes.append(len(tokens))
        return called(network, tokens, *more)

    monkeypatch.setattr(reading_prompts, "called", counting)
    found = said("t5", prompts(8), DRAWN)
    ended = [len(one.ids) for one in found if one.finished]
    assert ended
    assert sizes == [sum(len(one.ids) > step for one in found) for step in range(1, max(len(o.ids) for o in found))]


@pytest.mark.parametrize(
    "sampling", [GREEDY, DRAWN, replace(GREEDY, stop=("w7", "w1"))], ids=["greedy", "drawn", "stop"]
)
def test_a_stream_says_the_same(sampling: Sampling) -> None:
    for source in prompts(5):
        given = {"eos_ids": [EOS], "begins": begins("m2m_100")}
        pieces = list(stream(writer("m2m_100"), tokenizer(), source, sampling, **given))
        assert "".join(pieces) == said("m2m_100", [source], sampling)[0].text


def test_an_answer_ends_where_the_decoder_does() -> None:
    for family in ("bart", "marian"):
        sampling = replace(GREEDY, max_tokens=200)
        one = said(family, prompts(1), sampling, eos_ids=[])[0]
        room = POSITIONS - len(begins(family)) + 1  # the last token is never read
        assert len(one.ids) == room and not one.finished
        told = label_nats(writer(family), prompts(1), [np.asarray(one.ids)], begins=begins(family))
        assert told[0, 0] == pytest.approx(one.nats, abs=1e-2)
        with pytest.raises(UserError, match="C010 the labels"):
            label_nats(writer(family), prompts(1), [np.full(room + 1, 5)], begins=begins(family))
        few = said(family, prompts(1), replace(sampling, num_beams=2), eos_ids=[])[0]
        assert len(few.ids) == room
    assert len(said("t5", prompts(1), replace(GREEDY, max_tokens=100), eos_ids=[])[0].ids) == 100


@pytest.mark.parametrize("size", [0, POSITIONS + 1])
def test_a_source_that_cannot_be_read_is_refused(size: int) -> None:
    for ask in (lambda some: said("bart", some), lambda some: said("bart", some, BEAMS)):
        with pytest.raises(UserError, match="C010") as refused:
            ask([np.full(size, 5), np.array([4])])
        assert "1 of 2" in str(refused.value)
    assert said("bart", [np.full(POSITIONS, 5)])[0].ids


def test_what_answers_begin_with_is_given_where_it_belongs() -> None:
    with pytest.raises(ValueError, match="begin"):
        said("bart", prompts(1), begins=None)
    with pytest.raises(ValueError, match="begin"):
        generate(network("llama"), tokenizer(), prompts(1), GREEDY, begins=np.array([1]))


def test_a_constraint_holds_row_by_row() -> None:
    def only(row: int, ids: list[int]) -> list[int] | None:
        return [10 + row, 20 + row] if len(ids) < 4 else [EOS]

    for number, one in enumerate(said("marian", prompts(5), constraint=only)):
        assert set(one.ids[:-1]) <= {10 + number, 20 + number}
        assert one.ids[-1] == EOS and len(one.ids) == 5 and one.finished


def test_settings_that_a_model_brings_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    model = writer("bart")
    plain = [said("bart", prompts(3), sampling) for sampling in (GREEDY, BEAMS)]
    brought = {
        "repetition_penalty": 5.0,
        "no_repeat_ngram_size": 1,
        "min_length": 11,
        "forced_bos_token_id": 9,
        "forced_eos_token_id": EOS,
        "length_penalty": -3.0,
        "early_stopping": True,
        "decoder_start_token_id": 7,
    }
    for name, value in brought.items():
        monkeypatch.setattr(model.generation_config, name, value)
    kept = model.generation_config
    assert [said("bart", prompts(3), sampling) for sampling in (GREEDY, BEAMS)] == plain
    assert model.generation_config is kept


def test_a_network_is_left_as_it_was() -> None:
    model = writer("mt5")
    plain = said("mt5", prompts(2))
    model.train()
    try:
        assert said("mt5", prompts(2)) == plain
        assert model.training
    finally:
        model.eval()
