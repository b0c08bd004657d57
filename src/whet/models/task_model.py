"""A pretrained model with a head on top, fed with flat batches where its family allows it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.engine import devices
from whet.kernels import dropout as byte_dropout
from whet.kernels.embedding import CompactEmbedding
from whet.kernels.flat import filled
from whet.models import flat_attention, padded_attention, soft_reading, targets
from whet.models.families import Family
from whet.models.heads import Head, Level
from whet.models.networks import Guess, guesses
from whet.models.origin import Origin
from whet.models.outputs import Output
from whet.models.pooling import FIRST_SHARE, Pooling, standardised
from whet.models.reading import caught, last_tokens, lengthened, pooled

if TYPE_CHECKING:
    from whet.models.kept_trunk import KeptTrunk
    from whet.models.quantising import Quantised


class TaskModel(nn.Module):
    """Texts to what a head gives. Two forms:

    - *native*: ``network`` is the class that transformers defines for the architecture and the kind of
      head; ``head`` is its last linear layer. ``pooling`` is None.
    - *pooled*: ``network`` is the bare pretrained model; its token vectors are pooled and, but for
      vectors, go through a linear layer of our own. What sentence-transformers calls Transformer,
      Pooling, Dense or Normalize.

    ``flat`` says whether batches go through without padding, ``may_share`` whether what sequences begin with alike is
    read once, ``whole_logits`` whether a loss over a vocabulary holds all logits at once, ``kept_trunk`` what frozen
    layers gave of rows, ``origin`` what became of the base.
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
        self.may_share = True
        self.whole_logits = False
        self.kept_trunk: KeptTrunk | None = None
        self.origin = Origin()
        self.drop: nn.Module = nn.Dropout(chance)
        if kind.pooling is not None and head is not None:
            self.own_head: nn.Linear = head
        self.soft: nn.Module | None = None
        self.quantised: Quantised | None = None  # what of it is kept in few bits
        self.declined: tuple[str, ...] = ()  # fast parts that answered otherwise than plain ones, in words
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
        if self.kind.kind == "language":
            return self.linear_head.out_features
        return self.kind.width or int(self.network.config.hidden_size)

    @property
    def guesses(self) -> Guess | None:
        """Which tokens a language model says: the next one, masked ones, those of a target, or in a permuted order."""
        return guesses(self.network.config) if self.kind.kind == "language" else None

    @property
    def shares_beginnings(self) -> bool:
        """Whether what several sequences begin with may stand in a batch once: no token sees those behind it."""
        alone = soft_reading.of(self.network) is None
        return self.may_share and self.flat and self.guesses == "next" and alone and not self.tells_texts_apart

    @property
    def logit_cap(self) -> float | None:
        """c of a language model whose logits x become c tanh(x / c), as Gemma 2 has it (arXiv 2408.00118)."""
        found = getattr(self.network.config, "final_logit_softcapping", None)
        return float(found) if found and self.kind.kind == "language" else None

    @property
    def shares_embedding(self) -> bool:
        """Whether the last layer multiplies by the very table that tokens are looked up in."""
        head = self.head
        if head is None:
            return False
        tables = [self.trunk.get_input_embeddings()]
        if self.guesses == "target":  # Marian may have a table for each half
            tables.append(self.network.get_decoder().get_input_embeddings())
        return any(head.weight is getattr(table, "weight", None) for table in tables)

    @property
    def logit_bias(self) -> Tensor | None:
        """(V or C,) what is added to the product of the last layer: its own bias, or one that the class keeps apart."""
        head = self.head
        if head is not None and head.bias is not None:
            return head.bias
        return targets.bias_of(self.network) if self.guesses == "target" else None

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
        """The dotted name of a head that stands apart from the pretrained model; None for vectors and language."""
        head = None if self.kind.kind == "language" else self.head
        return None if head is None else str(next(name for name, module in self.named_modules() if module is head))

    def follow(self, layer: nn.Linear) -> None:
        """Take ``layer`` of the network for the head."""
        self._head = [layer]

    def read_first(self, adapter: Any) -> None:
        """Read the vectors that ``adapter``, a PeftModel around the network, learns before every text."""
        soft = soft_reading.attach(self.network, adapter)
        self.soft = soft.encoder  # among the model's own weights
        if soft.is_prefix and self.flat:
            self.use_padded_batches()
            self.use_flat_batches()  # which says no now, and takes the faster of padded attentions

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
            if self.network.config._attn_implementation == "sdpa":
                padded_attention.register()
                self.network.set_attn_implementation(padded_attention.NAME)
            return False
        flat_attention.register()
        self.network.set_attn_implementation(flat_attention.NAME)
        byte_dropout.install(self, self.stream)
        self.flat = True
        return True

    @property
    def why_padded(self) -> str:
        """Why batches cannot go through without padding; empty where they can."""
        if self.guesses == "target":
            return targets.WHY_PADDED
        soft = soft_reading.of(self.network)
        if soft is not None and soft.is_prefix:
            return soft_reading.WHY_PADDED
        if self.family is None:
            return f"{self.network.config.model_type!r} is not a family known to take flat batches"
        return flat_attention.refuses(self.network.config) if self.family.flat else self.family.remark

    def use_padded_batches(self) -> None:
        """The plain computation, as transformers itself does it."""
        self.network.set_attn_implementation("sdpa" if self.network._supports_sdpa else "eager")
        self.flat = False

    def save_memory(self) -> bool:
        """Keep of each layer its input alone for the backward pass, which computes the rest anew: a third more time.

        False where it is so already, where the network cannot, or where dropout would draw other bytes the second
        time, as ours on a CPU does.
        """
        from whet.models.dropouts import drops_anything

        network, draws = self.network, drops_anything(self)
        able = getattr(network, "supports_gradient_checkpointing", False)
        done = any(getattr(one, "gradient_checkpointing", False) for one in network.modules())
        if not able or done or (draws and self.device.type == "cpu"):
            return False
        # under its new name where transformers has one
        enable = getattr(network, "activation_checkpointing_enable", None) or network.gradient_checkpointing_enable
        enable({"use_reentrant": False})
        return True

    def reseed(self, seed: int) -> None:
        """Set every generator that dropout draws from."""
        # torch's own function notes for devices that are not in use who called it: 0.6 ms of every step
        (torch.default_generator if self.device.type == "cpu" else torch).manual_seed(seed)
        self.stream.reseed(seed)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return devices.of(self)

    # --- from tokens to what the head gives -----------------------------------------------------------

    def features(self, batch: FlatBatch) -> Tensor:
        """What the last linear layer sees: (S, F) a sequence, or (T, F) a real token, in flat order.

        Of vectors: the pooled vector before it is brought to unit length. Of a language model: rows may be
        chosen before they go through :meth:`logits`, the largest product of all. Of one that writes targets: zeros at
        the tokens of sources.

        :raises ValueError: a permuted language model, whose tokens would see themselves: see
            :func:`whet.models.permutation.features`.
        """
        batch = batch.to(self.device)
        soft = soft_reading.of(self.network)
        if soft is not None:
            return soft_reading.features(self, soft, batch)
        guess = self.guesses
        if guess == "permuted":
            raise ValueError("a permuted language model needs the order of its tokens")
        if guess == "target":
            return targets.features(self.network, self.linear_head, batch, self.pad_id)
        output = None if self.family is None else self.family.output(self.kind.kind)
        if self.pooling is None and output is None:
            return self._caught_features(batch)
        if self.flat:
            return self.finish(self.token_vectors(batch), batch, None, output)
        inputs = self.padded_inputs(batch)
        hidden = self.trunk(**inputs).last_hidden_state
        return self.finish(hidden, batch, inputs["attention_mask"], output)

    def logits(self, features: Tensor) -> Tensor:
        """The last layer alone: (k, F) rows of :meth:`features` to (k, W) in float32."""
        head = self.head
        if head is None:
            return F.normalize(features.float(), dim=-1) if self.kind.normalise else features.float()
        said: Tensor = head(self.drop(features).to(head.weight.dtype)).float()
        if head.bias is None and (added := self.logit_bias) is not None:
            said = said + added.float()
        cap = self.logit_cap
        return said if cap is None else cap * torch.tanh(said / cap)

    def forward(self, batch: FlatBatch) -> Tensor:
        """Float32: (S, C), (S, 1), (T, K), (T, 2), (S, H) or (T, V)."""
        return self.logits(self.features(batch))

    @property
    def trunk(self) -> Any:
        """The pretrained model below the head."""
        return self.network if self.pooling is not None else self.network.base_model

    def token_vectors(self, batch: FlatBatch) -> Tensor:
        """(T, H) what the last layer of the pretrained model gives of a flat batch."""
        family, batch = self.family, batch.to(self.device)
        assert family is not None
        where = filled(batch.where) if self._is_compiled_by_shape else batch.where
        types = batch.token_type_ids if self.tells_texts_apart else None
        more = {} if types is None else {"token_type_ids": lengthened(types, where.extra)}
        first = family.first(self.network.config.pad_token_id)
        known = nullcontext() if self.kept_trunk is None else self.kept_trunk.lent(batch, where.extra)
        with known:
            hidden: Tensor = self.trunk(
                input_ids=lengthened(batch.input_ids, where.extra),
                position_ids=lengthened(batch.position_ids + first, where.extra),
                flat=where,
                stream=self.stream,
                **({"use_cache": False} if family.causal else {}),
                **more,
            ).last_hidden_state[0]
        return hidden[: -where.extra] if where.extra else hidden

    @property
    def _is_compiled_by_shape(self) -> bool:
        """Whether products are compiled for their very shape: bf16 on a CPU."""
        weight: Tensor = next(self.trunk.parameters())
        return weight.dtype == torch.bfloat16 and weight.device.type == "cpu"

    def padded_inputs(self, batch: FlatBatch) -> dict[str, Tensor]:
        """What the network takes where batches are padded."""
        inputs = batch.padded(self.pad_id)
        if self.family is not None and self.family.last_is_classifier:
            types = inputs.get("token_type_ids", torch.zeros_like(inputs["input_ids"]))
            ends = inputs["attention_mask"].sum(1, keepdim=True) - 1
            inputs["token_type_ids"] = types.scatter(1, ends, 2)
        elif not self.tells_texts_apart:
            inputs.pop("token_type_ids", None)
        if self.guesses == "next" or (self.family is not None and self.family.causal):
            inputs |= {"use_cache": False}  # type: ignore[dict-item]
        return inputs

    def finish(self, hidden: Tensor, batch: FlatBatch, mask: Tensor | None, output: Output | None) -> Tensor:
        """Token vectors, flat (T, H) or with ``mask`` padded (B, L, H), to what the head sees."""
        if self.level == "token":
            tokens = hidden if mask is None else hidden[mask.bool()]
            return tokens if output is None else output.between(self.network, tokens)
        if self.pooling is not None:
            vectors = pooled(hidden, batch.where, mask, self.pooling)
            if self.adds_first:
                vectors = vectors + FIRST_SHARE * pooled(hidden, batch.where, mask, "first").float()
            return vectors if self.kind.kind == "vectors" else standardised(vectors)
        assert output is not None
        reads = output.pooling(self.network.config)
        if reads == "last":
            tokens = hidden if mask is None else hidden[mask.bool()]
            return output.between(self.network, tokens.index_select(0, self._last(batch)))
        vectors = pooled(hidden, batch.where, mask, reads)
        return output.between(self.network, vectors.to(hidden.dtype))

    def _last(self, batch: FlatBatch) -> Tensor:
        """(S,) which token stands for the whole text."""
        if self.family is not None and self.family.last_is_classifier:
            return batch.where.starts + batch.where.lengths - 1
        return last_tokens(batch, self.pad_id)

    def _caught_features(self, batch: FlatBatch) -> Tensor:
        """Of a family that is not listed: what reaches the last layer when transformers' own class runs."""
        inputs = self.padded_inputs(batch)
        found = caught(self.network, self.linear_head, inputs)
        if found.ndim == 2:
            return found
        if self.level == "token":
            return found[inputs["attention_mask"].bool()]
        return found[inputs["attention_mask"].bool()].index_select(0, self._last(batch))  # decoders score every token

    # --- the compact embedding ------------------------------------------------------------------------

    def compact_embedding(self, touched: Tensor) -> bool:
        """Train only the embedding rows ``touched`` (R,).

        False where the table is not a plain one, or where more rows than those of the data can be touched: the
        last layer multiplies by all of them, and a masked language model is shown words that are not there. Two
        halves of a model may look things up in one table, so that it is not replaced.
        """
        table = self.trunk.get_input_embeddings()
        if self.shares_embedding or self.guesses in ("masked", "target"):
            return False
        if type(table) is not nn.Embedding or not table.weight.requires_grad:
            return False
        self.trunk.set_input_embeddings(CompactEmbedding(table.weight, touched))
        return True

    def dense_embedding(self) -> None:
        """Undo :meth:`compact_embedding`, with the trained rows in the table."""
        compact = self.trunk.get_input_embeddings()
        if isinstance(compact, CompactEmbedding):
            self.trunk.set_input_embeddings(nn.Embedding.from_pretrained(compact.dense(), freeze=False))
