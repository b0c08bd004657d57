"""Beam search, by transformers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.generation.closed import label_nats
from whet.generation.reading_prompts import room
from whet.generation.sampling import Constraint, Said, Sampling
from whet.generation.spoken import Spoken


def search(
    network: Any,
    tokenizer: Any,
    prompts: Sequence[NDArray[np.int64]],
    sampling: Sampling,
    eos_ids: Collection[int],
    constraint: Constraint | None = None,
) -> list[Said]:
    """The likeliest text found behind each prompt, by its nats per token. A stop text cuts it afterwards.

    :raises UserError: C011, there is a constraint.
    """
    if constraint is not None:
        remedy = "Say generation.num_beams=1."
        raise UserError(Problem("C011", "generation", "beams cannot be searched under a constraint.", remedy))
    width = max(len(one) for one in prompts)
    longest = room(network)
    limit = sampling.max_tokens if longest is None else min(sampling.max_tokens, longest - width)
    device = next(network.parameters()).device
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(eos_ids), 0)
    tokens = torch.full((len(prompts), width), pad, dtype=torch.long, device=device)
    mask = torch.zeros_like(tokens)
    for number, prompt in enumerate(prompts):
        tokens[number, width - len(prompt) :] = torch.from_numpy(np.asarray(prompt, np.int64)).to(device)
        mask[number, width - len(prompt) :] = 1
    with torch.no_grad():
        found = network.generate(
            input_ids=tokens,
            attention_mask=mask,
            generation_config=_settings(limit, sampling.num_beams, list(eos_ids), pad),
        )
    return [
        _said(network, tokenizer, prompt, row, sampling, frozenset(eos_ids))
        for prompt, row in zip(prompts, found[:, width:].tolist(), strict=True)
    ]


def _settings(limit: int, num_beams: int, eos_ids: list[int], pad: int) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=limit,
        num_beams=num_beams,
        do_sample=False,
        eos_token_id=eos_ids or None,
        pad_token_id=pad,
        repetition_penalty=1.0,
        no_repeat_ngram_size=0,
        length_penalty=1.0,
    )


def _said(
    network: Any,
    tokenizer: Any,
    prompt: NDArray[np.int64],
    ids: list[int],
    sampling: Sampling,
    eos_ids: frozenset[int],
) -> Said:
    """Up to its end: what transformers puts behind it is padding."""
    spoken = Spoken(tokenizer, eos_ids, sampling.stop)
    for token in ids:
        spoken.say(token, 0.0)
        if spoken.finished:
            break
    nats = float(label_nats(network, tokenizer, [prompt], [np.asarray(spoken.ids, np.int64)])[0, 0])
    return Said(spoken.ids, spoken.text, spoken.finished, nats)
