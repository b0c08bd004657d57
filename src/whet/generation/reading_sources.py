"""Sources that an encoder-decoder has read: read once by its first half, looked at by the second with every token.

Rows of one batch are padded on the right. All answers begin with the same tokens, so that their rows grow together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.generation.reading_prompts import Reading, Sources, called, refuse_empty
from whet.models import soft_reading
from whet.models.sequences import max_source, max_target


def writes_targets(network: Any) -> bool:
    """Whether ``network`` reads a source with one half and writes with the other."""
    return bool(getattr(network.config, "is_encoder_decoder", False))


def checked(network: Any, begins: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """``begins`` where it belongs.

    :raises ValueError: an encoder-decoder without it, or another model with it.
    """
    if writes_targets(network) != (begins is not None and len(begins) > 0):
        raise ValueError("what answers begin with is given for a model that reads sources, and for no other")
    return begins


def table(network: Any, rows: Sequence[NDArray[np.int64]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, L) token ids padded on the right, and their mask."""
    device = next(network.parameters()).device
    width = max(len(one) for one in rows)
    tokens = torch.full((len(rows), width), pad, dtype=torch.long, device=device)
    mask = torch.zeros_like(tokens)
    for number, one in enumerate(rows):
        tokens[number, : len(one)] = torch.from_numpy(np.array(one, np.int64)).to(device)
        mask[number, : len(one)] = 1
    return tokens, mask


def read_sources(network: Any, sources: Sequence[NDArray[np.int64]], begins: NDArray[np.int64]) -> Reading:
    """Read ``sources`` in one batch, and the tokens that every answer begins with."""
    from transformers import DynamicCache, EncoderDecoderCache

    tokens, mask = table(network, sources, int(network.config.pad_token_id or 0))
    with torch.no_grad():
        given, mask = with_soft(network, tokens, mask)
        hidden = network.get_encoder()(**given, attention_mask=mask).last_hidden_state
    size, width = len(sources), len(begins)
    first = torch.from_numpy(np.asarray(begins, np.int64)).to(tokens.device).repeat(size, 1)
    known = Sources(hidden, mask)
    soft = soft_reading.of(network)
    with torch.no_grad():
        prefixed = soft is not None and soft.is_prefix
        cache = soft.cache(size) if prefixed else EncoderDecoderCache(DynamicCache(), DynamicCache())  # type: ignore
    positions = torch.arange(width, device=tokens.device).repeat(size, 1)
    logits = called(network, first, torch.ones_like(first), positions, cache, False, known)[:, -1]
    return Reading(network, cache, torch.ones_like(first), torch.full_like(first[:, 0], width), logits, known)


def with_soft(network: Any, tokens: torch.Tensor, mask: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What an encoder takes: tokens, or behind the vectors that it learnt to read first their embeddings; the mask."""
    soft = soft_reading.of(network)
    if soft is None or soft.is_prefix:
        return {"input_ids": tokens}, mask
    return {"inputs_embeds": soft.before(tokens)}, soft.mask(mask)


def answer_room(network: Any, begins: NDArray[np.int64]) -> int | None:
    """Tokens that an answer may have; None where nothing says. Its last one is never read."""
    limit, soft = max_target(network.config), soft_reading.of(network)
    taken = soft.num if soft is not None and soft.is_prefix else 0
    return None if limit is None else limit - len(begins) + 1 - taken


def refuse_long_sources(network: Any, sources: Sequence[NDArray[np.int64]]) -> None:
    """Raise where a source is longer than the model reads, or has no token at all.

    :raises UserError: C010.
    """
    refuse_empty(sources)
    limit, soft = max_source(network.config), soft_reading.of(network)
    if limit is not None and soft is not None and not soft.is_prefix:
        limit -= soft.num
    long = [len(one) for one in sources if limit is not None and len(one) > limit]
    if long:
        what = f"{len(long):,} of {len(sources):,} are too long: up to {max(long):,} tokens of {limit:,}."
        raise UserError(Problem("C010", "the sources", what, "Cut them (data.max_length), or take a longer model."))
