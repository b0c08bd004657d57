"""Vectors that are learnt and read before every text: how a model takes them, flat, padded and through caches.

Two kinds. *Prompts* stand among the embeddings: a text of L tokens becomes a sequence of n + L. A *prefix* stands
among the keys and values of every layer, where a cache would be. Whatever they learnt, plain PEFT gives the same:
heads of tokens, and pooling of our own, never see the places of the n vectors; the architecture's own head of texts
reads the sequence with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.kernels import flat
from whet.kernels.flat import Layout
from whet.models import targets
from whet.models.reading import caught, pooled

if TYPE_CHECKING:
    from whet.models.task_model import TaskModel

_NAME = "whet_soft"
"""Attribute of a network that reads such vectors first; no module of it, so that it is in no file of the network."""
WHY_PADDED = "a prefix is read through caches, which are padded"


class Soft:
    """What a network reads before every text.

    - ``adapter``: the PeftModel around the network, which holds the vectors and makes them.
    - ``num``: how many.
    - ``is_prefix``: keys and values, not embeddings.
    - ``keeps_types``: PEFT tells the network of every token to which text of a pair it belongs.
    - ``on``: whether they are read.
    """

    def __init__(self, adapter: Any) -> None:
        config = adapter.active_peft_config
        self.adapter = adapter
        self.num = int(config.num_virtual_tokens)
        self.is_prefix = str(config.peft_type.value) == "PREFIX_TUNING"
        purpose = None if config.task_type is None else str(getattr(config.task_type, "value", config.task_type))
        self.keeps_types = purpose in ("SEQ_CLS", "TOKEN_CLS")
        self.on = True

    @property
    def encoder(self) -> nn.Module:
        """What makes them: a table, for p-tuning with a small net behind it."""
        found: nn.Module = self.adapter.prompt_encoder[self.adapter.active_adapter]
        return found

    def vectors(self) -> Tensor:
        """(n, E) of prompts, E being the width of the embeddings."""
        found: Tensor = self.adapter.get_prompt(batch_size=1)[0]
        return found[: self.num]

    def cache(self, size: int) -> Any:
        """Of a prefix: keys and values for ``size`` rows, as a cache of transformers."""
        return self.adapter.get_prompt(batch_size=size)

    def embedded(self, tokens: Tensor) -> Tensor:
        """(B, L, E) embeddings of (B, L) tokens, as PEFT looks them up."""
        found: Tensor = self.adapter.word_embeddings(tokens)
        return found

    def mask(self, mask: Tensor) -> Tensor:
        """(B, n + L) of (B, L): 1 for every one of the vectors."""
        return torch.cat([mask.new_ones(len(mask), self.num), mask], 1)

    def before(self, tokens: Tensor) -> Tensor:
        """(B, n + L, E) prompts, then the embeddings of (B, L) tokens."""
        words = self.embedded(tokens)
        return torch.cat([self.vectors().to(words.dtype).expand(len(words), -1, -1), words], 1)


def of(network: Any) -> Soft | None:
    """What ``network`` reads first; None where that is nothing, or is switched off."""
    found = getattr(network, _NAME, None)
    return found if isinstance(found, Soft) and found.on else None


def attach(network: Any, adapter: Any) -> Soft:
    """Let ``network`` read what ``adapter`` holds before every text."""
    soft = Soft(adapter)
    object.__setattr__(network, _NAME, soft)
    # PEFT's own (0.21) fails for networks that cannot generate, and knows nothing of flat batches
    object.__setattr__(adapter, "disable_adapter", lambda: switched_off(network))
    return soft


def lend(network: Any, soft: Soft | None) -> None:
    """Let a part of a network read what the whole of it reads first, or nothing again."""
    object.__setattr__(network, _NAME, soft)


@contextmanager
def switched_off(network: Any) -> Iterator[None]:
    """``network`` as it was before it had anything to read first."""
    found = getattr(network, _NAME, None)
    was = found.on if isinstance(found, Soft) else False
    if isinstance(found, Soft):
        found.on = False
    try:
        yield
    finally:
        if isinstance(found, Soft):
            found.on = was


# --- from tokens to what the last layer sees ------------------------------------------------------------


def features(model: TaskModel, soft: Soft, batch: FlatBatch) -> Tensor:
    """As :meth:`whet.models.task_model.TaskModel.features`, with ``soft`` read first.

    :raises ValueError: a permuted language model.
    """
    guess = model.guesses
    if guess == "permuted":
        raise ValueError("a permuted language model reads nothing before its texts")
    if guess == "target":
        given, real = targets.inputs(batch, model.pad_id)
        return targets.placed(targets.reaching(soft.adapter, model.linear_head, given), real, batch)
    output = None if model.family is None else model.family.output(model.kind.kind)
    if model.pooling is None and output is None:
        return _caught(model, soft, batch)
    native = model.pooling is None and model.level == "text"
    if model.flat:
        hidden, where, real = _flat(model, soft, batch)
        if native and output is not None and (reads := output.pooling(model.network.config)) != "last":
            return output.between(model.network, pooled(hidden, where, None, reads).to(hidden.dtype))
        return _finished(model, hidden.index_select(0, real), batch, None, native)
    inputs = _told(model, soft, batch)
    mask = inputs["attention_mask"]
    hidden = model.trunk(**_ahead(soft, inputs)).last_hidden_state
    if soft.is_prefix:
        return model.finish(hidden, batch, mask, output)
    if native and output is not None and (reads := output.pooling(model.network.config)) != "last":
        where = _longer(batch.where, soft.num)[0]
        return output.between(model.network, pooled(hidden, where, soft.mask(mask), reads).to(hidden.dtype))
    return _finished(model, hidden[:, soft.num :], batch, mask, native)


def _finished(model: TaskModel, hidden: Tensor, batch: FlatBatch, mask: Tensor | None, native: bool) -> Tensor:
    """Vectors of the real tokens to what the head sees.

    Given embeddings, transformers does not know which tokens are padding: a head of texts reads the very last one.
    """
    output = None if model.family is None else model.family.output(model.kind.kind)
    if not native or output is None:
        return model.finish(hidden, batch, mask, output)
    tokens = hidden if mask is None else hidden[mask.bool()]
    return output.between(model.network, tokens.index_select(0, _ends(batch.where)))


def _flat(model: TaskModel, soft: Soft, batch: FlatBatch) -> tuple[Tensor, Layout, Tensor]:
    """Of the longer sequences: (T + S n, H) vectors, their layout, and (T,) which of them are of real tokens."""
    family = model.family
    assert family is not None
    where, real = _longer(batch.where, soft.num)
    words = soft.embedded(batch.input_ids)[0]
    # every place takes its row of one table: real tokens, then the vectors
    rows = torch.arange(where.num_tokens, device=words.device) - torch.repeat_interleave(where.starts, where.lengths)
    rows = rows + len(words)
    rows[real] = torch.arange(len(words), device=words.device)
    given = torch.cat([words, soft.vectors().to(words.dtype)]).index_select(0, rows)
    more: dict[str, Any] = {"use_cache": False} if family.causal else {}
    if soft.keeps_types and model.tells_texts_apart and batch.token_type_ids is not None:
        types = torch.zeros(where.num_tokens, dtype=torch.int64, device=words.device)
        types[real] = batch.token_type_ids[0]
        more["token_type_ids"] = types.unsqueeze(0)
    hidden: Tensor = model.trunk(
        inputs_embeds=given.unsqueeze(0),
        position_ids=where.positions() + family.first(model.network.config.pad_token_id),
        flat=where,
        stream=model.stream,
        **more,
    ).last_hidden_state[0]
    return hidden, where, real


def _longer(where: Layout, num: int) -> tuple[Layout, Tensor]:
    """The layout of sequences with ``num`` places before each, and (T,) where the old ones are in it."""
    longer = flat.layout(where.lengths + num)
    numbers = torch.arange(where.num_sequences, device=where.lengths.device)
    shift = (numbers + 1) * num
    real = torch.arange(where.num_tokens, device=shift.device) + torch.repeat_interleave(shift, where.lengths)
    return longer, real


def _told(model: TaskModel, soft: Soft, batch: FlatBatch) -> dict[str, Tensor]:
    """Padded inputs; without types where PEFT leaves them out."""
    inputs = model.padded_inputs(batch)
    if not soft.keeps_types:
        inputs.pop("token_type_ids", None)
    return inputs


def _ahead(soft: Soft, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """``inputs`` of a network with ``soft`` before them."""
    given = dict(inputs)
    given["attention_mask"] = soft.mask(given["attention_mask"])
    if soft.is_prefix:
        return {**given, "past_key_values": soft.cache(len(given["input_ids"]))}
    types = given.get("token_type_ids")
    if types is not None:
        given["token_type_ids"] = torch.cat([types.new_zeros(len(types), soft.num), types], 1)
    given["inputs_embeds"] = soft.before(given.pop("input_ids"))
    return given


def _caught(model: TaskModel, soft: Soft, batch: FlatBatch) -> Tensor:
    """Of a family that is not listed: what reaches the last layer when PEFT's own class runs."""
    inputs = _told(model, soft, batch)
    found = caught(soft.adapter, model.linear_head, inputs)
    if found.ndim == 2:
        return found
    mask = inputs["attention_mask"].bool()
    tokens = found[:, found.shape[1] - mask.shape[1] :][mask]
    return tokens if model.level == "token" else tokens.index_select(0, _ends(batch.where))


def _ends(where: Layout) -> Tensor:
    """(S,) the last token of each sequence."""
    return where.starts + where.lengths - 1
