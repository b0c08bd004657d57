"""A language model writes: prompts in, texts out, in batches that do not change what is said.

The loop stands on the caches of transformers. Rows of like length go together; a row that is finished leaves its
batch; what is drawn depends on the seed and the prompt alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.generation import beams
from whet.generation.closed import label_nats
from whet.generation.reading_prompts import Reading, alone, batches, in_use, read, read_shared, refuse_long, room
from whet.generation.reading_sources import answer_room, checked, read_sources, refuse_long_sources
from whet.generation.sampling import Constraint, Said, Sampling, choose, cost, forbid, row_generator
from whet.generation.spoken import Spoken

__all__ = ["Constraint", "Said", "Sampling", "generate", "label_nats", "stream"]

BATCH_TOKENS = 8192
"""Tokens of prompts and answers that are held at once."""


def generate(
    network: Any,
    tokenizer: Any,
    prompts: Sequence[NDArray[np.int64]],
    sampling: Sampling,
    *,
    eos_ids: Collection[int] | None = None,
    begins: NDArray[np.int64] | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
    constraint: Constraint | None = None,
) -> list[Said]:
    """What ``network`` says to each of ``prompts``, in their order.

    :param network: a language model of transformers: a decoder, or an encoder-decoder.
    :param prompts: token ids, one or more each; of an encoder-decoder the sources.
    :param eos_ids: tokens that end an answer, as :func:`whet.batches.chat.stops` gives them; None: the tokenizer's.
    :param begins: what every answer of an encoder-decoder begins with, and is no part of it, as
        :func:`whet.models.sequences.prefix` gives it; None for a decoder.
    :param progress: receives the number of prompts done.
    :param constraint: what may follow; not with ``num_beams``.
    :raises UserError: C010, a prompt leaves no room for an answer; C011, beams under a constraint.
    """
    _refuse(network, prompts, begins)
    ends = _ends(tokenizer, eos_ids)
    done: list[Said | None] = [None] * len(prompts)
    finished = 0
    with in_use(network):
        alike = sampling.num_beams == 1 and begins is None
        shared = read_shared(network, prompts) if alike else None
        at_once = 0 if begins is None and alone(network) else batch_tokens // sampling.num_beams
        for rows in batches([len(one) for one in prompts], sampling.max_tokens, at_once):
            chosen = [prompts[row] for row in rows]
            if sampling.num_beams > 1:
                answers = beams.search(network, tokenizer, chosen, sampling, ends, constraint, begins)
            else:
                writing = Writing.begun(network, tokenizer, chosen, sampling, ends, shared, constraint, rows, begins)
                while writing.step():
                    pass
                answers = writing.said()
            for row, answer in zip(rows, answers, strict=True):
                done[row] = answer
            finished += len(rows)
            if progress:
                progress(finished)
    return [one for one in done if one is not None]


def stream(
    network: Any,
    tokenizer: Any,
    prompt: NDArray[np.int64],
    sampling: Sampling,
    *,
    eos_ids: Collection[int] | None = None,
    begins: NDArray[np.int64] | None = None,
    constraint: Constraint | None = None,
) -> Iterator[str]:
    """What :func:`generate` would say to one prompt, piece by piece as it is said. Beams are not used.

    :raises UserError: C010, the prompt leaves no room for an answer.
    """
    _refuse(network, [prompt], begins)
    ends = _ends(tokenizer, eos_ids)
    with in_use(network):
        writing = Writing.begun(network, tokenizer, [prompt], sampling, ends, None, constraint, [0], begins)
        told = ""
        going = True
        while going:
            going = writing.step()
            text = writing.rows[0].text if not going else writing.rows[0].certain
            if text.startswith(told) and len(text) > len(told):
                yield text[len(told) :]
                told = text


def _refuse(network: Any, prompts: Sequence[NDArray[np.int64]], begins: NDArray[np.int64] | None) -> None:
    if checked(network, begins) is None:
        refuse_long(prompts, room(network))
    else:
        refuse_long_sources(network, prompts)


def _limits(
    network: Any, prompts: Sequence[NDArray[np.int64]], begins: NDArray[np.int64] | None, max_tokens: int
) -> list[int]:
    """The longest answer to each prompt."""
    if begins is not None:
        most = answer_room(network, begins)
        return [max_tokens if most is None else min(max_tokens, most)] * len(prompts)
    longest = room(network)
    return [max_tokens if longest is None else min(max_tokens, longest - len(one)) for one in prompts]


def _ends(tokenizer: Any, eos_ids: Collection[int] | None) -> Collection[int]:
    if eos_ids is not None:
        return eos_ids
    return [] if tokenizer.eos_token_id is None else [int(tokenizer.eos_token_id)]


@dataclass(slots=True)
class Writing:
    """Answers in the making. ``rows`` are all of them, ``active`` the numbers of those that ``reading`` still holds."""

    reading: Reading
    rows: list[Spoken]
    sampling: Sampling
    limits: list[int]
    numbers: Sequence[int]
    streams: list[np.random.Generator]
    constraint: Constraint | None
    active: list[int] = field(default_factory=list)

    @staticmethod
    def begun(
        network: Any,
        tokenizer: Any,
        prompts: Sequence[NDArray[np.int64]],
        sampling: Sampling,
        eos_ids: Collection[int],
        shared: Reading | None,
        constraint: Constraint | None,
        numbers: Sequence[int],
        begins: NDArray[np.int64] | None = None,
    ) -> Writing:
        """Read ``prompts``; ``numbers`` are what ``constraint`` knows them by."""
        limits = _limits(network, prompts, begins, sampling.max_tokens)
        rows = [Spoken(tokenizer, frozenset(eos_ids), sampling.stop) for _ in prompts]
        streams = [row_generator(sampling.seed, one) for one in prompts]
        reading = read(network, prompts, shared) if begins is None else read_sources(network, prompts, begins)
        return Writing(reading, rows, sampling, limits, numbers, streams, constraint, list(range(len(rows))))

    def step(self) -> bool:
        """Say one more token in every row that goes on; whether some row still does."""
        logits = self.reading.logits
        allowed = logits
        if self.constraint is not None:
            may = [self.constraint(self.numbers[row], self.rows[row].ids) for row in self.active]
            allowed = forbid(logits, may)
        chosen = choose(allowed, self.sampling, [self.streams[row] for row in self.active])
        costs = cost(logits, chosen).tolist()
        going: list[int] = []
        for place, token in enumerate(chosen.tolist()):
            row = self.active[place]
            self.rows[row].say(token, costs[place])
            if not self.rows[row].finished and len(self.rows[row].ids) < self.limits[row]:
                going.append(place)
        if not going:
            return False
        if len(going) < len(self.active):
            self.reading.keep(torch.tensor(going, device=chosen.device))
            self.active = [self.active[place] for place in going]
            chosen = chosen[going]
        self.reading.go_on(chosen.unsqueeze(1))
        return True

    def said(self) -> list[Said]:
        """All rows, as they stand."""
        return [Said(one.ids, one.text, one.finished, one.nats) for one in self.rows]
