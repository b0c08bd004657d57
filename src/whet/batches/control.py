"""Which tokens steer a model, and how the words of people never become one.

A tokenizer turns the name of a special token into that token wherever the name stands, so that somebody who
writes ``<|im_end|>`` ends a turn. Its own switch against that (``split_special_tokens``) does not reach
vocabularies that hold the names as ordinary pieces, as those of SentencePiece do, nor can it tell who wrote the
name. Here the tokenizer is copied with every such token under an alias made of code points that Unicode sets
aside for programs; what the template wrote is put under the aliases, what people wrote stays as it is and is
read as ordinary characters. One call encodes both, so that every rule of the tokenizer about what stands
beside a special token holds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from whet.errors import Problem, UserError

OPENS, CLOSES, HELD, ALIAS, END = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3", "\ufdd4"
"""What begins a mark; a number and END follow: the start and the end of an answer, a name of a token that somebody
wrote, a token of the template."""
MARK = re.compile(f"[{OPENS}{CLOSES}]\\d+{END}")
_RESERVED = f"[{OPENS}{CLOSES}{HELD}{END}]"
JOINT = f"{ALIAS}{END}"
"""A token of the copy that stands for nothing: what is encoded behind it is not the beginning of a text."""


@dataclass(frozen=True, slots=True)
class Control:
    """The steering tokens of a tokenizer under one template.

    - ``ids``: name -> token id, of tokens that are special or that the template writes.
    - ``special``: those of them that are special; the others may stand in an answer, as ``<think>`` does.
    - ``backend``: the copy in which they have aliases.
    """

    ids: dict[str, int]
    special: frozenset[str]
    backend: Any
    written: re.Pattern[str]
    all_names: re.Pattern[str]
    special_names: re.Pattern[str]

    def encode(self, texts: Sequence[str]) -> list[Any]:
        """Encodings of texts in which tokens of the template stand under their aliases."""
        found: list[Any] = self.backend.encode_batch(list(texts), add_special_tokens=False)
        return found


def alias(number: int) -> str:
    """The name of token ``number`` in the copy."""
    return f"{ALIAS}{number}{END}"


def control_of(tokenizer: Any, template: str) -> Control:
    """The steering tokens of ``tokenizer`` under ``template``; made once for each."""
    known = _MADE.setdefault(tokenizer, {})
    key = (template, len(tokenizer))
    if key not in known:
        known[key] = _control(tokenizer, template)
    return known[key]


_MADE: WeakKeyDictionary[Any, dict[tuple[str, int], Control]] = WeakKeyDictionary()


def _control(tokenizer: Any, template: str) -> Control:
    added = tokenizer.added_tokens_decoder
    special = {str(one) for one in added.values() if one.special} | set(tokenizer.all_special_tokens)
    names = {str(one): int(number) for number, one in added.items()}
    ids = {name: number for name, number in names.items() if name in special or _steers(name, template)}
    ids |= {name: int(tokenizer.convert_tokens_to_ids(name)) for name in special}
    all_names = _any_of(ids)
    return Control(
        ids,
        frozenset(special),
        _copy(tokenizer, ids),
        re.compile(f"({MARK.pattern})|{HELD}(\\d+){END}|({all_names})"),
        re.compile(f"{_RESERVED}|{all_names}"),
        re.compile(f"{_RESERVED}|{_any_of(special)}"),
    )


def _steers(name: str, template: str) -> bool:
    """Whether a token that is not special is a mark of the template, such as ``<tool_call>``, and no word."""
    framed = len(name) > 2 and not (name[0].isalnum() or name[-1].isalnum())
    return framed and any(letter.isalnum() for letter in name) and name in template


def _any_of(names: Any) -> str:
    """A pattern of any of ``names``, the longest first; of nothing where there are none."""
    return "|".join(re.escape(name) for name in sorted(names, key=lambda name: (-len(name), name))) or "(?!)"


def _copy(tokenizer: Any, ids: dict[str, int]) -> Any:
    """The tokenizer with the tokens ``ids`` under aliases, and nothing put around texts."""
    from tokenizers import AddedToken, Tokenizer

    plan = json.loads(tokenizer.backend_tokenizer.to_str())
    plan |= {"post_processor": None, "truncation": None, "padding": None}
    for one in plan["added_tokens"]:
        if one["content"] in ids:
            one["content"], one["normalized"] = alias(one["id"]), False
    model = plan["model"]
    pieces = model["vocab"]
    if isinstance(pieces, dict):
        model["vocab"] = {(alias(number) if word in ids else word): number for word, number in pieces.items()}
    else:
        model["vocab"] = [
            [alias(number) if word in ids else word, score] for number, (word, score) in enumerate(pieces)
        ]
    if model.get("unk_token") in ids:
        model["unk_token"] = alias(ids[model["unk_token"]])
    backend = Tokenizer.from_str(json.dumps(plan))
    missing = [AddedToken(alias(one), normalized=False) for one in ids.values() if _unlisted(backend, one)]
    backend.add_special_tokens([*missing, AddedToken(JOINT, normalized=False)])
    moved = [name for name, number in ids.items() if backend.token_to_id(alias(number)) != number]
    if moved:
        raise ValueError(f"a copy of the tokenizer gives other ids to {moved}")
    return backend


def _unlisted(backend: Any, number: int) -> bool:
    """Whether a special token is in the vocabulary only, so that texts are not searched for it."""
    return number not in backend.get_added_tokens_decoder()


@dataclass(slots=True)
class Held:
    """What people wrote that reads like a steering token, taken out of their texts while a template is laid out."""

    control: Control
    numbers: dict[str, int] = field(default_factory=dict)

    def take(self, value: Any, answer: bool = False) -> Any:
        """``value`` (text, list or mapping) with such names held; the names that may stand in an ``answer`` stay.

        :raises UserError: C005, a text holds an alias.
        """
        if isinstance(value, str):
            if ALIAS in value:
                what = "a text holds the code point U+FDD3, which Unicode sets aside for programs and whet uses itself."
                raise UserError(Problem("C005", "the conversation", what, "Take it out of the text."))
            names = self.control.special_names if answer else self.control.all_names
            return names.sub(self._hold, value)
        if isinstance(value, dict):
            return {self.take(key, answer): self.take(one, answer) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.take(one, answer) for one in value]
        return value

    def _hold(self, found: re.Match[str]) -> str:
        return f"{HELD}{self.numbers.setdefault(found[0], len(self.numbers))}{END}"


@dataclass(frozen=True, slots=True)
class Written:
    """A text for :meth:`Control.encode`.

    - ``marks``: mark (as :data:`OPENS` or :data:`CLOSES` and the number of a message) -> character of the text.
    - ``tokens``: (start, end, name) of each token of the template, in the order of the text.
    """

    text: str
    marks: dict[str, int]
    tokens: tuple[tuple[int, int, str], ...]


def written(control: Control, laid: str, held: Held) -> Written:
    """What a template laid out, with its own tokens under aliases and people's words as they were."""
    texts = list(held.numbers)
    pieces: list[str] = []
    marks: dict[str, int] = {}
    tokens: list[tuple[int, int, str]] = []
    size = last = 0
    for found in control.written.finditer(laid):
        pieces.append(laid[last : found.start()])
        size += found.start() - last
        last = found.end()
        mark, number, name = found[1], found[2], found[3]
        if mark is not None:
            marks.setdefault(mark[:-1], size)
            continue
        piece = texts[int(number)] if number is not None else alias(control.ids[name])
        if name is not None:
            tokens.append((size, size + len(piece), name))
        pieces.append(piece)
        size += len(piece)
    pieces.append(laid[last:])
    return Written("".join(pieces), marks, tuple(tokens))
