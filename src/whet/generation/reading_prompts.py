"""Prompts that a network has read: their keys and values, and what comes next.

Rows of one batch are padded to the left, so that all of them end in the same column; positions count real
tokens only. What many prompts begin with is read once and repeated.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.errors import Problem, UserError
from whet.models import soft_reading

OURS = "whet_"
"""How attention functions of whet are called. They take flat batches and know no caches."""
SHARED_AT_LEAST = 8
"""Tokens that prompts must have in common for reading them apart to be worth the call."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the first half of an encoder-decoder made of B sources: ``hidden`` (B, L, H), ``mask`` (B, L)."""

    hidden: Tensor
    mask: Tensor


@dataclass(slots=True)
class Reading:
    """B rows in the middle of being read or written.

    - ``cache``: keys and values of transformers, S columns.
    - ``mask`` (B, S): 1 for columns that hold a token.
    - ``lengths`` (B,): tokens of each row.
    - ``logits`` (B, V) float32: of the token behind them.
    - ``sources``: what the rows are written from; None for a decoder.
    - ``num_soft``: of the tokens of each row, those that are no tokens but learnt vectors.
    """

    network: Any
    cache: Any
    mask: Tensor
    lengths: Tensor
    logits: Tensor
    sources: Sources | None = None
    num_soft: int = 0

    @property
    def width(self) -> int:
        """Tokens a row that are held, padding and sources with them."""
        return int(self.mask.shape[1]) + (0 if self.sources is None else int(self.sources.mask.shape[1]))

    def go_on(self, tokens: Tensor, all_logits: bool = False) -> Tensor:
        """Read ``tokens`` (B, T) of each row; (B, T or 1, V) float32 what comes behind them."""
        size, width = tokens.shape
        positions = self.lengths.unsqueeze(1) + torch.arange(width, device=tokens.device)
        self.mask = torch.cat([self.mask, self.mask.new_ones(size, width)], 1)
        found = called(self.network, tokens, self.mask, positions, self.cache, all_logits, self.sources)
        self.lengths = self.lengths + width
        self.logits = found[:, -1]
        return found

    def branches(self, tokens: Tensor, sees: Tensor) -> Tensor:
        """(B, N, V) float32 what comes behind each of N ``tokens``, were it read behind a row and those that it sees.

        :param sees: (N, N) bool: a token (row) looks at another (column); at itself, too. This reading stays as it is.
        """
        size, number = len(self.lengths), len(tokens)
        above = sees.sum(1) - 1
        seen = self.mask.bool().unsqueeze(1).expand(size, number, -1)
        mask = torch.cat([seen, sees.expand(size, -1, -1)], 2).unsqueeze(1)
        if self.network.config._attn_implementation == "eager":  # which adds the mask to scores
            mask = torch.zeros(mask.shape, device=mask.device).masked_fill_(~mask, torch.finfo(torch.float32).min)
        positions = self.lengths.unsqueeze(1) + above
        return called(self.network, tokens.expand(size, -1), mask, positions, copy.deepcopy(self.cache), True)

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but ``rows`` (k,)."""
        self.cache.batch_select_indices(rows)
        self.mask, self.lengths, self.logits = self.mask[rows], self.lengths[rows], self.logits[rows]
        if self.sources is not None:
            self.sources = Sources(self.sources.hidden[rows], self.sources.mask[rows])

    def repeated(self, times: int) -> Reading:
        """Every row ``times`` times, one behind the other; this one stays as it is."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(times)
        mask, lengths, logits = (one.repeat_interleave(times, 0) for one in (self.mask, self.lengths, self.logits))
        sources = self.sources
        if sources is not None:
            sources = Sources(*(one.repeat_interleave(times, 0) for one in (sources.hidden, sources.mask)))
        return Reading(self.network, cache, mask, lengths, logits, sources, self.num_soft)


def read(network: Any, prompts: Sequence[NDArray[np.int64]], begun: Reading | None = None) -> Reading:
    """Read ``prompts`` in one batch.

    :param begun: what all of them begin with, read already (one row); some of each must be left.
    """
    device = next(network.parameters()).device
    begun = read_soft(network) if begun is None else begun
    ahead, num_soft = (0, 0) if begun is None else (int(begun.lengths[0]), begun.num_soft)
    known = ahead - num_soft
    lengths = torch.tensor([len(one) for one in prompts], device=device)
    width = int(lengths.max()) - known
    tokens = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
    mask = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
    for number, prompt in enumerate(prompts):
        left = len(prompt) - known
        tokens[number, width - left :] = torch.from_numpy(np.asarray(prompt[known:], np.int64)).to(device)
        mask[number, width - left :] = 1
    positions = (ahead + mask.cumsum(1) - 1).clamp(min=0)
    if begun is None:
        cache = _empty_cache(network)
    else:
        cache = copy.deepcopy(begun.cache)
        cache.batch_repeat_interleave(len(prompts))
        mask = torch.cat([mask.new_ones(len(prompts), ahead), mask], 1)
    logits = called(network, tokens, mask, positions, cache, False)[:, -1]
    return Reading(network, cache, mask, lengths + num_soft, logits, num_soft=num_soft)


def read_soft(network: Any) -> Reading | None:
    """The vectors that ``network`` learnt to read before every text, read (one row); None where there are none."""
    soft = soft_reading.of(network)
    if soft is None:
        return None
    device = next(network.parameters()).device
    mask = torch.ones(1, soft.num, dtype=torch.long, device=device)
    with torch.no_grad():
        if soft.is_prefix:
            cache = soft.cache(1)
        else:
            cache = _empty_cache(network)
            given = soft.vectors().unsqueeze(0).to(next(network.parameters()).dtype)
            network(inputs_embeds=given, attention_mask=mask, past_key_values=cache, use_cache=True)
    logits = torch.zeros(1, 0, device=device)  # nobody writes before a text is read
    return Reading(network, cache, mask, torch.tensor([soft.num], device=device), logits, num_soft=soft.num)


