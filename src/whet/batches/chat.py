"""Conversations to token ids: one way for training, evaluation and use.

A template lays the messages out as one text (:mod:`whet.batches.templates`), in which every answer has its place
(:mod:`whet.batches.conversation`) and nothing that people wrote becomes a special token
(:mod:`whet.batches.control`). The ids of the whole begin with those of the prompt, token by token: where the
tokenizer would join the end of the prompt with the start of the answer, the two are encoded apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from whet.batches.control import JOINT
from whet.batches.conversation import Conversation, Layout
from whet.batches.templates import NAMED, template_of
from whet.errors import Problem, Problems, UserError

__all__ = ["NAMED", "Rendered", "Row", "cut", "cut_prompt", "render", "render_prompt", "render_rows", "stops"]
__all__ += ["template_of"]

Train = Literal["last", "answers", "all", "weights"]
"""What carries loss: the last answer, every answer, every token, or answers by the weight of their message."""
Message = Mapping[str, Any]
Row = tuple[Sequence[Message], Any]
"""Messages and tools (a list, its JSON, or None)."""

AT_ONCE = 256
"""Conversations that are encoded at once: enough to keep every core busy."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A conversation as a model sees it.

    - ``ids`` (t,): token ids of the whole.
    - ``weights`` (t,): how much each token counts as a target; 0: it is only read. The first token is never
      one, since nothing stands before it. Of an answer, the token that ends it counts too.
    - ``prompt_length``: tokens before the last answer.
    - ``stop``: id of the token that ends the last answer; None where the template puts none there.
    - ``merged``: the tokenizer would have joined prompt and answer.
    - ``grafted``: see :class:`whet.batches.conversation.Conversation`.
    """

    ids: NDArray[np.int64]
    weights: NDArray[np.float32]
    prompt_length: int
    stop: int | None = None
    merged: bool = False
    grafted: bool = False

    @property
    def prompt(self) -> NDArray[np.int64]:
        """What generation starts from."""
        return self.ids[: self.prompt_length]


def render(
    tokenizer: Any,
    messages: Sequence[Message],
    tools: Any = None,
    *,
    template: str | None = None,
    train: Train = "answers",
) -> Rendered:
    """A conversation that ends with an answer.

    :param tokenizer: a fast tokenizer of transformers.
    :param messages: mappings with ``role`` and ``content``, and as it may be ``weight`` (None: 1), ``name``,
        ``tool_calls`` (a list or its JSON), ``tool_call_id``. Roles ``prompt`` and ``completion`` are text that
        goes on as text.
    :param template: what :func:`template_of` takes: a name, a file, or the Jinja. None and 'auto': the tokenizer's
        own, else 'plain', and nothing around a prompt and its completion.
    :raises UserError: C001, there is no such template; C002, it fails on these messages; C003, they do not end with
        an answer; C004, the template changes answers so that they cannot be found; C005, a text forges a token.
    """
    return next(render_rows(tokenizer, [(messages, tools)], template=template, train=train))


def render_prompt(
    tokenizer: Any, messages: Sequence[Message], tools: Any = None, *, template: str | None = None
) -> NDArray[np.int64]:
    """(p,) token ids that generation starts from: those that :func:`render` begins with.

    :param messages: all before the answer.
    :raises UserError: C002, the template fails on these messages; C005, a text forges a token.
    """
    layout = Layout.of(tokenizer, template, messages)
    return np.asarray(layout.control.encode([layout.prompt(messages, tools).text])[0].ids, np.int64)


def render_rows(
    tokenizer: Any,
    rows: Iterable[Row],
    *,
    template: str | None = None,
    train: Train = "answers",
    places: Iterable[str] = (),
) -> Iterator[Rendered]:
    """:func:`render` of many, on all cores; its errors are raised when the block of their row is reached.

    :param places: where each row comes from, as file and line; problems then name it, those of a block at once.
    """
    left, where = iter(rows), iter(places)
    while block := list(islice(left, AT_ONCE)):
        layouts = [Layout.of(tokenizer, template, messages) for messages, _ in block]
        talks = _talks(layouts, block, train, list(islice(where, len(block))))
        control = layouts[0].control
        same = all(one.control is control for one in layouts)
        for part in [range(len(talks))] if same else [[number] for number in range(len(talks))]:
            known = layouts[part[0]].control
            both = known.encode([text for number in part for text in (talks[number].text, talks[number].prompt)])
            for place, number in enumerate(part):
                whole, prompt = both[2 * place : 2 * place + 2]
                yield _rendered(layouts[number], talks[number], block[number][0], whole, prompt, train)


def _talks(layouts: Sequence[Layout], block: Sequence[Row], train: Train, places: Sequence[str]) -> list[Conversation]:
    found, problems = [], Problems()
    for number, (layout, row) in enumerate(zip(layouts, block, strict=True)):
        try:
            talk = layout.whole(*row)
            _refuse_unplaced(talk, train)
            found.append(talk)
        except UserError as error:
            if not places:
                raise
            for one in located(error, places[number]).problems:
                problems.add(one.code, one.where, one.what, one.remedy)
    problems.raise_if_any()
    return found


def located(error: UserError, place: str) -> UserError:
    """The same about the row at ``place``: file and line."""
    return UserError([replace(one, where=place) for one in error.problems], error.num_problems)


def _refuse_unplaced(talk: Conversation, train: Train) -> None:
    if talk.unplaced and train in ("answers", "weights"):
        what = "the template changes earlier answers so that their places cannot be told."
        remedy = "Train on the last one alone with chat.train=last, or name another template with chat.template."
        raise UserError(Problem("C004", "chat.template", what, remedy))


def _rendered(
    layout: Layout, talk: Conversation, messages: Sequence[Message], whole: Any, prompt: Any, train: Train
) -> Rendered:
    length = len(prompt.ids)
    merged = whole.ids[:length] != prompt.ids
    if merged:
        ids, spans = _apart(layout, talk, prompt)
    else:
        ids, spans = np.asarray(whole.ids, np.int64), np.asarray(whole.offsets, np.int64).reshape(-1, 2)
    stop = None if talk.stop is None else layout.control.ids[talk.stop]
    weights = _weights(talk, messages, spans, length, train)
    return Rendered(ids, weights, length, stop, merged, talk.grafted)


def _apart(layout: Layout, talk: Conversation, prompt: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ids and characters (t, 2) of prompt and answer encoded apart."""
    behind = layout.control.encode([JOINT + talk.answer])[0]
    ids = np.concatenate([np.asarray(prompt.ids, np.int64), np.asarray(behind.ids[1:], np.int64)])
    shift = len(talk.prompt) - len(JOINT)
    spans = [*prompt.offsets, *((start + shift, end + shift) for start, end in behind.offsets[1:])]
    return ids, np.asarray(spans, np.int64).reshape(-1, 2)


