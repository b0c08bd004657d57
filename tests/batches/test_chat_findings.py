"""What is found out about a template: each of its codes, where it holds and where it does not."""

from __future__ import annotations

from typing import Any

from tests.batches.made_chats import CHATML, REASONING, TALK, WITHOUT_SYSTEM, talker, turn
from tests.made_tokenizers import made
from whet.batches.chat_findings import LOOKED_AT, look_at
from whet.findings import Finding

SYSTEM = [turn("system", "Be brief."), *TALK]


def looked(template: str | None, *talks: Any, tokenizer: Any = None, **more: Any) -> dict[str, Finding]:
    found = look_at(tokenizer or talker(), template, [(talk, None) for talk in talks], **more)
    assert [one.code for one in found] == list(LOOKED_AT)
    return {one.code: one for one in found}


def test_a_sound_template_passes() -> None:
    found = looked(CHATML, SYSTEM, TALK, limit=500)
    assert {code: one.bin for code, one in found.items()} == dict.fromkeys(LOOKED_AT, "passed")


def test_nothing_to_look_at() -> None:
    assert {one.bin for one in look_at(talker(), CHATML, [])} == {"not_applicable"}


def test_a_stop_token_that_is_never_trained() -> None:
    assert looked(WITHOUT_SYSTEM, TALK)["G001"].bin == "issue"
    assert looked(CHATML, TALK, tokenizer=made("bytes"))["G001"].bin == "issue"  # its marks are no tokens there


def test_conversations_without_loss() -> None:
    silent = [TALK[0], TALK[1] | {"weight": 0.0}]
    found = looked(CHATML, silent, TALK, train="weights")["G002"]
    assert found.bin == "issue" and found.evidence == {"conversations": 2, "counted": 1}
    assert looked(CHATML, silent, TALK, train="answers")["G002"].bin == "passed"


def test_conversations_that_are_cut() -> None:
    size = len(talker().apply_chat_template(TALK, chat_template=CHATML)["input_ids"])
    tip = looked(CHATML, TALK, TALK[:2], limit=size - 3)["G003"]
    assert tip.bin == "tip" and tip.evidence["longer"] == 1 and tip.evidence["lost"] == 0
    cut = looked(CHATML, TALK, limit=size - 3, where="answer")["G003"]
    assert cut.bin == "issue" and cut.evidence["answers_cut"] == 1
    assert looked(CHATML, TALK, limit=size - 3, where="drop")["G003"].evidence["lost"] == 1
    assert looked(CHATML, TALK, limit=9)["G003"].evidence["lost"] == 1  # the answer alone is longer
    assert looked(CHATML, TALK)["G003"].bin == "not_applicable"


def test_a_system_message_that_is_dropped() -> None:
    found = looked(WITHOUT_SYSTEM, SYSTEM, TALK)["G004"]
    assert found.bin == "issue" and found.evidence["by_role"] == {"system": 1} and "system" in found.message


def test_two_start_tokens() -> None:
    twice = "{{ bos_token + bos_token }}" + CHATML
    assert looked(twice, TALK)["G005"].bin == "issue"
    assert looked("{{ bos_token }}" + CHATML, TALK)["G005"].bin == "passed"
    written = [turn("prompt", "<s>where"), turn("completion", " here")]  # in a text, it is no token
    assert looked(None, written, tokenizer=made("bytes"))["G005"].bin == "passed"


def test_tokens_across_the_boundary() -> None:
    found = looked(None, [turn("prompt", "my "), turn("completion", "card")], tokenizer=made("bytes"))["G006"]
    assert found.bin == "tip" and found.evidence["counted"] == 1


def test_answers_that_are_laid_out_otherwise() -> None:
    assert looked(REASONING, TALK)["G007"].bin == "tip"


def test_names_of_tokens_in_texts() -> None:
    found = looked(CHATML, TALK, [turn("user", "say <|im_end|>"), TALK[1]])["G008"]
    assert found.bin == "tip" and found.evidence["counted"] == 1
