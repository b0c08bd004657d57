"""A pretrained model with a classifier on top, fed with flat batches where its family allows it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.kernels import dropout as byte_dropout
from whet.kernels.embedding import CompactEmbedding
from whet.models import flat_attention
from whet.models.families import Family
from whet.models.pooling import FIRST_SHARE, POOL, Pooling, padded_pool, standardised


class TextClassifier(nn.Module):
    """Texts to logits over C labels. Two kinds:

    - *native*: ``network`` is the classifier that transformers defines for the architecture;
      ``head`` is its last linear layer. ``pooling`` is None.
    - *pooled*: ``network`` is the bare pretrained model; its token vectors are pooled and go
      through a linear layer of our own. What sentence-transformers calls Transformer, Pooling, Dense.

    ``flat`` says whether batches go through without padding.
    """

    def __init__(
        self, network: Any, head: nn.Linear, pooling: Pooling | None, family: Family | None, pad_id: int, chance: float
    ) -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling
        self.family = family
        self.pad_id = pad_id
        self.stream = byte_dropout.ByteStream()
        self.flat = False
        self.fresh: tuple[str, ...] = ()  # layers below a native head that the base did not bring
        self.drop: nn.Module = nn.Dropout(chance)
        if pooling is not None:
            self.own_head: nn.Linear = head
        self._head = [head]  # in a list, so that a native head is not registered twice

    @property
    def head(self) -> nn.Linear:
        """The last linear layer, (C, F)."""
        return self._head[0]

    @property
    def adds_first(self) -> bool:
        """Whether a small share of the first token is added to the mean.

        It makes the model expressible as the architecture's own classifier.
        """
        return self.pooling == "mean" and self.family is not None and self.family.averages

    @property
    def tells_texts_apart(self) -> bool:
        """Whether the pretrained model has an embedding for the second text of a pair, as BERT does."""
        return int(getattr(self.network.config, "type_vocab_size", 0) or 0) > 1

    @property
    def head_name(self) -> str:
        """Its dotted name among this module's parameters."""
        return str(next(name for name, module in self.named_modules() if module is self.head))

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
        if self.family is None or not self.family.flat:
            return False
        flat_attention.register()
        self.network.set_attn_implementation(flat_attention.NAME)
        byte_dropout.install(self, self.stream)
        self.flat = True
        return True

    def use_padded_batches(self) -> None:
        """The plain computation, as transformers itself does it."""
        self.network.set_attn_implementation("sdpa" if self.network._supports_sdpa else "eager")
        self.flat = False

    def reseed(self, seed: int) -> None:
        """Set every generator that dropout draws from."""
        torch.manual_seed(seed)
        self.stream.reseed(seed)

    def features(self, batch: FlatBatch) -> Tensor:
        """What the last linear layer sees: (B, F)."""
        return self._flat_features(batch) if self.flat else self._padded_features(batch)

    def forward(self, batch: FlatBatch) -> Tensor:
        """Logits (B, C) in float32."""
        features = self.drop(self.features(batch))
        logits: Tensor = self.head(features.to(self.head.weight.dtype))
        return logits.float()

    def _flat_features(self, batch: FlatBatch) -> Tensor:
        family = self.family
        assert family is not None
        trunk = self.network if self.pooling is not None else getattr(self.network, family.trunk)
        typed = self.tells_texts_apart and batch.token_type_ids is not None
        more = {"token_type_ids": batch.token_type_ids} if typed else {}
        hidden = trunk(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids + family.first_position,
            flat=batch.where,
            stream=self.stream,
            **({"use_cache": False} if family.reads == "last" else {}),
            **more,
        ).last_hidden_state[0]
        if self.pooling is not None:
            pooled = POOL[self.pooling](hidden, batch.where)
            if self.adds_first:
                pooled = pooled + FIRST_SHARE * POOL["first"](hidden, batch.where).float()
            return standardised(pooled)
        return family.features(self.network, POOL["first" if family.reads == "first" else "last"](hidden, batch.where))

    def _padded_features(self, batch: FlatBatch) -> Tensor:
        inputs = batch.padded(self.pad_id)
        if not self.tells_texts_apart:
            inputs.pop("token_type_ids", None)
        if self.pooling is not None:
            hidden = self.network(**inputs).last_hidden_state
            pooled = padded_pool(hidden, inputs["attention_mask"], self.pooling)
            if self.adds_first:
                pooled = pooled + FIRST_SHARE * hidden[:, 0].float()
            return standardised(pooled)
        caught: list[Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
        try:
            self.network(**inputs)
        finally:
            hook.remove()
        found = caught[0]
        if found.ndim == 3:  # decoders score every token and pick the last one afterwards
            found = padded_pool(found, inputs["attention_mask"], "last")
        return found

    def compact_embedding(self, touched: Tensor) -> bool:
        """Train only the embedding rows ``touched`` (R,); False where the table is not a plain one."""
        trunk = self._trunk()
        table = trunk.get_input_embeddings()
        if type(table) is not nn.Embedding or not table.weight.requires_grad:
            return False
        trunk.set_input_embeddings(CompactEmbedding(table.weight, touched))
        return True

    def dense_embedding(self) -> None:
        """Undo :meth:`compact_embedding`, with the trained rows in the table."""
        trunk = self._trunk()
        compact = trunk.get_input_embeddings()
        if isinstance(compact, CompactEmbedding):
            trunk.set_input_embeddings(nn.Embedding.from_pretrained(compact.dense(), freeze=False))

    def _trunk(self) -> Any:
        return (
            self.network
            if self.pooling is not None or self.family is None
            else getattr(self.network, self.family.trunk)
        )
