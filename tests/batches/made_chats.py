"""Templates as models bring them, a tokenizer with their tokens, and conversations."""

from __future__ import annotations

from functools import cache
from typing import Any

from tests.made_tokenizers import MAKERS

SPECIAL = ["<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "<|user|>", "<|assistant|>", "<|end|>", "<|lucky|>"]
MARKS = ["<think>", "</think>", "<tool_call>", "</tool_call>"]
"""Tokens of their own that are not special."""


@cache
def talker(kind: str = "bytes, unframed") -> Any:
    """One of the made tokenizers with the tokens of chats."""
    from tokenizers import AddedToken

    found = MAKERS[kind]()
    found.add_tokens([AddedToken(one, special=True, normalized=False) for one in SPECIAL[:-2]], special_tokens=True)
    strips = AddedToken("<|end|>", special=True, normalized=False, rstrip=True)  # as Phi 3 has it
    found.add_tokens([strips, AddedToken("<|lucky|>", special=True, normalized=False)], special_tokens=True)
    found.add_tokens([AddedToken(one, special=False, normalized=False) for one in [*MARKS, "card"]])
    return found


CHATML = """{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""

LLAMA2 = """{{ bos_token }}{% for m in messages %}
{%- if m['role'] == 'user' %}{{ '[INST] ' + m['content'].strip() + ' [/INST]' }}
{%- elif m['role'] == 'assistant' %}{{ ' ' + m['content'].strip() + ' ' + eos_token }}
{%- else %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{% endfor %}"""

PHI3 = """{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"""

THINKING = """{%- for m in messages %}
{%- set content = m.content %}
{%- if m.role == 'assistant' %}
    {%- set thought = '' %}
    {%- if '</think>' in content %}
        {%- set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\n') %}
    {%- endif %}
    {%- if loop.last %}
        {{- '<|im_start|>assistant\n<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
    {%- else %}
        {{- '<|im_start|>assistant\n' + content }}
    {%- endif %}
    {%- for call in m.tool_calls or [] %}
        {{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- call.function.arguments | tojson }}{{ '}\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\n' }}
{%- else %}
    {{- '<|im_start|>' + m.role + '\n' + content + '<|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
"""As Qwen 3: earlier turns lose their thinking, the last one has some, empty if need be."""

REASONING = """{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}{{ '<|user|>' + m.content }}
{%- else %}{{ '<|assistant|>' + m.content.split('</think>')[-1] + eos_token }}{% endif %}{% endfor %}
{%- if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}"""
"""As DeepSeek R1: what asks for an answer opens a thought, which a finished answer has lost."""

WITHOUT_SYSTEM = """{% for m in messages if m.role != 'system' %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}
{%- if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""
"""Leaves out the system message, and has no stop token."""

TEMPLATES = {"chatml": CHATML, "llama2": LLAMA2, "phi3": PHI3, "thinking": THINKING}


def turn(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


TALK = [
    turn("user", "Where is my card?"),
    turn("assistant", "On its way."),
    turn("user", "Since when?"),
    turn("assistant", "Monday, i think."),
]
"""Four turns."""
