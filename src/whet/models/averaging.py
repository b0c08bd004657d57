"""A mean-pooled classifier as the architecture's own: one more layer that averages.

``BertForSequenceClassification`` reads the first token through a dense layer with tanh. A sentence
encoder was trained with mean pooling, which it cannot express. But one more encoder layer can:

- queries and keys are zero, so every token attends to all tokens evenly;
- values are the identity and the output is scaled by s = 2^8: the first token becomes
  ``s * mean + first`` (the residual), and the layer norm makes that
  ``standardised(mean + first / s)``, which is how :mod:`whet.models.classifier` defines the
  pooled vector in the first place;
- the feed-forward part is zero; its residual and norm leave the vector as it is;
- the pooler multiplies by e = 2^-12, where tanh is linear to 1e-5, and the classifier divides by it.

Both factors are powers of two, so that taking the layer off again restores the exact weights.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from whet.models.classifier import TextClassifier
from whet.models.pooling import FIRST_SHARE

POOLER_SCALE = 2.0**-12
CONFIG_KEY = "whet_averaging_layer"
"""Marks a configuration whose last layer only averages."""


@torch.no_grad()
def as_own_classifier(model: TextClassifier, labels: Sequence[str]) -> Any:
    """A ``BertForSequenceClassification`` in fp32 that gives the logits of ``model`` (mean-pooled, BERT)."""
    from transformers import BertForSequenceClassification

    config = copy.deepcopy(model.network.config)
    config.num_hidden_layers += 1
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    setattr(config, CONFIG_KEY, True)
    config._attn_implementation = "sdpa"
    whole = BertForSequenceClassification(config).eval()
    state = {f"bert.{name}": value for name, value in model.network.state_dict().items()}
    whole.load_state_dict(state, strict=False)
    _averaging(whole.bert.encoder.layer[-1])
    _linear(whole.bert.pooler.dense, torch.eye(config.hidden_size) * POOLER_SCALE)
    _linear(whole.classifier, model.head.weight / POOLER_SCALE, model.head.bias)
    return whole


@torch.no_grad()
def without_layer(whole: Any, head: nn.Linear) -> Any:
    """Take the averaging layer off again: the bare ``BertModel``; its classifier goes into ``head``."""
    _linear(head, whole.classifier.weight * POOLER_SCALE, whole.classifier.bias)
    trunk = whole.bert
    trunk.encoder.layer = trunk.encoder.layer[:-1]
    trunk.config.num_hidden_layers -= 1
    trunk.pooler = None
    return trunk


def _averaging(layer: Any) -> None:
    width = layer.attention.output.dense.weight.shape[0]
    inner = layer.intermediate.dense.weight.shape[0]
    attention = layer.attention.self
    _linear(attention.query, torch.zeros(width, width))
    _linear(attention.key, torch.zeros(width, width))
    _linear(attention.value, torch.eye(width))
    _linear(layer.attention.output.dense, torch.eye(width) / FIRST_SHARE)
    _linear(layer.intermediate.dense, torch.zeros(inner, width))
    _linear(layer.output.dense, torch.zeros(width, inner))
    for norm in (layer.attention.output.LayerNorm, layer.output.LayerNorm):
        nn.init.ones_(norm.weight)
        nn.init.zeros_(norm.bias)


def _linear(layer: nn.Linear, weight: Tensor, bias: Tensor | None = None) -> None:
    layer.weight.copy_(weight)
    layer.bias.copy_(torch.zeros_like(layer.bias) if bias is None else bias)