def _weights(
    talk: Conversation, messages: Sequence[Message], spans: NDArray[np.int64], length: int, train: Train
) -> NDArray[np.float32]:
    """(t,) how much each token counts."""
    weights = np.zeros(len(spans), np.float32)
    if train == "all":
        weights[:] = 1.0
    else:
        for place in talk.places:
            last = place.number == len(messages) - 1
            if not last and train == "last":
                continue
            told = messages[place.number].get("weight") if train == "weights" else None
            inside = _inside(spans, place.start, place.end)
            inside[:length] &= not last  # a token of the prompt is none of the answer,
            inside[length:] &= last  # and the other way round
            weights[inside] = 1.0 if told is None else told
    weights[:1] = 0.0
    return weights


def _inside(spans: NDArray[np.int64], start: int, end: int) -> NDArray[np.bool_]:
    """(t,) whether a token stands for a character from ``start`` to ``end``, or for none, but lies between them."""
    first, behind = spans[:, 0], spans[:, 1]
    found: NDArray[np.bool_] = (first < end) & ((behind > start) | ((first == behind) & (first >= start)))
    return found


def stops(tokenizer: Any, template: str | None = None, completes: bool = False) -> tuple[int, ...]:
    """Ids of the tokens that end an answer: what the template puts behind one, and the tokenizer's own.

    Empty where neither has one: generation then goes on to its limit.

    :param completes: whether rows are prompts and completions, of which ``template`` is None or 'auto'.
    """
    roles = ("prompt", "completion") if completes else ("user", "assistant")
    messages = [{"role": role, "content": "a"} for role in roles]
    layout = Layout.of(tokenizer, template, messages)
    try:
        name = layout.whole(messages).stop
    except UserError:  # it wants other messages; what it says of them is said where they are rendered
        name = None
    found = [None if name is None else layout.control.ids[name], tokenizer.eos_token_id]
    return tuple(dict.fromkeys(one for one in found if one is not None))


Cut = Literal["prompt", "answer", "drop"]
"""What of a row that is too long is left out: the beginning of its prompt, the end of its answer, or the row."""


def cut(rendered: Rendered, limit: int, what: Cut) -> Rendered | None:
    """``rendered`` within ``limit`` tokens; None where it cannot be without losing what ``what`` keeps.

    A prompt keeps its first token, which starts the text, and loses those behind it; at least one token of it
    stays. With 'answer' at least one token of the answer stays.
    """
    if len(rendered.ids) <= limit:
        return rendered
    answer = len(rendered.ids) - rendered.prompt_length
    if (
        what == "drop"
        or (what == "prompt" and answer + 1 > limit)
        or (what == "answer" and limit <= rendered.prompt_length)
    ):
        return None
    if what == "answer":
        return replace(rendered, ids=rendered.ids[:limit], weights=rendered.weights[:limit])
    kept = _kept(rendered.prompt_length, limit - answer)
    chosen = np.concatenate([kept, np.arange(rendered.prompt_length, len(rendered.ids))])
    weights = rendered.weights[chosen]
    return replace(rendered, ids=rendered.ids[chosen], weights=weights, prompt_length=len(kept))


def cut_prompt(ids: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """A prompt within ``limit`` tokens, cut as :func:`cut` does it."""
    return ids if len(ids) <= limit else ids[_kept(len(ids), limit)]


def _kept(length: int, limit: int) -> NDArray[np.int64]:
    """Numbers of the tokens that stay of a prompt: the first, and the last ones."""
    if length <= limit:
        return np.arange(length)
    return np.concatenate([np.zeros(min(1, limit), np.int64), np.arange(length - max(0, limit - 1), length)])
