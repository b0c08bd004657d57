"""The heads that transformers defines: their last layer, and what lies between it and the vectors of tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from whet.models.pooling import Pooling

Between = Callable[[Any, Tensor], Tensor]


def as_it_is(_: Any, vectors: Tensor) -> Tensor:
    """Nothing lies in between."""
    return vectors


@dataclass(frozen=True, slots=True)
class Output:
    """One head of transformers, from token vectors to logits.

    - ``last``: dotted name of the last linear layer.
    - ``reads``: which token's vector it takes, 'configured' where the configuration says so, or 'all' of them.
    - ``between``: the model and these vectors (..., H) to the input of the last layer (..., F).
    - ``dense``: a square layer in between, started as the identity when it is new.
    """

    last: str
    reads: Literal["first", "last", "configured", "all"] = "all"
    between: Between = as_it_is
    dense: str = ""

    def pooling(self, config: Any) -> Pooling:
        """Which token a head of texts reads."""
        if self.reads == "configured":  # ModernBERT and XLNet
            wanted = getattr(config, "classifier_pooling", None) or getattr(config, "summary_type", "last")
            return _CONFIGURED.get(str(wanted), "first")
        return "last" if self.reads == "last" else "first"


_CONFIGURED: dict[str, Pooling] = {"cls": "first", "first": "first", "mean": "mean", "last": "last"}


# --- heads of texts -----------------------------------------------------------------------------------


def bert_text(model: Any, first: Tensor) -> Tensor:
    """BERT's pooler."""
    return model.bert.pooler(first.unsqueeze(1))  # type: ignore[no-any-return]


def roberta_text(model: Any, first: Tensor) -> Tensor:
    """RoBERTa's and MPNet's."""
    return model.classifier.dense(first).tanh()  # type: ignore[no-any-return]


def distilbert_text(model: Any, first: Tensor) -> Tensor:
    """DistilBERT's."""
    return model.pre_classifier(first).relu()  # type: ignore[no-any-return]


def electra_text(model: Any, first: Tensor) -> Tensor:
    """ELECTRA's."""
    return model.classifier.activation(model.classifier.dense(first))  # type: ignore[no-any-return]


def albert_text(model: Any, first: Tensor) -> Tensor:
    """ALBERT's pooler."""
    return model.albert.pooler_activation(model.albert.pooler(first))  # type: ignore[no-any-return]


def deberta_text(model: Any, first: Tensor) -> Tensor:
    """DeBERTa's pooler."""
    return model.pooler(first.unsqueeze(1))  # type: ignore[no-any-return]


def xlnet_text(model: Any, last: Tensor) -> Tensor:
    """XLNet's."""
    return model.sequence_summary(last.unsqueeze(1))  # type: ignore[no-any-return]


# --- heads of tokens ----------------------------------------------------------------------------------


def modernbert(model: Any, vectors: Tensor) -> Tensor:
    """ModernBERT's, which is the same in every head."""
    return model.head(vectors)  # type: ignore[no-any-return]


def bert_language(model: Any, vectors: Tensor) -> Tensor:
    """BERT's and DeBERTa's."""
    return model.cls.predictions.transform(vectors)  # type: ignore[no-any-return]


def roberta_language(model: Any, vectors: Tensor) -> Tensor:
    """RoBERTa's and MPNet's."""
    return model.lm_head.layer_norm(F.gelu(model.lm_head.dense(vectors)))  # type: ignore[no-any-return]


def distilbert_language(model: Any, vectors: Tensor) -> Tensor:
    """DistilBERT's."""
    return model.vocab_layer_norm(model.activation(model.vocab_transform(vectors)))  # type: ignore[no-any-return]


def electra_language(model: Any, vectors: Tensor) -> Tensor:
    """That of ELECTRA's generator."""
    return model.generator_predictions(vectors)  # type: ignore[no-any-return]


def albert_language(model: Any, vectors: Tensor) -> Tensor:
    """ALBERT's."""
    head = model.predictions
    return head.LayerNorm(head.activation(head.dense(vectors)))  # type: ignore[no-any-return]
