"""What is known of each family of architectures: one table, readable at a glance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

Features = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Family:
    """Facts of one ``model_type``.

    - ``trunk``: attribute of the classifier of transformers that holds the pretrained model.
    - ``reads``: which token its classifier reads, 'first' or 'last'.
    - ``features``: classifier model and that token's vectors (B, H) to the input of the last linear layer.
    - ``output``: dotted name of the last linear layer.
    - ``dense``: a square layer in between, started as the identity when it is new.
    - ``first_position``: what position ids count from.
    - ``averages``: a mean-pooled classifier can be expressed as its own (:mod:`whet.models.averaging`).
    - ``flat``: attention is pluggable, so that batches need no padding.
    """

    trunk: str
    reads: str
    features: Features
    output: str
    dense: str = ""
    first_position: int = 0
    averages: bool = False
    flat: bool = True


def _bert(model: Any, first: Tensor) -> Tensor:
    return model.bert.pooler(first.unsqueeze(1))  # type: ignore[no-any-return]


def _roberta(model: Any, first: Tensor) -> Tensor:
    return model.classifier.dense(first).tanh()  # type: ignore[no-any-return]


def _distilbert(model: Any, first: Tensor) -> Tensor:
    return model.pre_classifier(first).relu()  # type: ignore[no-any-return]


def _electra(model: Any, first: Tensor) -> Tensor:
    return model.classifier.activation(model.classifier.dense(first))  # type: ignore[no-any-return]


def _as_is(_: Any, last: Tensor) -> Tensor:
    return last


FAMILIES: dict[str, Family] = {
    "bert": Family("bert", "first", _bert, "classifier", dense="bert.pooler.dense", averages=True),
    "roberta": Family("roberta", "first", _roberta, "classifier.out_proj", "classifier.dense", first_position=2),
    "xlm-roberta": Family("roberta", "first", _roberta, "classifier.out_proj", "classifier.dense", first_position=2),
    "distilbert": Family("distilbert", "first", _distilbert, "classifier"),
    "electra": Family("electra", "first", _electra, "classifier.out_proj", "classifier.dense"),
    "llama": Family("model", "last", _as_is, "score"),
    "mistral": Family("model", "last", _as_is, "score"),
    "qwen2": Family("model", "last", _as_is, "score"),
    "qwen3": Family("model", "last", _as_is, "score"),
}
"""Families that are not listed are trained all the same: padded, through their own classifier."""
