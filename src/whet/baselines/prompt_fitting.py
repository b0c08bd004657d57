"""Prompts that leave room for an answer: with fewer training rows where there is too little, on record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whet.baselines.prompt_asking import Asked, Asking, Turns, demonstration, together
from whet.errors import Problem, UserError

if TYPE_CHECKING:
    from whet.data.forms import Examples
    from whet.prompting.speaker import Speaker

TOKENS_A_MESSAGE = 16
"""More than templates put around a message; only to see which prompts are surely short enough without counting."""
SHORTEST = 0.01
"""Share of a row below which it is not shortened further."""
Shown = Sequence[Sequence[int]]
"""Of each row, the numbers of the training rows before it."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompts of n rows.

    - ``left`` (n,) int64: training rows that each shows; ``num_cut``: rows that had to be shortened themselves.
    """

    turns: list[Turns]
    left: NDArray[np.int64]
    num_cut: int


@dataclass(slots=True)
class Fitting:
    """Puts rows in words for a speaker; ``max_tokens`` are kept free for its answer."""

    speaker: Speaker
    asking: Asking
    train: Examples
    instruction: str
    max_tokens: int
    _known: dict[int, Turns] = field(default_factory=dict)
    _frame: int | None = None

    def refuse_narrow(self, task: str) -> None:
        """:raises UserError: P052, what is asked leaves no room for a row."""
        if not self._fits(together(self.instruction, (), self.asking.blank("-").turns())):
            what = (
                f"takes {self.speaker.longest:,} tokens, prompt and answer together, which is too few for the "
                f"instruction of {task} and an answer of up to {self.max_tokens:,}."
            )
            remedy = "Give a shorter prompting.instruction, fewer prompting.max_tokens, or name a longer model."
            raise UserError(Problem("P052", self.speaker.name, what, remedy))

    def prompts(self, asked: Sequence[Asked], shown: Shown) -> Prompts:
        """A prompt for each row that is asked about."""
        self._learn(row for some in shown for row in some)
        turns: list[Turns] = []
        left = np.zeros(len(asked), np.int64)
        num_cut = 0
        for number, (one, some) in enumerate(zip(asked, shown, strict=True)):
            prompt, left[number], is_cut = self._fitting(one, some)
            turns.append(prompt)
            num_cut += is_cut
        return Prompts(turns, left, num_cut)

    def _learn(self, rows: Iterable[int]) -> None:
        new = sorted(set(rows) - self._known.keys())
        if new:
            some = self.train.take(new)
            pairs = zip(new, self.asking.asked(some), self.asking.answers(some), strict=True)
            self._known |= {row: demonstration(asked, answer) for row, asked, answer in pairs}

    def _fitting(self, asked: Asked, shown: Sequence[int]) -> tuple[Turns, int, bool]:
        """The prompt with the last of ``shown`` that leave room for an answer; shortened where it has none alone."""
        turns = asked.turns()
        for first in range(len(shown) + 1):
            prompt = together(self.instruction, [self._known[row] for row in shown[first:]], turns)
            if self._fits(prompt):
                return prompt, len(shown) - first, False
        share = 1.0
        while not self._fits(prompt) and share > SHORTEST:
            share *= 0.8
            prompt = together(self.instruction, (), asked.turns(share))
        return prompt, 0, True

    def _fits(self, prompt: Turns) -> bool:
        limit = self.speaker.longest
        if limit is None:
            return True
        if self._frame is None:
            self._frame = self.speaker.count([{"role": "user", "content": "a"}])
        room = limit - self.max_tokens
        # a token stands for one byte at least
        most = self._frame + sum(len(one["content"].encode()) + TOKENS_A_MESSAGE for one in prompt)
        return most <= room or self.speaker.count(prompt) <= room
