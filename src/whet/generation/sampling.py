"""The next token from logits, and what was said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.seeds import generator

Constraint = Callable[[int, list[int]], list[int] | None]
"""The number of a prompt and the ids said so far to the ids that may follow; None: all."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How text is generated.

    - ``max_tokens``: the longest answer.
    - ``temperature``: 0: always the likeliest token.
    - ``top_k``, ``top_p``, ``min_p``: draw among so many tokens (0: all), among the likeliest of this sum, among
      those with at least this share of the likeliest one's probability; taken in this order, as transformers does.
    - ``stop``: texts that end an answer and are no part of it.
    - ``num_beams``: more than 1: search for the likeliest text; nothing is drawn then.
    - ``length_penalty``: of beams: the likelihood of a text is divided by its length to this power.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    stop: tuple[str, ...] = ()
    seed: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said.

    - ``ids``: its tokens, with the one that ended it.
    - ``text``: what they read, special tokens and a stop text left out.
    - ``finished``: it ended by itself, and not at the limit.
    - ``nats``: negative log likelihood of ``ids``, by the model itself: before temperature and constraint.
    """

    ids: list[int]
    text: str
    finished: bool
    nats: float


def row_generator(seed: int, prompt: NDArray[np.int64]) -> np.random.Generator:
    """The random numbers of a prompt: they depend on its tokens, and not on what stands beside it in a batch."""
    return generator(seed, "row", np.ascontiguousarray(prompt, np.int64).tobytes().hex())


def choose(logits: Tensor, sampling: Sampling, streams: Sequence[np.random.Generator]) -> Tensor:
    """(B,) the next token of each row of ``logits`` (B, V), float32; -inf: not allowed."""
    if sampling.temperature == 0.0:
        return logits.argmax(-1)
    shares = torch.softmax(logits.double() / sampling.temperature, -1)
    # summed in the order of the vocabulary: by rank, nearly equal tokens would change places with the batch
    sums = (shares * _kept(shares, sampling)).cumsum(-1)
    drawn = torch.tensor([stream.random() for stream in streams], dtype=torch.float64, device=logits.device)
    total = sums[:, -1:].contiguous()
    places = torch.searchsorted(sums, drawn.unsqueeze(1) * total, right=True)
    last = torch.searchsorted(sums, total)  # rounding of the product may lead one too far
    return torch.minimum(places, last).squeeze(1)


def _kept(shares: Tensor, sampling: Sampling) -> Tensor:
    """(B, V) which tokens of these probabilities may be drawn; of equally likely ones all or none."""
    kept = torch.ones_like(shares, dtype=torch.bool)
    if 0 < sampling.top_k < shares.shape[1]:
        kept = shares >= shares.topk(sampling.top_k).values[:, -1:]
    if sampling.top_p < 1.0:
        ranked = (shares * kept).sort(dim=-1, descending=True).values
        before = ranked.cumsum(-1) - ranked
        within = before < sampling.top_p * ranked.sum(-1, keepdim=True)  # the one that reaches the sum stays
        kept = kept & (shares >= ranked.masked_fill(~within, torch.inf).amin(-1, keepdim=True))
    if sampling.min_p > 0.0:
        kept = kept & (shares >= sampling.min_p * shares.amax(-1, keepdim=True))
    return kept


def cost(logits: Tensor, chosen: Tensor) -> Tensor:
    """(B,) nats of the tokens ``chosen`` (B,), float64."""
    return -torch.log_softmax(logits.double(), -1).gather(1, chosen.unsqueeze(1)).squeeze(1)


def forbid(logits: Tensor, allowed: Sequence[list[int] | None]) -> Tensor:
    """``logits`` (B, V) with -inf where a row may not go on."""
    if all(one is None for one in allowed):
        return logits
    open_ = torch.zeros_like(logits, dtype=torch.bool)
    for number, one in enumerate(allowed):
        if one is None:
            open_[number] = True
        else:
            open_[number, torch.tensor(one, dtype=torch.long, device=logits.device)] = True
    return logits.masked_fill(~open_, -torch.inf)
