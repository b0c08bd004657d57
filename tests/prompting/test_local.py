from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_models import POSITIONS, make_base
from whet.batches import chat
from whet.errors import UserError
from whet.generation.loop import Sampling, generate
from whet.models import sequences
from whet.prompting.layouts import GAP
from whet.prompting.local import Local, open_local

from .served import user

CHAT = "{% for m in messages %}{{ '<s>' + m.content + '</s>' }}{% endfor %}{% if add_generation_prompt %}<s>{% endif %}"
TALK = [
    {"role": "system", "content": "please help"},
    {"role": "user", "content": "where is my card"},
    {"role": "assistant", "content": "not arrived"},
    {"role": "user", "content": "thank you"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("bases") / "small-llama", "llama", language=True)


@pytest.fixture(scope="module")
def letters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base that reads bytes, blank lines among them."""
    where = tmp_path_factory.mktemp("bases") / "small-qwen"
    return make_base(where, "qwen2", language=True, max_position_embeddings=400)


@cache
def opened(folder: Path, template: str | None = None) -> Local:
    return open_local(str(folder), template)


def parts(speaker: Local) -> tuple[Any, Any]:
    return speaker.network, speaker._tokenizer


def nats(network: Any, prompt: Any, answer: Any) -> float:
    """By the whole text at once, without caches."""
    import torch

    ids = torch.tensor([[*prompt, *answer]])
    with torch.no_grad():
        logs = network(input_ids=ids).logits.double().log_softmax(-1)[0]
    return -float(sum(logs[len(prompt) + place - 1, token] for place, token in enumerate(answer)))


def test_what_it_is(folder: Path):
    speaker = opened(folder)
    assert speaker.name == "small-llama" and speaker.weighs and speaker.longest == POSITIONS


def test_with_a_template_it_answers_as_a_chat(folder: Path):
    speaker = opened(folder, CHAT)
    network, words = parts(speaker)
    prompt = chat.render_prompt(words, TALK, template=CHAT)
    (reply,) = speaker.say([TALK], max_tokens=6)
    (said,) = generate(network, words, [prompt], Sampling(max_tokens=6), eos_ids=[words.eos_token_id])
    assert reply.text == said.text.strip() and reply.finished == said.finished
    assert (reply.tokens_in, reply.tokens_out) == (len(prompt), len(said.ids))
    assert speaker.count(TALK) == len(prompt)


def test_without_a_template_it_goes_on_from_the_contents(letters: Path):
    speaker = opened(letters)
    network, words = parts(speaker)
    text = GAP.join(message["content"] for message in TALK) + GAP
    prompt = np.asarray(words(text)["input_ids"], np.int64)
    assert speaker.count(TALK) == len(prompt)
    (reply,) = speaker.say([TALK], max_tokens=30, stop=["q"])
    sampling = Sampling(max_tokens=30, stop=("q", "\n\n"))
    (said,) = generate(network, words, [prompt], sampling, eos_ids=[words.eos_token_id])
    assert reply.text == said.text.strip()


def test_a_blank_line_ends_an_answer_without_a_template(letters: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Sampling] = []

    def noted(network: Any, tokenizer: Any, prompts: Any, sampling: Sampling, **more: Any) -> Any:
        asked.append(sampling)
        return generate(network, tokenizer, prompts, sampling, **more)

    monkeypatch.setattr("whet.prompting.local.generate", noted)
    opened(letters).say([user("a")], max_tokens=3, stop=["x"])
    opened(letters, "plain").say([user("a")], max_tokens=3, stop=["x"])
    assert [one.stop for one in asked] == [("x", "\n\n"), ("x",)]
    assert all(one.temperature == 0.0 and one.num_beams == 1 for one in asked)


def test_a_text_alone_simply_goes_on(letters: Path):
    speaker = opened(letters)
    assert speaker.count([{"role": "prompt", "content": "abc"}]) == 3
    assert speaker.count([{"role": "user", "content": "abc"}]) == 5


def test_replies_are_the_same_alone_and_together(folder: Path):
    speaker = opened(folder, CHAT)
    prompts = [user("where is my card"), user("thank you"), user("i want a refund for this item please"), TALK]
    together = speaker.say(prompts, max_tokens=5)
    for prompt, reply in zip(prompts, together, strict=True):
        (alone,) = speaker.say([prompt], max_tokens=5)
        assert (alone.text, alone.finished, alone.tokens_out) == (reply.text, reply.finished, reply.tokens_out)
        assert alone.tokens_in == reply.tokens_in


def test_answers_weigh_what_their_tokens_and_their_end_do(folder: Path):
    speaker = opened(folder, CHAT)
    network, words = parts(speaker)
    answers = ["card", "card not", "broken"]
    found = speaker.weigh([TALK, user("thank you")], answers)
    assert found.shape == (2, 3)
    for row, prompt in enumerate((TALK, user("thank you"))):
        before = chat.render_prompt(words, prompt, template=CHAT)
        for column, answer in enumerate(answers):
            closed = [*words(answer, add_special_tokens=False)["input_ids"], words.eos_token_id]
            assert found[row, column] == pytest.approx(nats(network, before, closed), rel=1e-5)


def test_a_blank_line_ends_what_is_weighed_without_a_template(letters: Path):
    speaker = opened(letters)
    network, words = parts(speaker)
    found = speaker.weigh([TALK], ["card", "a"])
    before = words(GAP.join(message["content"] for message in TALK) + GAP)["input_ids"]
    for column, answer in enumerate(("card", "a")):
        assert found[0, column] == pytest.approx(nats(network, before, words(answer + GAP)["input_ids"]), rel=1e-5)


def test_where_blank_lines_are_no_tokens_the_end_of_the_text_counts(folder: Path):
    speaker = opened(folder)
    network, words = parts(speaker)
    found = speaker.weigh([user("where is my")], ["card", "card card"])
    before = words("where is my")["input_ids"]
    for column, answer in enumerate(("card", "card card")):
        closed = [*words(answer, add_special_tokens=False)["input_ids"], words.eos_token_id]
        assert found[0, column] == pytest.approx(nats(network, before, closed), rel=1e-5)


def test_what_is_spent(folder: Path):
    speaker = open_local(str(folder), CHAT)
    started = time.monotonic()
    replies = speaker.say([user("thank you"), TALK], max_tokens=4)
    speaker.weigh([TALK], ["card", "broken card"])
    took = time.monotonic() - started
    spent = speaker.spent()
    assert (spent.requests, spent.cached, spent.price) == (3, 0, None)
    assert spent.tokens_in == sum(one.tokens_in for one in replies) + speaker.count(TALK)
    assert spent.tokens_out == sum(one.tokens_out for one in replies) + 2 + 3
    assert sum(one.seconds for one in replies) < spent.seconds <= took


def test_nothing_is_asked(folder: Path):
    speaker = opened(folder)
    assert speaker.say([], max_tokens=3) == []
    assert speaker.weigh([], ["a"]).shape == (0, 1) and speaker.weigh([TALK], []).shape == (1, 0)


def test_progress_counts_prompts(folder: Path):
    told: list[int] = []
    opened(folder, CHAT).say([user("thank you"), TALK], max_tokens=2, progress=told.append)
    assert told[-1] == 2
    told.clear()
    opened(folder, CHAT).weigh([user("thank you"), TALK], ["card"], progress=told.append)
    assert told[-1] == 2


def test_a_prompt_that_leaves_no_room(folder: Path):
    with pytest.raises(UserError) as caught:
        opened(folder, CHAT).say([user("card " * POSITIONS)], max_tokens=3)
    assert caught.value.problems[0].code == "C010"


@pytest.mark.parametrize("family", ["t5", "bart", "marian"])
def test_an_encoder_decoder_reads_the_prompt_and_writes_the_answer(family: str, tmp_path: Path):
    import torch

    speaker = open_local(str(make_base(tmp_path / family, family, language=True)))
    network, words = parts(speaker)
    text = GAP.join(message["content"] for message in TALK)
    source = words(text, return_tensors="pt")["input_ids"]
    begins = sequences.prefix(words, network.config)
    assert speaker.count(TALK) == source.shape[1]
    (reply,) = speaker.say([TALK], max_tokens=6)
    network.generation_config.forced_eos_token_id = None  # it would put an end in place of the last token
    with torch.no_grad():
        whole = network.generate(
            source, decoder_input_ids=torch.tensor([begins]), max_new_tokens=6, do_sample=False, num_beams=1
        )[0]
    assert reply.text == words.decode(whole[len(begins) :], skip_special_tokens=True).strip()
    found = speaker.weigh([user("thank you"), TALK], ["card", "where is"])
    for column, answer in enumerate(("card", "where is")):
        target = [*words(text_target=answer, add_special_tokens=False)["input_ids"], words.eos_token_id]
        with torch.no_grad():
            read = torch.tensor([[*begins, *target[:-1]]])
            logs = network(input_ids=source, decoder_input_ids=read).logits.double().log_softmax(-1)[0]
        told = -sum(float(logs[len(begins) - 1 + place, token]) for place, token in enumerate(target))
        assert found[1, column] == pytest.approx(told, rel=1e-5)


def test_what_cannot_be_asked(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        open_local(str(make_base(tmp_path / "encoder", "bert", language=True)))
    assert caught.value.problems[0].code == "P030" and "'bert'" in str(caught.value)
    with pytest.raises(UserError) as caught:
        open_local(str(tmp_path / "nothing"))
    assert caught.value.problems[0].code == "M003"
    with pytest.raises(UserError) as caught:
        open_local(str(make_base(tmp_path / "headless", "llama")))
    assert caught.value.problems[0].code == "M008"
