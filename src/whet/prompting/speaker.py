"""What answers prompts: a language model on this machine, or an endpoint. Both offer the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Prompt = Sequence[Mapping[str, Any]]
"""Messages of a chat with ``role`` and ``content``; the last one is the user's."""
Progress = Callable[[int], None]
"""Told how many of the prompts are answered; an endpoint that is slow tells the same number again. What it raises ends
the asking: nothing new is asked, and replies that are under way are waited for."""

CHARACTERS_A_TOKEN = 4.0
"""Characters that stand for a token where no tokenizer is at hand: about what vocabularies of English make of it.
Other scripts need more tokens than that, see :func:`estimated_tokens`."""
THINKS, THOUGHT = "<think>", "</think>"
"""What many models write around the thinking that comes before an answer."""
MESSAGE_TOKENS = 4
"""Tokens that a template puts around a message, where no template is at hand."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was said to one prompt.

    - ``text``: without blanks around it, and without the thinking that some models put before their answer.
    - ``finished``: it ended by itself, rather than at the limit of its tokens.
    - ``tokens_in``, ``tokens_out``: tokens of the prompt and of the answer.
    - ``seconds``: it took, as the asker waits for it; a share of the batch where prompts were answered together.
      Of a cached one: as it was when it was asked.
    - ``cached``: it was known, and nothing was paid.
    """

    text: str
    finished: bool
    tokens_in: int
    tokens_out: int
    seconds: float
    cached: bool = False


@dataclass(slots=True)
class Spent:
    """What a speaker's answers have cost since it was opened.

    - ``requests``: asked for; of a local model one a prompt.
    - ``cached``: answers that were known already, which are no requests.
    - ``tokens_in``, ``tokens_out``, ``seconds``: of the requests, summed; seconds of parallel ones too.
    - ``price``: of the requests, in the currency of the recipe's prices; None where no prices are given.
    """

    requests: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    price: float | None = None

    def add(self, reply: Reply, price: float | None = None) -> None:
        """Count one reply; ``price`` is what it was paid with."""
        if reply.cached:
            self.cached += 1
            return
        self.requests += 1
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out
        self.seconds += reply.seconds
        if price is not None:
            self.price = (self.price or 0.0) + price


class Speaker(Protocol):
    """A language model that answers prompts, always with the answer that it finds likeliest."""

    @property
    def name(self) -> str:
        """For people: "gpt-4o-mini at api.openai.com", "the base itself", the name of a folder."""

    @property
    def weighs(self) -> bool:
        """Whether it can be asked for the likelihood of given answers."""

    @property
    def longest(self) -> int | None:
        """Tokens that prompt and answer may have together; None where that is not known."""

    def count(self, prompt: Prompt) -> int:
        """Tokens of a prompt: exact where the tokenizer is here, else :func:`estimated_tokens`."""

    def say(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Reply]:
        """Answer ``prompts``, in their order, without chance (temperature 0).

        :param max_tokens: that an answer may have.
        :param stop: texts that end an answer; they are no part of it.
        :raises UserError: P020 to P027, an endpoint refuses, or its spending limit is reached; C010, a prompt leaves
            no room for an answer.
        """

    def weigh(
        self, prompts: Sequence[Prompt], answers: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float64]:
        """(n, L) nats of each of L ``answers`` behind each of n ``prompts``: of its tokens and of its end.

        :raises UserError: P031, it cannot weigh answers (:attr:`weighs`).
        """

    def spent(self) -> Spent:
        """What it has cost so far."""


def estimated_tokens(prompt: Prompt) -> int:
    """About how many tokens ``prompt`` has, from its characters alone; on the high side.

    Four characters of ASCII make a token, as vocabularies of English have it; any other character is taken as one.
    Each message adds :data:`MESSAGE_TOKENS`.
    """
    return sum(MESSAGE_TOKENS + text_tokens(str(message.get("content") or "")) for message in prompt)


def text_tokens(text: str) -> int:
    """About how many tokens a text has, see :func:`estimated_tokens`."""
    plain = sum(character < "\x80" for character in text)
    return int(np.ceil(plain / CHARACTERS_A_TOKEN)) + len(text) - plain


def said_in(text: str) -> str:
    """What of a model's words is its answer: what stands behind its thinking, without blanks around it.

    Thinking that never ends leaves no answer.
    """
    if THOUGHT in text:
        return text.rpartition(THOUGHT)[2].strip()
    said = text.strip()
    return "" if said.startswith(THINKS) else said
