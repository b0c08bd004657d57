"""Templates: which is taken, what each writes, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.batches.made_chats import CHATML, LLAMA2, TALK, talker, turn
from tests.made_tokenizers import MAKERS, made
from whet.batches.chat import render, render_prompt, stops
from whet.batches.templates import NAMED, laid_out, portable, refuse_unparsable, template_of
from whet.errors import UserError

SYSTEM = [turn("system", "Be brief."), *TALK[:2]]
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
CALL = [{"type": "function", "function": {"name": "find", "arguments": {"what": "card"}}}]
CALLED = [*SYSTEM[:2], turn("assistant", "", tool_calls=CALL), turn("tool", "sent"), TALK[1]]


def test_plain() -> None:
    framed, bare = made("bytes"), made("bytes, unframed")
    told = "System: Be brief.\nUser: Where is my card?\nAssistant: On its way.</s>\n"
    assert laid_out(bare, NAMED["plain"], SYSTEM) == told
    assert laid_out(framed, NAMED["plain"], SYSTEM) == "<s>" + told
    assert laid_out(bare, NAMED["plain"], SYSTEM[:2], asking=True) == told[: told.index(" On")]
    assert laid_out(bare, NAMED["plain"], CALLED, TOOLS).startswith(f"Tools: {json.dumps(TOOLS)}\n\nSystem:")


def test_chatml() -> None:
    told = laid_out(talker(), NAMED["chatml"], SYSTEM)
    assert told == laid_out(talker(), CHATML, SYSTEM)
    called = laid_out(talker(), NAMED["chatml"], CALLED, TOOLS)
    assert called.startswith(
        "<|im_start|>system\nBe brief.\n\nFunctions that may be called, one a line:\n"
        f"{json.dumps(TOOLS[0])}<|im_end|>\n<|im_start|>user\nWhere"
    )
    assert '<tool_call>\n{"name": "find", "arguments": {"what": "card"}}\n</tool_call><|im_end|>' in called
    assert called.count("Be brief.") == 1


def test_llama3() -> None:
    told = laid_out(talker(), NAMED["llama3"], SYSTEM[:2], asking=True)
    assert told == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWhere is my card?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    called = laid_out(talker(), NAMED["llama3"], CALLED, TOOLS)
    assert '{"name": "find", "parameters": {"what": "card"}}<|eot_id|>' in called
    assert "<|start_header_id|>ipython<|end_header_id|>\n\nsent<|eot_id|>" in called


@pytest.mark.parametrize("name", ["plain", "chatml", "llama3"])
def test_every_message_and_tool_stands_in_named_templates(name: str) -> None:
    found = render(talker(), CALLED, TOOLS, template=NAMED[name])
    assert (
        found.prompt.tolist() == render_prompt(talker(), CALLED[:-1], json.dumps(TOOLS), template=NAMED[name]).tolist()
    )
    told = laid_out(talker(), NAMED[name], CALLED, TOOLS)
    assert all(text in told for text in ("Be brief.", "find", "card", "sent", "On its way."))
    assert found.weights.any()


def test_the_tokenizers_own_is_taken_first(tmp_path: Path) -> None:
    own, none = MAKERS["bytes"](), made("bytes")
    own.chat_template = CHATML
    assert template_of(own) == (CHATML, "the tokenizer brings its own")
    assert template_of(own, "own")[0] == CHATML
    assert template_of(own, "plain")[0] == NAMED["plain"]
    assert template_of(none)[0] == NAMED["plain"]
    assert template_of(none, LLAMA2)[0] == LLAMA2
    (tmp_path / "mine.jinja").write_text(LLAMA2, encoding="utf-8")
    assert template_of(none, str(tmp_path / "mine.jinja"))[0] == LLAMA2
    assert render(own, TALK).ids.tolist() == render(own, TALK, template=CHATML).ids.tolist()
    own.chat_template = {"default": CHATML, "tool_use": LLAMA2}
    assert template_of(own)[0] == CHATML


def test_a_template_may_be_named_where_rows_are_rendered() -> None:
    tokenizer = talker()
    for name in ("chatml", "plain"):
        told = render(tokenizer, TALK, template=NAMED[name]).ids.tolist()
        assert render(tokenizer, TALK, template=name).ids.tolist() == told
        asked = render_prompt(tokenizer, TALK[:-1], template=name).tolist()
        assert asked == render_prompt(tokenizer, TALK[:-1], template=NAMED[name]).tolist() == told[: len(asked)]
    pair = [turn("prompt", "a"), turn("completion", " card")]
    assert render(tokenizer, pair, template="auto").ids.tolist() == render(tokenizer, pair).ids.tolist()
    assert len(render(tokenizer, pair, template="plain").ids) > len(render(tokenizer, pair).ids)
    with pytest.raises(UserError, match="C001"):
        render(tokenizer, TALK, template="chatlm")


def test_a_template_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"C001.*Did you mean 'chatml'"):
        template_of(made("bytes"), "chatlm")
    with pytest.raises(UserError, match="C001"):
        template_of(made("bytes"), "own")


BROKEN = {
    "{% for m in messages %}": "Unexpected end",
    "{{ raise_exception('no system messages here') }}": "no system messages here",
    "{{ messages[0].content + 3 }}": "can only concatenate",
    "{{ messages[7].content }}": "no element 7",
    "{{ messages.append(1) }}": "append",
    "{{ ''.__class__.__mro__ }}": "unsafe",
}


@pytest.mark.parametrize("template", BROKEN)
def test_a_template_that_fails_is_one_message(template: str) -> None:
    with pytest.raises(UserError, match=r"C002 chat\.template") as refused:
        render(talker(), SYSTEM, template=template)
    assert BROKEN[template] in str(refused.value)
    assert "system, user" in str(refused.value)
    assert stops(talker(), template) == (talker().eos_token_id,)


def test_the_date_is_the_same_every_day() -> None:
    dated = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    assert laid_out(talker(), dated, TALK[:1]) == "26 Jul 2024" + TALK[0]["content"]


def test_what_marks_an_answer_for_transformers_is_written_as_it_is() -> None:
    marked = (
        CHATML.replace("m['content']", "m['content']")
        .replace("{% for m in messages %}", "{% for m in messages %}{% generation %}")
        .replace("{% endfor %}", "{% endgeneration %}{% endfor %}")
    )
    assert laid_out(talker(), marked, TALK) == laid_out(talker(), CHATML, TALK)


def test_arguments_are_given_as_text_to_templates_that_join_them() -> None:
    joined = (
        "{% for m in messages %}{% if m.tool_calls %}{{ m.tool_calls[0].function.name + '(' + "
        "m.tool_calls[0].function.arguments + ')' }}{% else %}{{ m.content }}{% endif %}{{ '<|im_end|>' }}{% endfor %}"
    )
    tokenizer: Any = talker()
    names = tokenizer.convert_ids_to_tokens(render(tokenizer, CALLED, template=joined).ids.tolist())
    assert 'find({"what":Ġ"card"})<|im_end|>' in "".join(names)


def test_parts_of_a_content_are_one_text() -> None:
    parts = [turn("user", [{"type": "text", "text": "Where is"}, {"type": "text", "text": " my card?"}]), TALK[1]]  # type: ignore[arg-type]
    assert (
        render(talker(), parts, template=CHATML).ids.tolist()
        == render(talker(), TALK[:2], template=CHATML).ids.tolist()
    )


def test_roles_that_a_template_does_not_know_are_those_it_does() -> None:
    other = [turn("developer", "Be brief."), *TALK[:2]]
    assert (
        render(talker(), other, template=CHATML).ids.tolist() == render(talker(), SYSTEM, template=CHATML).ids.tolist()
    )
    knowing = CHATML + "{# developer #}"
    assert (
        render(talker(), other, template=knowing).ids.tolist()
        != render(talker(), SYSTEM, template=knowing).ids.tolist()
    )


def test_answers_that_cannot_be_found_are_refused_where_they_are_to_count() -> None:
    shortened = CHATML.replace("m['content']", "(m['content'] if m.role == 'user' or loop.last else m['content'][:5])")
    for train in ("answers", "weights"):
        with pytest.raises(UserError, match="C004"):
            render(talker(), TALK, template=shortened, train=train)  # type: ignore[arg-type]
    assert render(talker(), TALK, template=shortened, train="last").weights.any()
    assert render(talker(), TALK[:2], template=shortened).weights.any()


def test_a_template_is_looked_at_before_any_row(tmp_path: Path) -> None:
    file = tmp_path / "talk.jinja"
    file.write_text("{{ text_start }}\n{% for m in messages %}{{ m.content }\n", encoding="utf-8")
    with pytest.raises(UserError) as caught:
        refuse_unparsable(talker(), str(file))
    [problem] = caught.value.problems
    assert (problem.code, problem.where) == ("C002", f"{file}:2") and "is no Jinja" in problem.what
    with pytest.raises(UserError, match=r"C002 chat\.template:1: the template is no Jinja"):
        refuse_unparsable(talker(), "{% for m in messages %}")
    with pytest.raises(UserError, match="C001"):
        refuse_unparsable(talker(), "chatmll")
    file.write_bytes(b"{{ \xff }}")
    with pytest.raises(UserError, match=r"C001 chat\.template: .*cannot be read"):
        refuse_unparsable(talker(), str(file))
    for name in ("auto", *NAMED):
        refuse_unparsable(talker(), name)


@pytest.mark.parametrize("kind", ["bytes", "bytes, unframed"])
@pytest.mark.parametrize("name", ["plain", "completion"])
def test_a_template_travels_with_a_tokenizer(kind: str, name: str) -> None:
    tokenizer, messages = made(kind), SYSTEM[:2]
    tokenizer.chat_template = portable(tokenizer, NAMED[name])
    said = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(said) == render_prompt(tokenizer, messages, template=name).tolist()
