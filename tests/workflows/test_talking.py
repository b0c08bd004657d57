"""Talking to a tuned run: prompts as in training, the limit, and the base beside it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests import made_talks
from tests.made_runs import Runs
from whet.batches import chat
from whet.data.forms import Examples
from whet.errors import UserError
from whet.inference.trained import TrainedModel
from whet.workflows.talking import Voice, _trimmed, open_voices


@pytest.fixture(scope="module")
def run(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.made_runs import quiet_machine

    with quiet_machine(runs.root / "talks.sqlite"):
        return made_talks.tuned(runs.root / "talks")


@pytest.fixture
def voice(run: Path) -> Voice:
    (found,) = open_voices(run, {})
    return found


def test_prompts_and_answers_are_those_of_the_run(run: Path, voice: Voice):
    """The first question is what a row of training is; the answer, what the run says of such a row."""
    test = Examples.open(run / "data" / "test.arrow")
    model = TrainedModel.load(run / "model")
    said = model.predict(test).said  # type: ignore[attr-defined]
    for number, messages in enumerate(test.column("messages")[:4]):
        rendered = chat.render(voice.tokenizer, messages)
        if len(rendered.ids) > voice.limit:
            continue
        assert voice.prompt(messages[0]).tolist() == rendered.prompt.tolist()
        assert "".join(voice.ask(messages[0]["content"])) == said[number]
        voice.reset()


def test_a_conversation_goes_on(voice: Voice):
    first = "".join(voice.ask("where is it"))
    wanted = [
        {"role": "user", "content": "where is it"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "help"},
    ]
    assert voice.turns == wanted[:2]
    assert voice.prompt(wanted[2]).tolist() == chat.render_prompt(voice.tokenizer, wanted).tolist()
    voice.reset()
    assert "".join(voice.ask("where is it")) == first, "after a reset the same again"


def test_what_is_oldest_is_left_out(voice: Voice):
    """Whole turns first; the count is of tokens, and the system message stays."""
    voice.system = "thank you"
    for number in range(5):
        list(voice.ask(f"where is my order {'please ' * number}"))
    asked = {"role": "user", "content": "help"}
    room = voice.limit - min(voice.sampling.max_tokens, voice.limit // 2)
    ids = voice.prompt(asked)
    system = {"role": "system", "content": "thank you"}
    whole = chat.render_prompt(voice.tokenizer, [system, *voice.turns, asked])
    assert len(whole) > room >= len(ids)
    assert voice.num_left_out == len(whole) - len(ids)
    kept = [chat.render_prompt(voice.tokenizer, [system, *voice.turns[2 * n :], asked]).tolist() for n in range(6)]
    assert ids.tolist() == next(one for one in kept if len(one) <= room)
    long = voice.prompt({"role": "user", "content": made_talks.LONG})
    assert len(long) == room and voice.num_left_out > 0
    voice.turns.clear()
    voice.prompt(asked)
    assert voice.num_left_out == 0


def test_an_answer_that_is_broken_off_is_kept(voice: Voice):
    answer = voice.ask("where is it")
    begun = "".join(islice(answer, 1))
    answer.close()  # type: ignore[attr-defined]
    assert voice.turns[1] == {"role": "assistant", "content": begun}


def test_the_base_beside_it(run: Path):
    """Each has its own conversation and its own weights; beams and streaming say the same where they must."""
    tuned, base = open_voices(run, {"generation.max_tokens": 4}, beside="base")
    assert (tuned.name, base.name) == ("tuned", "base")
    assert tuned.turns is not base.turns
    assert tuned.sampling.max_tokens == base.sampling.max_tokens == 4
    pairs = zip(tuned.network.parameters(), base.network.parameters(), strict=True)
    assert any(not one.equal(other) for one, other in pairs)
    list(tuned.ask("where is it"))
    assert base.turns == []
    (beams,) = open_voices(run, {"generation.num_beams": 2})
    assert isinstance("".join(beams.ask("where is it")), str)


def test_refusals(run: Path, runs: Runs, tmp_path: Path):
    with pytest.raises(UserError, match=r"M042.*text-classification"):
        open_voices(runs.finished("probe"), {})
    with pytest.raises(UserError, match="M042"):
        open_voices(runs.finished("full") / "model", {})
    with pytest.raises(UserError, match="F012"):
        open_voices(tmp_path, {})
    with pytest.raises(UserError, match=r"R006 chat\.train"):
        open_voices(run, {"chat.train": "all"})
    with pytest.raises(UserError, match="R011"):
        open_voices(run, {"generation.temperature": -1})
    with pytest.raises(UserError, match=r"G001.*'base'"):
        open_voices(run, {}, beside="bse")
    with pytest.raises(UserError, match="F010 --beside"):
        open_voices(run / "model", {}, beside="base")
    assert len(open_voices(run / "model", {})) == 1


def test_a_template_without_system(voice: Voice):
    voice.system = "thank you"
    assert voice.hears_system()
    voice.template = "{% for m in messages if m.role != 'system' %}{{ m.content }} {% endfor %}"
    assert not voice.hears_system()


def test_blanks_around_an_answer():
    assert list(_trimmed(iter([" ", " a", " ", "b \n", "c", "\n", " "]))) == ["a", " b", " \nc"]
    assert list(_trimmed(iter([" ", ""]))) == []