def read_shared(network: Any, prompts: Sequence[NDArray[np.int64]]) -> Reading | None:
    """What all ``prompts`` begin with, read once; None where that is not worth it, or not exact."""
    if len(prompts) < 2 or slides(network):
        return None
    shared = common_start(prompts)
    if soft_reading.of(network) is not None and shared < SHARED_AT_LEAST:
        return read_soft(network)
    return read(network, [prompts[0][:shared]]) if shared >= SHARED_AT_LEAST else None


def alone(network: Any) -> bool:
    """Whether rows of unequal length cannot be read together: padding behind learnt vectors counts in a window."""
    return soft_reading.of(network) is not None and slides(network)


def batches(lengths: Sequence[int], max_tokens: int, batch_tokens: int) -> Iterator[list[int]]:
    """Numbers of prompts of like length that go together: the longest times their number is within ``batch_tokens``."""
    order = sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    batch: list[int] = []
    for row in order:
        if batch and (len(batch) + 1) * (lengths[row] + max_tokens) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def common_start(prompts: Sequence[NDArray[np.int64]]) -> int:
    """Tokens that all ``prompts`` begin with, at least one of each left out."""
    first, shortest = prompts[0], min(len(one) for one in prompts)
    shared = shortest - 1
    for one in prompts[1:]:
        differs = np.flatnonzero(one[:shared] != first[:shared])
        shared = int(differs[0]) if len(differs) else shared
    return shared


def branches_off(network: Any) -> bool:
    """Whether several tokens may come next to one another: :meth:`Reading.branches`. To be asked in :func:`in_use`."""
    known = str(network.config._attn_implementation) in ("sdpa", "eager")
    return known and not slides(network) and _takes(network, "position_ids")


def slides(network: Any) -> bool:
    """Whether some layer sees so many columns back only: padding between tokens would count among them."""
    config = network.config.get_text_config(decoder=True)
    kinds = getattr(config, "layer_types", None) or ()
    local = getattr(config, "attention_layers", None) or ()  # GPT-Neo's own name for it
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    return bool(window) or any("sliding" in kind or "chunked" in kind for kind in kinds) or "local" in local


def room(network: Any) -> int | None:
    """Tokens that a text may have, prompt and answer together; None where nothing says."""
    found = getattr(network.config.get_text_config(decoder=True), "max_position_embeddings", None)
    soft = soft_reading.of(network)
    return int(found) - (0 if soft is None else soft.num) if found else None


def refuse_long(prompts: Sequence[NDArray[np.int64]], limit: int | None) -> None:
    """Raise where a prompt leaves no room for an answer, or has no token at all.

    :raises UserError: C010.
    """
    refuse_empty(prompts)
    long = [len(one) for one in prompts if limit is not None and len(one) >= limit]
    if long:
        what = f"{len(long):,} of {len(prompts):,} have no room for an answer: up to {max(long):,} tokens of {limit:,}."
        raise UserError(Problem("C010", "the prompts", what, "Cut them (chat.cut=prompt), or take a longer model."))


def refuse_empty(prompts: Sequence[NDArray[np.int64]]) -> None:
    """Raise where a prompt has no token at all.

    :raises UserError: C010.
    """
    empty = sum(len(one) == 0 for one in prompts)
    if empty:
        remedy = "Give the model something to go on from."
        raise UserError(Problem("C010", "the prompts", f"{empty:,} of {len(prompts):,} have no tokens.", remedy))


def _empty_cache(network: Any) -> Any:
    from transformers import DynamicCache

    return DynamicCache(config=network.config)


def called(
    network: Any,
    tokens: Tensor,
    mask: Tensor,
    positions: Tensor,
    cache: Any,
    all_logits: bool,
    sources: Sources | None = None,
) -> Tensor:
    """(B, T or 1, V) float32."""
    if sources is not None:
        return _written(network, tokens, cache, all_logits, sources)
    fewer = {} if all_logits or not _takes(network, "logits_to_keep") else {"logits_to_keep": 1}
    given = {"position_ids": positions} if _takes(network, "position_ids") else {}
    with torch.no_grad():
        found: Tensor = network(
            input_ids=tokens, attention_mask=mask, past_key_values=cache, use_cache=True, **given, **fewer
        ).logits
    kept = found if all_logits else found[:, -1:]
    return kept.float()


def _written(network: Any, tokens: Tensor, cache: Any, all_logits: bool, sources: Sources) -> Tensor:
    """The same of an encoder-decoder; its rows are equally long, so that no place holds padding."""
    from transformers.modeling_outputs import BaseModelOutput

    with torch.no_grad():
        found: Tensor = network(
            encoder_outputs=BaseModelOutput(last_hidden_state=sources.hidden),
            attention_mask=sources.mask,
            decoder_input_ids=tokens,
            past_key_values=cache,
            use_cache=True,
        ).logits
    kept = found if all_logits else found[:, -1:]
    return kept.float()


def _takes(network: Any, name: str) -> bool:
    return name in inspect.signature(getattr(network, "get_base_model", lambda: network)().forward).parameters


@contextmanager
def in_use(network: Any) -> Iterator[None]:
    """``network`` without dropout and with the attention of transformers, which knows caches; as it was, afterwards."""
    training = network.training
    attention = str(network.config._attn_implementation)
    flat = attention.startswith(OURS)
    network.eval()
    if flat:
        network.set_attn_implementation("sdpa" if network._supports_sdpa else "eager")
    try:
        yield
    finally:
        if flat:
            network.set_attn_implementation(attention)
        network.train(training)
