"""Beam search, by transformers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.errors import Problem, UserError
from whet.generation.closed import label_nats
from whet.generation.reading_prompts import room
from whet.generation.reading_sources import answer_room, table, with_soft
from whet.generation.sampling import Constraint, Said, Sampling
from whet.generation.spoken import Spoken
from whet.models import soft_reading
from whet.models.soft_reading import Soft


def search(
    network: Any,
    tokenizer: Any,
    prompts: Sequence[NDArray[np.int64]],
    sampling: Sampling,
    eos_ids: Collection[int],
    constraint: Constraint | None = None,
    begins: NDArray[np.int64] | None = None,
) -> list[Said]:
    """The likeliest text found behind each prompt, by its nats per token. A stop text cuts it afterwards.

    :raises UserError: C011, there is a constraint, or a learnt prefix that rows would have to share.
    """
    if constraint is not None:
        remedy = "Say generation.num_beams=1."
        raise UserError(Problem("C011", "generation", "beams cannot be searched under a constraint.", remedy))
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else next(iter(eos_ids), 0)
    settings = _settings(sampling, list(eos_ids), pad)
    found = _behind(network, prompts, settings) if begins is None else _written(network, prompts, begins, settings)
    return [
        _said(network, tokenizer, prompt, row, sampling, frozenset(eos_ids), begins)
        for prompt, row in zip(prompts, found.tolist(), strict=True)
    ]


def _behind(network: Any, prompts: Sequence[NDArray[np.int64]], settings: Any) -> Tensor:
    """(B, T) what a decoder says behind each prompt; padded on the left, so that all end in one column."""
    width = max(len(one) for one in prompts)
    longest = room(network)
    if longest is not None:
        settings.max_new_tokens = min(settings.max_new_tokens, longest - width)
    turned, mask = table(network, [one[::-1] for one in prompts], settings.pad_token_id)
    tokens, mask = turned.flip(1), mask.flip(1)
    soft = soft_reading.of(network)
    if soft is None:
        return _generated(network, settings, {"input_ids": tokens}, mask)[:, width:]
    if soft.is_prefix:
        remedy = "Say generation.num_beams=1."
        raise UserError(Problem("C011", "generation", "beams cannot be searched behind a prefix.", remedy))
    with torch.no_grad():
        given, mask = _behind_soft(soft, tokens, mask)
    return _generated(network, settings, {"inputs_embeds": given}, mask)  # which gives back nothing of what it read


def _behind_soft(soft: Soft, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L + n, E) embeddings of rows padded on the left, the learnt vectors right before each text; and the mask."""
    pads = tokens.shape[1] - mask.sum(1)
    given, places = soft.before(tokens), torch.arange(tokens.shape[1] + soft.num, device=tokens.device)
    # at first the vectors stand before the padding: the same places, in turn
    order = places[None, :] - pads[:, None]
    front = order < 0
    inside = (order >= 0) & (order < soft.num)
    chosen = torch.where(front, places[None, :] + soft.num, torch.where(inside, order, places[None, :]))
    return given.gather(1, chosen.unsqueeze(2).expand(-1, -1, given.shape[2])), (~front).to(mask.dtype)


def _written(network: Any, sources: Sequence[NDArray[np.int64]], begins: NDArray[np.int64], settings: Any) -> Tensor:
    """(B, T) what an encoder-decoder says to each source.

    A second token that is given counts as said to transformers, and to the length that likelihoods are divided by: it
    is so for whoever generates with the saved model.
    """
    longest = answer_room(network, begins)
    if longest is not None:
        settings.max_new_tokens = min(settings.max_new_tokens, longest)
    tokens, mask = table(network, sources, settings.pad_token_id)
    soft = soft_reading.of(network)
    if soft is not None and soft.is_prefix:
        remedy = "Say generation.num_beams=1."
        raise UserError(Problem("C011", "generation", "beams cannot be searched behind a prefix.", remedy))
    with torch.no_grad():
        sources_read, mask = with_soft(network, tokens, mask)
    given = begins if len(begins) > 2 else begins[:1]
    settings.decoder_start_token_id = int(begins[0])
    if len(given) < len(begins):
        settings.forced_bos_token_id = int(begins[1])
        settings.max_new_tokens += 1
    first = torch.from_numpy(np.asarray(given, np.int64)).to(tokens.device).repeat(len(sources), 1)
    return _generated(network, settings, sources_read, mask, decoder_input_ids=first)[:, len(begins) :]


def _generated(network: Any, settings: Any, given: Mapping[str, Tensor], mask: Tensor, **more: Tensor) -> Tensor:
    """By ``settings`` alone: transformers fills what they leave open from those that a model brings."""
    brought = network.generation_config
    network.generation_config = settings
    try:
        with torch.no_grad():
            found: Tensor = network.generate(**given, attention_mask=mask, generation_config=settings, **more)
    finally:
        network.generation_config = brought
    return found


def _settings(sampling: Sampling, eos_ids: list[int], pad: int) -> Any:
    from transformers import GenerationConfig

    return GenerationConfig(
        max_new_tokens=sampling.max_tokens,
        num_beams=sampling.num_beams,
        length_penalty=float(sampling.length_penalty),
        do_sample=False,
        eos_token_id=eos_ids or None,
        pad_token_id=pad,
    )


def _said(
    network: Any,
    tokenizer: Any,
    prompt: NDArray[np.int64],
    ids: list[int],
    sampling: Sampling,
    eos_ids: frozenset[int],
    begins: NDArray[np.int64] | None,
) -> Said:
    """Up to its end: what transformers puts behind it is padding."""
    spoken = Spoken(tokenizer, eos_ids, sampling.stop)
    for token in ids:
        spoken.say(token, 0.0)
        if spoken.finished:
            break
    said = [np.asarray(spoken.ids, np.int64)]
    nats = float(label_nats(network, [prompt], said, begins=begins)[0, 0])
    return Said(spoken.ids, spoken.text, spoken.finished, nats)
