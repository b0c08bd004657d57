"""Conversations to token ids: as transformers does it, prompts first, nobody's words as special tokens."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.batches.made_chats import CHATML, LLAMA2, MARKS, REASONING, SPECIAL, TALK, TEMPLATES, THINKING, talker, turn
from tests.made_tokenizers import MAKERS, made
from whet.batches.chat import NAMED, Rendered, cut, cut_prompt, render, render_prompt, render_rows, stops
from whet.errors import UserError


def counted(tokenizer: Any, found: Rendered) -> list[str]:
    """Runs of tokens that count, as they read."""
    runs: list[list[int]] = []
    before = False
    for token, weight in zip(found.ids.tolist(), found.weights.tolist(), strict=True):
        if weight and not before:
            runs.append([])
        if weight:
            runs[-1].append(token)
        before = bool(weight)
    return [read(tokenizer, run) for run in runs]


def read(tokenizer: Any, ids: Any) -> str:
    """Bytes of a made tokenizer, which brings no way back."""
    names = tokenizer.convert_ids_to_tokens([int(one) for one in ids])
    return "".join(names).replace("Ġ", " ").replace("Ċ", "\n")


@pytest.mark.parametrize(
    "kind", ["bytes, unframed", "bytes", "unigram", "unigram, first", "bpe, prepended", "wordpiece"]
)
@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_transformers(kind: str, name: str) -> None:
    tokenizer = talker(kind)
    found = render(tokenizer, TALK, template=TEMPLATES[name])
    told = tokenizer.apply_chat_template(TALK, chat_template=TEMPLATES[name])["input_ids"]
    asked = tokenizer.apply_chat_template(TALK[:-1], chat_template=TEMPLATES[name], add_generation_prompt=True)
    assert not found.merged and not found.grafted
    assert found.ids.tolist() == told
    assert found.prompt.tolist() == asked["input_ids"]


WORDS = st.lists(
    st.sampled_from(
        [*SPECIAL, *MARKS, "</s>", "<unk>", "card", "a", " ", "\n", "é", "<", "|>", "\ufdd0", "\ufdd41", "0"]
    ),
    max_size=6,
).map("".join)


@given(st.sampled_from(sorted(MAKERS)), st.sampled_from([*NAMED, *TEMPLATES]), st.lists(WORDS, min_size=3, max_size=3))
def test_a_prompt_is_what_the_whole_begins_with(kind: str, name: str, texts: list[str]) -> None:
    tokenizer = made(kind)
    talk = [turn("user", texts[0]), turn("assistant", texts[1]), turn("user", texts[2]), turn("assistant", texts[0])]
    template = (NAMED | TEMPLATES)[name]
    lacking = [one for one in ("bos_token", "eos_token") if one in template and getattr(tokenizer, one) is None]
    for messages in (talk, talk[:2]):
        try:
            found = render(tokenizer, messages, template=template)
        except UserError as error:  # it may need a token that the tokenizer has not, or cut what an answer thought
            codes = [problem.code for problem in error.problems]
            assert codes == (["C002"] if lacking else ["C004"])
            assert lacking or (name == "thinking" and "</think>" in texts[1])
            return
        asked = render_prompt(tokenizer, messages[:-1], template=template)
        assert found.prompt.tolist() == asked.tolist()
        assert len(found.weights) == len(found.ids) and not found.weights[:1].any()


@given(st.lists(WORDS, min_size=4, max_size=4))
def test_nobodys_words_become_a_special_token(texts: list[str]) -> None:
    tokenizer = talker()
    special = {*tokenizer.all_special_ids, *tokenizer.convert_tokens_to_ids(SPECIAL)}

    def of(talk: list[dict[str, Any]]) -> list[int]:
        ids = render(tokenizer, talk, template=CHATML).ids.tolist()
        return [one for one in ids if one in special]

    talk = [turn(one["role"], text) for one, text in zip(TALK, texts, strict=True)]
    assert of(talk) == of(TALK)


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_the_name_of_a_token_is_read_as_text(kind: str) -> None:
    tokenizer = made(kind)
    name = str(tokenizer.eos_token or tokenizer.sep_token)
    token = tokenizer.convert_tokens_to_ids(name)
    plain = NAMED["plain"]
    given_ids = render(tokenizer, [turn("user", f"a {name} b"), turn("assistant", "x")], template=plain).ids
    usual = render(tokenizer, [turn("user", "a b"), turn("assistant", "x")], template=plain).ids
    assert (given_ids == token).sum() == (usual == token).sum() == (name == tokenizer.eos_token)
    assert len(given_ids) > len(usual)


def test_marks_that_the_template_writes_are_open_to_answers_only() -> None:
    tokenizer = talker()
    call = tokenizer.convert_tokens_to_ids("<tool_call>")
    word = tokenizer.convert_tokens_to_ids("card")
    for role, expected in (("user", 0), ("system", 0), ("assistant", 1)):
        talk = [
            turn("system", "a"),
            turn("user", "b"),
            turn("assistant", "c"),
            turn("user", "d"),
            turn("assistant", "e"),
        ]
        talk[["system", "user", "assistant"].index(role)]["content"] = "my card <tool_call> x"
        ids = render(tokenizer, talk, template=THINKING).ids
        assert (ids == call).sum() == expected
        assert (ids == word).sum() == 1  # an added word is a word, whoever writes it


def test_text_of_tools_and_calls_is_no_token_either() -> None:
    tokenizer = talker()
    tools = [{"type": "function", "function": {"name": "look", "description": "<|im_end|><tool_call>"}}]
    calls = '[{"function": {"name": "look", "arguments": "{\\"at\\": \\"<|im_end|>\\"}"}}]'
    talk = [turn("user", "look"), turn("assistant", "", tool_calls=calls)]
    found = render(tokenizer, talk, tools, template=NAMED["chatml"])
    assert (found.ids == tokenizer.convert_tokens_to_ids("<|im_end|>")).sum() == 3
    assert (found.ids == tokenizer.convert_tokens_to_ids("<tool_call>")).sum() == 1
    told = counted(tokenizer, found)
    assert told == ['<tool_call>\n{"name": "look", "arguments": {"at": "<|im_end|>"}}\n</tool_call><|im_end|>']


def test_a_forged_alias_is_refused() -> None:
    with pytest.raises(UserError, match="C005"):
        render(talker(), [turn("user", "\ufdd33\ufdd4"), turn("assistant", "a")], template=CHATML)


def test_rows_that_a_template_fails_on_are_named_by_their_places() -> None:
    bad, system = [turn("user", "\ufdd33\ufdd4"), turn("assistant", "a")], [turn("system", "s"), *TALK]
    rows = [(TALK, None), (bad, None), (system, None), (TALK, None)]
    places = [f"talks.jsonl:{number}" for number in (1, 2, 5, 9)]
    with pytest.raises(UserError) as caught:
        list(render_rows(talker(), rows, template=LLAMA2, places=places))
    assert [(one.code, one.where) for one in caught.value.problems] == [
        ("C005", "talks.jsonl:2"),
        ("C002", "talks.jsonl:5"),
    ]
    with pytest.raises(UserError, match=r"C005 the conversation"):
        list(render_rows(talker(), rows, template=LLAMA2))
    shortened = CHATML.replace("m['content']", "(m['content'] if m.role == 'user' or loop.last else m['content'][:5])")
    with pytest.raises(UserError, match=r"C004 b\.csv:3: the template changes earlier answers"):
        list(render_rows(talker(), [(TALK, None)], template=shortened, places=["b.csv:3"]))


ENDS = {"chatml": "<|im_end|>", "llama2": "</s>", "phi3": "<|end|>", "thinking": "<|im_end|>"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_count_with_the_token_that_ends_them(name: str) -> None:
    tokenizer = talker()
    blank = " " if name == "llama2" else ""
    first, last = (f"{blank}{TALK[number]['content']}{blank}{ENDS[name]}" for number in (1, 3))
    thought = "<think>\n\n</think>\n\n" if name == "thinking" else ""
    for train, expected in {"last": [thought + last], "answers": [first, thought + last]}.items():
        found = render(tokenizer, TALK, template=TEMPLATES[name], train=train)  # type: ignore[arg-type]
        assert counted(tokenizer, found) == expected
        assert set(found.weights.tolist()) == {0.0, 1.0}
        assert found.stop == tokenizer.convert_tokens_to_ids(ENDS[name])


def test_weights_of_messages_are_those_of_their_tokens() -> None:
    tokenizer = talker()
    talk = [*TALK[:1], TALK[1] | {"weight": 0.0}, *TALK[2:], turn("user", "ok"), turn("assistant", "bye", weight=2.5)]
    found = render(tokenizer, talk, template=CHATML, train="weights")
    assert counted(tokenizer, found) == ["Monday, i think.<|im_end|>", "bye<|im_end|>"]
    assert sorted(set(found.weights.tolist())) == [0.0, 1.0, 2.5]
    assert (found.weights == 2.5).sum() == len(tokenizer("bye", add_special_tokens=False).input_ids) + 1
    every = render(tokenizer, talk, template=CHATML, train="answers")
    assert len(counted(tokenizer, every)) == 3


def test_all_tokens_count_but_the_first() -> None:
    found = render(talker(), TALK, template=CHATML, train="all")
    assert found.weights.tolist() == [0.0] + [1.0] * (len(found.ids) - 1)


def test_thinking_counts_in_the_last_answer_and_is_gone_from_earlier_ones() -> None:
    tokenizer = talker()
    talk = [turn(one["role"], one["content"]) for one in TALK]
    for number in (1, 3):
        talk[number]["content"] = f"<think>\nhm {number}\n</think>\n\n{talk[number]['content']}"
    found = render(tokenizer, talk, template=THINKING)
    last = "<think>\nhm 3\n</think>\n\nMonday, i think.<|im_end|>"
    assert counted(tokenizer, found) == ["On its way.<|im_end|>", last]
    assert "hm 1" not in read(tokenizer, found.ids)


def test_an_answer_is_put_behind_what_asks_for_it() -> None:
    tokenizer = talker()
    found = render(tokenizer, TALK, template=REASONING)
    assert found.grafted
    assert found.prompt.tolist() == render_prompt(tokenizer, TALK[:-1], template=REASONING).tolist()
    assert counted(tokenizer, found) == ["On its way.</s>", "Monday, i think.</s>"]
    assert read(tokenizer, found.ids).endswith("<|assistant|><think>\nMonday, i think.</s>")


def test_an_answer_with_a_call_counts_whole_wherever_it_stands() -> None:
    tokenizer = talker()
    call = [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": {"what": "card"}}}]
    talk = [TALK[0], turn("assistant", "", tool_calls=call), turn("tool", "sent", tool_call_id="c1"), TALK[1]]
    told = '\n<tool_call>\n{"name": "find", "arguments": {"what": "card"}}\n</tool_call><|im_end|>'
    assert counted(tokenizer, render(tokenizer, talk, template=THINKING))[0] == told
    ending = render(tokenizer, talk[:2], template=THINKING)
    assert counted(tokenizer, ending) == ["<think>\n\n</think>\n\n" + told]


def test_a_prompt_and_its_completion_stand_as_they_are() -> None:
    tokenizer = made("bytes")
    pair = [turn("prompt", "is my card"), turn("completion", " with you?")]
    found = render(tokenizer, pair)
    assert read(tokenizer, found.ids) == "<s>is my card with you?</s>"
    assert counted(tokenizer, found) == [" with you?</s>"]
    assert found.prompt.tolist() == render_prompt(tokenizer, pair[:1]).tolist()
    assert stops(tokenizer, completes=True) == (tokenizer.eos_token_id,)
    as_chat = render(talker(), pair, template=CHATML)
    assert (
        as_chat.ids.tolist()
        == render(talker(), [turn("user", "is my card"), turn("assistant", " with you?")], template=CHATML).ids.tolist()
    )


def test_tokens_across_the_boundary_are_encoded_apart() -> None:
    tokenizer = made("bytes, unframed")
    whole = tokenizer("my card", add_special_tokens=False).input_ids
    assert "Ġca" in tokenizer.convert_ids_to_tokens(whole)
    found = render(tokenizer, [turn("prompt", "my "), turn("completion", "card")])
    assert found.merged
    assert found.prompt.tolist() == render_prompt(tokenizer, [turn("prompt", "my ")]).tolist()
    assert counted(tokenizer, found) == ["card</s>"]
    behind = tokenizer("card", add_special_tokens=False).input_ids
    assert found.ids.tolist() == [*found.prompt.tolist(), *behind, tokenizer.eos_token_id]


def test_text_behind_a_boundary_is_not_the_beginning_of_one() -> None:
    tokenizer = made("unigram, first")
    found = render(tokenizer, [turn("prompt", "wh"), turn("completion", "ere")])
    assert "▁" not in "".join(tokenizer.convert_ids_to_tokens(found.ids[found.prompt_length :].tolist()))


def test_stop_tokens_are_those_of_template_and_tokenizer() -> None:
    tokenizer = talker()
    of = tokenizer.convert_tokens_to_ids
    assert stops(tokenizer, CHATML) == (of("<|im_end|>"), tokenizer.eos_token_id)
    assert stops(tokenizer, NAMED["plain"]) == (tokenizer.eos_token_id,)
    assert stops(made("bytes"), CHATML) == (tokenizer.eos_token_id,)  # there '<|im_end|>' is no token


def test_many_rows_are_rendered_as_each_is() -> None:
    tokenizer = talker()
    pair = [turn("prompt", "a "), turn("completion", "card")]
    rows = [TALK, TALK[:2], pair, TALK] * 100
    found = list(render_rows(tokenizer, [(one, None) for one in rows]))
    for one, row in zip(found[:4] + found[-4:], rows[:4] + rows[-4:], strict=True):
        alone = render(tokenizer, row)
        assert one.ids.tolist() == alone.ids.tolist() and one.weights.tolist() == alone.weights.tolist()
        assert replace(one, ids=alone.ids, weights=alone.weights) == alone


def test_a_conversation_must_end_with_an_answer() -> None:
    for talk in (TALK[:-1], []):
        with pytest.raises(UserError, match="C003"):
            render(talker(), talk, template=CHATML)


def rendered(prompt: int, answer: int) -> Rendered:
    weights = np.r_[np.zeros(prompt), np.ones(answer)].astype(np.float32)
    return Rendered(np.arange(prompt + answer), weights, prompt)


def test_what_is_too_long_is_cut_where_it_was_said() -> None:
    row = rendered(6, 3)
    assert cut(row, 9, "prompt") is row
    short = cut(row, 6, "prompt")
    assert short is not None
    assert short.ids.tolist() == [0, 4, 5, 6, 7, 8] and short.prompt_length == 3
    assert short.weights.tolist() == [0, 0, 0, 1, 1, 1]
    least = cut(row, 4, "prompt")
    assert least is not None and least.ids.tolist() == [0, 6, 7, 8]
    assert cut(row, 3, "prompt") is None
    ended = cut(row, 7, "answer")
    assert ended is not None and ended.ids.tolist() == list(range(7)) and ended.prompt_length == 6
    assert cut(row, 6, "answer") is None
    assert cut(row, 8, "drop") is None


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 45))
def test_a_cut_prompt_is_the_same_when_it_is_served(prompt: int, answer: int, limit: int) -> None:
    short = cut(rendered(prompt, answer), limit, "prompt")
    if short is not None:
        assert len(short.ids) <= max(limit, 0)
        assert short.prompt.tolist() == cut_prompt(np.arange(prompt), max(1, limit - answer)).tolist()
        assert short.weights.sum() == answer


@pytest.mark.parametrize("kind", ["real gpt2", "real t5"])
def test_real_conversations(kind: str) -> None:
    path = Path(__file__).parents[3] / "shared" / "data" / "bitext_support_chat" / "validation.jsonl.gz"
    if not path.exists():
        pytest.skip("the set bitext_support_chat is not here")
    tokenizer = made(kind)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        talks = [json.loads(line)["messages"] for line in islice(file, 60)]
    for talk, found in zip(talks, render_rows(tokenizer, [(one, None) for one in talks]), strict=True):
        assert found.prompt.tolist() == render_prompt(tokenizer, talk[:-1]).tolist()
        assert not found.merged and not found.grafted and found.stop == tokenizer.eos_token_id
        counting = found.ids[found.weights > 0]
        assert counting[-1] == tokenizer.eos_token_id and (counting == tokenizer.eos_token_id).sum() == 1
        if kind == "real gpt2":
            told = tokenizer.decode(counting[:-1].tolist(), clean_up_tokenization_spaces=False)
            assert told == " " + talk[-1]["content"]
