"""A pretrained model with a head on top, fed with flat batches where its family allows it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.kernels import dropout as byte_dropout
from whet.kernels.embedding import CompactEmbedding
from whet.kernels.flat import Layout
from whet.models import flat_attention
from whet.models.families import Family, Output
from whet.models.heads import Head, Level
from whet.models.origin import Origin
from whet.models.pooling import FIRST_SHARE, POOL, Pooling, padded_pool, standardised


class TaskModel(nn.Module):
    """Texts to what a head gives. Two forms:

    - *native*: ``network`` is the class that transformers defines for the architecture and the kind of
      head; ``head`` is its last linear layer. ``pooling`` is None.
    - *pooled*: ``network`` is the bare pretrained model; its token vectors are pooled and, but for
      vectors, go through a linear layer of our own. What sentence-transformers calls Transformer,
      Pooling, Dense or Normalize.

    ``flat`` says whether batches go through without padding, ``origin`` what became of the base.
    """

    def __init__(
        self, network: Any, kind: Head, head: nn.Linear | None, family: Family | None, pad_id: int, chance: float
    ) -> None:
        super().__init__()
        self.network = network
        self.kind = kind
        self.family = family
        self.pad_id = pad_id
        self.stream = byte_dropout.ByteStream()
        self.flat = False
        self.origin = Origin()
        self.drop: nn.Module = nn.Dropout(chance)
        if kind.pooling is not None and head is not None:
            self.own_head: nn.Linear = head
        self._head = [head]  # in a list, so that a native head is not registered twice

    @property
    def head(self) -> nn.Linear | None:
        """The last linear layer, (C, F); None for vectors."""
        return self._head[0]

    @property
    def linear_head(self) -> nn.Linear:
        """The same where there must be one.

        :raises ValueError: the model gives vectors.
        """
        if self._head[0] is None:
            raise ValueError("a model that gives vectors has no head")
        return self._head[0]

    @property
    def fresh(self) -> tuple[str, ...]:
        """Every module that was initialised anew."""
        return self.origin.fresh

    @property
    def left_out(self) -> tuple[str, ...]:
        """What of the checkpoint was not used."""
        return self.origin.left_out

    @property
    def level(self) -> Level:
        """Whether a row of the output stands for a text or for a token."""
        return self.kind.level

    @property
    def pooling(self) -> Pooling | None:
        """How token vectors become one; None for the architecture's own head."""
        return self.kind.pooling

    @property
    def width(self) -> int:
        """Numbers in a row of the output."""
        return self.kind.width or int(self.network.config.hidden_size)

    @property
    def feature_width(self) -> int:
        """Numbers in a row of :meth:`features`."""
        head = self.head
        return int(self.network.config.hidden_size) if head is None else head.in_features

    @property
    def adds_first(self) -> bool:
        """Whether a small share of the first token is added to the mean.

        It makes the model expressible as the architecture's own classifier.
        """
        averages = self.family is not None and self.family.averages
        return self.pooling == "mean" and averages and self.kind.kind in ("classes", "value")

    @property
    def tells_texts_apart(self) -> bool:
        """Whether the pretrained model has an embedding for the second text of a pair, as BERT does."""
        return int(getattr(self.network.config, "type_vocab_size", 0) or 0) > 1

    @property
    def reads_types(self) -> bool:
        """Whether the pretrained model is told of every token to which part of the input it belongs."""
        return self.tells_texts_apart or (self.family is not None and self.family.last_is_classifier)

    @property
    def head_name(self) -> str | None:
        """The dotted name of the head among this module's parameters; None for vectors."""
        head = self.head
        return None if head is None else str(next(name for name, module in self.named_modules() if module is head))

    def follow_head(self) -> None:
        """Point ``head`` at the copy that PEFT trains and saves beside an adapter."""
        for module in self.network.modules():
            copies = getattr(module, "modules_to_save", None)
            if isinstance(copies, nn.ModuleDict) and "default" in copies:
                for name, inner in module.original_module.named_modules():
                    if inner is self.head:
                        copy = copies["default"].get_submodule(name)
                        assert isinstance(copy, nn.Linear)
                        self._head = [copy]
                        return

    def use_flat_batches(self) -> bool:
        """Switch to flat batches and byte dropout; False where the family does not allow it."""
        if self.why_padded:
            return False
        flat_attention.register()
        self.network.set_attn_implementation(flat_attention.NAME)
        byte_dropout.install(self, self.stream)
        self.flat = True
        return True

    @property
    def why_padded(self) -> str:
        """Why batches cannot go through without padding; empty where they can."""
        if self.family is None:
            return f"{self.network.config.model_type!r} is not a family known to take flat batches"
        return flat_attention.refuses(self.network.config) if self.family.flat else self.family.remark

    def use_padded_batches(self) -> None:
        """The plain computation, as transformers itself does it."""
        self.network.set_attn_implementation("sdpa" if self.network._supports_sdpa else "eager")
        self.flat = False

    def reseed(self, seed: int) -> None:
        """Set every generator that dropout draws from."""
        torch.manual_seed(seed)
        self.stream.reseed(seed)

    # --- from tokens to what the head gives -----------------------------------------------------------

    def features(self, batch: FlatBatch) -> Tensor:
        """What the last linear layer sees: (S, F) a sequence, or (T, F) a real token, in flat order.

        Of vectors: the pooled vector before it is brought to unit length.
        """
        output = None if self.family is None else self.family.output(self.kind.kind)
        if self.pooling is None and output is None:
            return self._caught_features(batch)
        if self.flat:
            return self._finish(self._flat_hidden(batch), batch, None, output)
        inputs = self._padded_inputs(batch)
        hidden = self.trunk(**inputs).last_hidden_state
        return self._finish(hidden, batch, inputs["attention_mask"], output)

    def forward(self, batch: FlatBatch) -> Tensor:
        """Float32: (S, C), (S, 1), (T, K), (T, 2) or (S, H)."""
        features = self.features(batch)
        head = self.head
        if head is None:
            return F.normalize(features.float(), dim=-1) if self.kind.normalise else features.float()
        logits: Tensor = head(self.drop(features).to(head.weight.dtype))
        return logits.float()

    @property
    def trunk(self) -> Any:
        """The pretrained model below the head."""
        return self.network if self.pooling is not None else self.network.base_model

    def _flat_hidden(self, batch: FlatBatch) -> Tensor:
        """(T, H)."""
        family = self.family
        assert family is not None
        typed = self.tells_texts_apart and batch.token_type_ids is not None
        more = {"token_type_ids": batch.token_type_ids} if typed else {}
        hidden: Tensor = self.trunk(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids + family.first(self.network.config.pad_token_id),
            flat=batch.where,
            stream=self.stream,
            **({"use_cache": False} if family.causal else {}),
            **more,
        ).last_hidden_state[0]
        return hidden

    def _padded_inputs(self, batch: FlatBatch) -> dict[str, Tensor]:
        inputs = batch.padded(self.pad_id)
        if self.family is not None and self.family.last_is_classifier:
            types = inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"]))
            ends = inputs["attention_mask"].sum(1, keepdim=True) - 1
            inputs["token_type_ids"] = types.scatter(1, ends, 2)
        elif not self.tells_texts_apart:
            inputs.pop("token_type_ids", None)
        if self.family is not None and self.family.causal:
            inputs |= {"use_cache": False}  # type: ignore[dict-item]
        return inputs

    def _finish(self, hidden: Tensor, batch: FlatBatch, mask: Tensor | None, output: Output | None) -> Tensor:
        """Token vectors, flat (T, H) or with ``mask`` padded (B, L, H), to what the head sees."""
        if self.level == "token":
            tokens = hidden if mask is None else hidden[mask.bool()]
            return tokens if output is None else output.between(self.network, tokens)
        if self.pooling is not None:
            pooled = _pooled(hidden, batch.where, mask, self.pooling)
            if self.adds_first:
                pooled = pooled + FIRST_SHARE * _pooled(hidden, batch.where, mask, "first").float()
            return pooled if self.kind.kind == "vectors" else standardised(pooled)
        assert output is not None
        reads = output.pooling(self.network.config)
        if reads == "last":
            tokens = hidden if mask is None else hidden[mask.bool()]
            return output.between(self.network, tokens.index_select(0, self._last(batch)))
        vectors = _pooled(hidden, batch.where, mask, reads)
        return output.between(self.network, vectors.to(hidden.dtype))

    def _last(self, batch: FlatBatch) -> Tensor:
        """(S,) which token a decoder's classifier reads: the last that is not the pad token, as in transformers."""
        where = batch.where
        ends = where.starts + where.lengths - 1
        if self.family is not None and self.family.last_is_classifier:
            return ends
        real = batch.input_ids[0] != self.pad_id
        if bool(real[ends].all()):
            return ends
        numbers = torch.arange(len(real), device=real.device)
        rows = torch.repeat_interleave(torch.arange(len(ends), device=real.device), where.lengths)
        return where.starts.scatter_reduce(0, rows[real], numbers[real], "amax")

    def _caught_features(self, batch: FlatBatch) -> Tensor:
        """Of a family that is not listed: what reaches the last layer when transformers' own class runs."""
        inputs = self._padded_inputs(batch)
        caught: list[Tensor] = []

        def catch(layer: nn.Linear, given: tuple[Tensor, ...]) -> Tensor:
            caught.append(given[0])
            return given[0].to(layer.weight.dtype)

        hook = self.linear_head.register_forward_pre_hook(catch)
        try:
            self.network(**inputs)
        finally:
            hook.remove()
        found = caught[0]
        if found.ndim == 2:
            return found
        if self.level == "token":
            return found[inputs["attention_mask"].bool()]
        return found[inputs["attention_mask"].bool()].index_select(0, self._last(batch))  # decoders score every token

    # --- the compact embedding ------------------------------------------------------------------------

    def compact_embedding(self, touched: Tensor) -> bool:
        """Train only the embedding rows ``touched`` (R,); False where the table is not a plain one."""
        table = self.trunk.get_input_embeddings()
        if type(table) is not nn.Embedding or not table.weight.requires_grad:
            return False
        self.trunk.set_input_embeddings(CompactEmbedding(table.weight, touched))
        return True

    def dense_embedding(self) -> None:
        """Undo :meth:`compact_embedding`, with the trained rows in the table."""
        compact = self.trunk.get_input_embeddings()
        if isinstance(compact, CompactEmbedding):
            self.trunk.set_input_embeddings(nn.Embedding.from_pretrained(compact.dense(), freeze=False))


def _pooled(hidden: Tensor, where: Layout, mask: Tensor | None, pooling: Pooling) -> Tensor:
    """(B, H) of flat or padded token vectors."""
    return POOL[pooling](hidden, where) if mask is None else padded_pool(hidden, mask, pooling)
