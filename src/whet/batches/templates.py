"""Chat templates: how the messages of a conversation are laid out as one text, in Jinja."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError, did_you_mean, one_of

ANSWERS = ("assistant", "completion")
"""Roles whose messages a model is to say."""
COMPLETED = ("prompt", "completion")
"""Roles of a row that is no conversation: a text and how it goes on."""

TODAY = date(2024, 7, 26)
"""What a template is told that asks for the date: the same on every day, so that what a model was trained on
is what it is served. It is the day that the templates of Llama 3 fall back on."""

_PLAIN = """{{ text_start }}
{%- if tools %}{{ 'Tools: ' + (tools | tojson) + '\n\n' }}{% endif %}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- 'Assistant:' }}
        {%- if message.content %}{{ ' ' + message.content }}{% endif %}
        {%- if message.tool_calls %}{{ ' ' + (message.tool_calls | tojson) }}{% endif %}
        {{- text_stop + '\n' }}
    {%- else %}
        {{- message.role | capitalize + ': ' + message.content + '\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""

_CHATML = """{%- set own = tools and messages and messages[0].role == 'system' %}
{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if own %}{{ messages[0].content + '\n\n' }}{% endif %}
    {{- 'Functions that may be called, one a line:' }}
    {%- for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}
    {{- '<|im_end|>\n' }}
{%- endif %}
{%- for message in (messages[1:] if own else messages) %}
    {{- '<|im_start|>' + message.role + '\n' + (message.content or '') }}
    {%- for call in message.tool_calls or [] %}
        {{- '<tool_call>\n{"name": ' + (call.function.name | tojson) }}
        {{- ', "arguments": ' + (call.function.arguments | tojson) + '}\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

_LLAMA3 = """{{ '<|begin_of_text|>' }}
{%- set own = tools and messages and messages[0].role == 'system' %}
{%- if tools %}
    {{- '<|start_header_id|>system<|end_header_id|>\n\n' }}
    {%- if own %}{{ messages[0].content + '\n\n' }}{% endif %}
    {{- 'Functions that may be called, one a line:' }}
    {%- for tool in tools %}{{ '\n' + (tool | tojson) }}{% endfor %}
    {{- '<|eot_id|>' }}
{%- endif %}
{%- for message in (messages[1:] if own else messages) %}
    {{- '<|start_header_id|>' + {'tool': 'ipython'}.get(message.role, message.role) + '<|end_header_id|>\n\n' }}
    {{- message.content or '' }}
    {%- for call in message.tool_calls or [] %}
        {{- '{"name": ' + (call.function.name | tojson) }}
        {{- ', "parameters": ' + (call.function.arguments | tojson) + '}' }}
    {%- endfor %}
    {{- '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

_COMPLETION = """{{ text_start }}
{%- for message in messages %}
    {{- message.content }}
    {%- if message.role in ('assistant', 'completion') %}{{ text_stop }}{% endif %}
{%- endfor %}"""

NAMED: dict[str, str] = {"plain": _PLAIN, "chatml": _CHATML, "llama3": _LLAMA3, "completion": _COMPLETION}
"""Name -> Jinja. They see ``messages``, ``tools``, ``add_generation_prompt`` and the names of the special tokens
as templates of transformers do, and ``text_start`` and ``text_stop``: what the tokenizer puts before a text, and
its stop token; "" where it has none."""


def template_of(tokenizer: Any, wanted: str = "auto") -> tuple[str, str]:
    """The template to use, and why.

    :param wanted: ``auto`` (the tokenizer's own, else ``plain``), ``own``, a name of :data:`NAMED`, a file, or
        the Jinja itself.
    :raises UserError: C001, there is no such template, or the tokenizer has none of its own.
    """
    own = _own(tokenizer)
    if wanted == "auto":
        if own is not None:
            return own, "the tokenizer brings its own"
        return NAMED["plain"], "the tokenizer brings none, so 'plain'"
    if wanted == "own":
        if own is None:
            raise UserError(_no_template("the tokenizer brings no template of its own.", wanted))
        return own, "the tokenizer's own was asked for"
    if wanted in NAMED:
        return NAMED[wanted], f"{wanted!r} was asked for"
    if "{{" in wanted or "{%" in wanted:
        return wanted, "it was given"
    if Path(wanted).is_file():
        try:
            return Path(wanted).read_text(encoding="utf-8"), f"it was read from {wanted}"
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(_no_template(f"{wanted!r} cannot be read: {error}.", wanted)) from None
    raise UserError(_no_template(f"there is no template and no file {wanted!r}.", wanted))


def _no_template(what: str, wanted: str) -> Problem:
    names = ("auto", "own", *NAMED)
    remedy = did_you_mean(wanted, names) or f"Say {one_of(names)}, or name a file with a Jinja template."
    return Problem("C001", "chat.template", what, remedy)


def refuse_unparsable(tokenizer: Any, wanted: str = "auto") -> None:
    """Raise where the template that ``wanted`` names, as :func:`template_of` takes it, is not there or is no Jinja.

    :raises UserError: C001, there is no such template; C002, it cannot be parsed.
    """
    from jinja2 import TemplateSyntaxError

    text, _ = template_of(tokenizer, wanted)
    try:
        _compiled(text)
    except TemplateSyntaxError as error:
        named = wanted if wanted not in ("auto", "own", *NAMED) and Path(wanted).is_file() else "chat.template"
        what = f"the template is no Jinja: {str(error.message).rstrip('.')}."
        remedy = "Correct it, or name another template with chat.template, such as 'plain'."
        raise UserError(Problem("C002", f"{named}:{error.lineno}", what, remedy)) from None


def _own(tokenizer: Any) -> str | None:
    found = getattr(tokenizer, "chat_template", None)
    if isinstance(found, Mapping):  # several under names, as transformers allows
        found = found.get("default")
    return str(found) if found else None


def laid_out(
    tokenizer: Any,
    template: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Any] | None = None,
    asking: bool = False,
) -> str:
    """The text of ``messages``; with ``asking`` what goes before the answer stands at its end.

    :raises jinja2.TemplateError: the template does not parse, or refuses these messages; what Python raises
        where it treats a value as what it is not.
    """
    named = {name: value for name, value in tokenizer.special_tokens_map.items() if isinstance(value, str)}
    start, stop = _frame(tokenizer)
    text: str = _compiled(template).render(
        messages=list(messages),
        tools=list(tools) if tools else None,
        documents=None,
        add_generation_prompt=asking,
        text_start=start,
        text_stop=stop,
        **named,
    )
    return text


def portable(tokenizer: Any, template: str) -> str:
    """``template`` for a tokenizer of plain transformers, which does not know ``text_start`` and ``text_stop``."""
    start, stop = _frame(tokenizer)
    given = [
        f"{{%- set {name} = {json.dumps(value)} %}}" for name, value in (("text_start", start), ("text_stop", stop))
    ]
    return "".join(one for one in given if one.split()[2] in template) + template


def _frame(tokenizer: Any) -> tuple[str, str]:
    """What the tokenizer itself puts before a text, and its stop token; "" for none."""
    bos = tokenizer.bos_token
    starts = bos is not None and tokenizer("a")["input_ids"][:1] == [tokenizer.bos_token_id]
    return (str(bos) if starts else ""), str(tokenizer.eos_token or "")


@lru_cache(maxsize=16)
def _compiled(template: str) -> Any:
    """Jinja in a sandbox, with what templates of transformers may count on. Templates come with models, from anyone."""
    import jinja2
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks an answer for transformers; here its body is simply written."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    surroundings = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    surroundings.filters["tojson"] = _tojson
    surroundings.globals |= {"raise_exception": refuse, "strftime_now": TODAY.strftime}
    return surroundings.from_string(template)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON as it is; Jinja's own filter writes it for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
