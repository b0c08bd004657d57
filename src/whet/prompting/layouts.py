"""How a prompt becomes token ids for a model on this machine, and a closed answer behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from whet.batches import chat
from whet.generation.reading_prompts import room
from whet.models import sequences
from whet.prompting.speaker import Prompt

GAP = "\n\n"
"""What stands between the messages for a model that knows no chat."""
Ids = NDArray[np.int64]


class Layout(Protocol):
    """One of the three ways below.

    - ``ends``: tokens that end an answer; ``stop``: texts that do.
    - ``begins``: what every answer begins with and is no part of it; None but for encoder-decoders.
    - ``longest``: tokens of prompt and answer together, of an encoder-decoder those of the prompt.
    """

    @property
    def ends(self) -> Sequence[int]: ...  # noqa: D102
    @property
    def stop(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def begins(self) -> Ids | None: ...  # noqa: D102
    @property
    def longest(self) -> int | None: ...  # noqa: D102

    def ids(self, prompt: Prompt) -> Ids:
        """(p,) what the model is given."""

    def closed(self, prompt: Prompt, answers: Sequence[str]) -> list[Ids]:
        """Of each answer the tokens behind ``prompt``, with what ends it."""


def layout_of(network: Any, tokenizer: Any, template: str | None = None) -> Layout:
    """The way that suits a model.

    :param template: as :func:`whet.batches.templates.template_of` takes it; None and 'auto': the tokenizer's own.
    :raises UserError: M050, M051, an encoder-decoder does not say how its answers begin.
    """
    named = None if template == "auto" else template
    if network.config.is_encoder_decoder:
        return Source(tokenizer, network.config)
    if named is None and not getattr(tokenizer, "chat_template", None):
        return Plain(tokenizer, room(network))
    return Chat(tokenizer, named, room(network))


@dataclass(frozen=True, slots=True)
class Chat:
    """Messages in the template of a chat."""

    tokenizer: Any
    template: str | None
    longest: int | None
    stop: tuple[str, ...] = ()
    begins: Ids | None = None

    @property
    def ends(self) -> Sequence[int]:
        """The token that the template puts behind an answer, and the tokenizer's own."""
        return chat.stops(self.tokenizer, self.template)

    def ids(self, prompt: Prompt) -> Ids:
        """What the template makes of the messages."""
        return chat.render_prompt(self.tokenizer, _as_chat(prompt), template=self.template)

    def closed(self, prompt: Prompt, answers: Sequence[str]) -> list[Ids]:
        """Up to the token that ends an answer: templates write a line break behind it."""
        rows = [([*_as_chat(prompt), {"role": "assistant", "content": answer}], None) for answer in answers]
        found = []
        for row in chat.render_rows(self.tokenizer, rows, template=self.template, train="last"):
            counted = np.flatnonzero(row.weights[row.prompt_length :])
            found.append(row.ids[row.prompt_length :][: counted[-1] + 1 if len(counted) else 0])
        return found


@dataclass(frozen=True, slots=True)
class Plain:
    """The contents of the messages one behind the other, a blank line between them, for a model that knows no chat.

    It has not learnt whose turn it is, and would go on with the next message: a blank line ends its answer. A single
    message of the role ``prompt`` is a text that goes on, with nothing between.
    """

    tokenizer: Any
    longest: int | None
    stop: tuple[str, ...] = (GAP,)
    begins: Ids | None = None

    @property
    def ends(self) -> Sequence[int]:
        """The token that ends a text."""
        return chat.stops(self.tokenizer, None, completes=True)

    def ids(self, prompt: Prompt) -> Ids:
        """The contents, and the blank line behind which the answer begins."""
        return chat.render_prompt(self.tokenizer, self._text(prompt))

    def closed(self, prompt: Prompt, answers: Sequence[str]) -> list[Ids]:
        """With the blank line that ends an answer; with the end of a text where blanks are no tokens."""
        before = self._text(prompt)
        texts = [text for answer in answers for text in (answer, answer + GAP)]
        rows = [([*before, {"role": "completion", "content": text}], None) for text in texts]
        found = chat.render_rows(self.tokenizer, rows)
        return [_ended(bare, gapped) for bare, gapped in zip(found, found, strict=True)]

    def _text(self, prompt: Prompt) -> list[Mapping[str, Any]]:
        if len(prompt) == 1 and prompt[0]["role"] == "prompt":
            return list(prompt)
        return [{"role": "prompt", "content": "".join(one + GAP for one in _contents(prompt))}]


@dataclass(frozen=True, slots=True)
class Source:
    """The contents as the source of an encoder-decoder, whose target is the answer."""

    tokenizer: Any
    config: Any
    stop: tuple[str, ...] = ()

    @property
    def longest(self) -> int | None:
        """Tokens of a source."""
        return sequences.max_source(self.config)

    @property
    def begins(self) -> Ids:
        """What every target begins with."""
        return np.asarray(sequences.prefix(self.tokenizer, self.config), np.int64)

    @property
    def ends(self) -> Sequence[int]:
        """What ends a target."""
        return sequences.suffix(self.tokenizer)

    def ids(self, prompt: Prompt) -> Ids:
        """The contents, a blank line between them, in the tokenizer's own frame."""
        return np.asarray(sequences.source_ids(self.tokenizer, [GAP.join(_contents(prompt))])[0], np.int64)

    def closed(self, prompt: Prompt, answers: Sequence[str]) -> list[Ids]:
        """Targets with their end."""
        bare = sequences.target_ids(self.tokenizer, answers)
        return [np.asarray([*one, *self.ends], np.int64) for one in bare]


def _as_chat(prompt: Prompt) -> list[Mapping[str, Any]]:
    """``prompt`` in roles that templates know."""
    roles = {"prompt": "user", "completion": "assistant"}
    return [{**message, "role": roles.get(message["role"], message["role"])} for message in prompt]


def _contents(prompt: Prompt) -> list[str]:
    return [text for message in prompt if (text := str(message.get("content") or "").strip())]


def _ended(bare: chat.Rendered, gapped: chat.Rendered) -> Ids:
    without, behind = (row.ids[row.prompt_length : len(row.ids) - (row.stop is not None)] for row in (bare, gapped))
    return bare.ids[bare.prompt_length :] if np.array_equal(without, behind) else behind
