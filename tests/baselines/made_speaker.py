"""A speaker that answers by a rule, and counts what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from whet.prompting.speaker import Progress, Prompt, Reply, Spent

Rule = Callable[[Prompt], str]
Weights = Callable[[Prompt, str], float]


def asked(prompt: Prompt) -> str:
    """The last message."""
    return str(prompt[-1]["content"])


@dataclass
class Scripted:
    """Says what ``rule`` says; where it has ``nats`` it weighs answers by them. A token is a word."""

    rule: Rule = asked
    nats: Weights | None = None
    longest: int | None = None
    name: str = "the script"
    seen: list[Prompt] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    _spent: Spent = field(default_factory=Spent)

    @property
    def weighs(self) -> bool:
        return self.nats is not None

    def count(self, prompt: Prompt) -> int:
        return sum(len(str(one["content"]).split()) + 1 for one in prompt)

    def say(
        self,
        prompts: Sequence[Prompt],
        *,
        max_tokens: int,
        stop: Sequence[str] = (),
        progress: Progress | None = None,
    ) -> list[Reply]:
        self._ask(prompts, max_tokens)
        replies = []
        for prompt in prompts:
            words = self.rule(prompt).split(" ")
            text = " ".join(words[:max_tokens])
            replies.append(Reply(text, len(words) <= max_tokens, self.count(prompt), len(words[:max_tokens]), 0.5))
        for reply in replies:
            self._spent.add(reply, (reply.tokens_in + reply.tokens_out) / 1e6)
        return replies

    def weigh(
        self, prompts: Sequence[Prompt], answers: Sequence[str], progress: Progress | None = None
    ) -> NDArray[np.float64]:
        assert self.nats is not None
        nats = self.nats
        self._ask(prompts, max(len(one.split()) for one in answers) + 1)
        self._spent.requests += len(prompts)
        return np.asarray([[nats(prompt, answer) for answer in answers] for prompt in prompts], np.float64)

    def spent(self) -> Spent:
        return replace(self._spent)

    def _ask(self, prompts: Sequence[Prompt], max_tokens: int) -> None:
        for prompt in prompts:
            assert prompt and prompt[-1]["role"] == "user"
            assert self.longest is None or self.count(prompt) + max_tokens <= self.longest
        self.seen += list(prompts)
        self.limits.append(max_tokens)
