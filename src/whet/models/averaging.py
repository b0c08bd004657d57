"""A mean-pooled classifier as the architecture's own: one more layer that averages.

``BertForSequenceClassification`` reads the first token through a dense layer with tanh. A sentence
encoder was trained with mean pooling, which it cannot express. But one more encoder layer can:

- queries and keys are zero, so every token attends to all tokens evenly;
- values are the identity and the output is scaled by s = 2^8: the first token becomes
  ``s * mean + first`` (the residual), and the layer norm makes that
  ``standardised(mean + first / s)``, which is how :mod:`whet.models.task_model` defines the
  pooled vector in the first place;
- the feed-forward part is zero; its residual and norm leave the vector as it is;
- the pooler multiplies by e = 2^-12, where tanh is linear to 1e-5, and the classifier divides by it.

Both factors are powers of two, so that taking the layer off again restores the exact weights.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from whet.models import quantising
from whet.models.heads import AS_IT_IS
from whet.models.pooling import FIRST_SHARE
from whet.models.task_model import TaskModel

POOLER_SCALE = 2.0**-12
CONFIG_KEY = "whet_averaging_layer"
"""Marks a configuration whose last layer only averages."""


POOLER = "bert.pooler.dense"
"""Which layer scales, in a classifier that averages."""


def take_off_config(config: Any) -> bool:
    """Whether ``config`` is of a model whose last layer only averages; it then speaks of one layer less."""
    if not getattr(config, CONFIG_KEY, False):
        return False
    config.num_hidden_layers -= 1
    delattr(config, CONFIG_KEY)
    return True


def is_extra(name: str, config: Any) -> bool:
    """Whether a weight of such a model belongs to the layer that averages or to the pooler that scales.

    :param config: as :func:`take_off_config` left it.
    """
    return f"encoder.layer.{config.num_hidden_layers}." in name or "pooler.dense." in name


@torch.no_grad()
def as_own_classifier(model: TaskModel) -> Any:
    """A ``BertForSequenceClassification`` in fp32 that gives the logits of ``model`` (mean-pooled, BERT)."""
    from transformers import BertForSequenceClassification

    config = copy.deepcopy(model.network.config)
    config.num_hidden_layers += 1
    config.id2label = dict(enumerate(model.kind.output_names))
    config.label2id = {label: number for number, label in enumerate(model.kind.output_names)}
    if model.kind.kind == "value":
        config.problem_type = "regression"
        config.sentence_transformers = AS_IT_IS
    setattr(config, CONFIG_KEY, True)
    config._attn_implementation = "sdpa"
    whole = BertForSequenceClassification(config).eval()
    rounded = dict(quantising.quantised_layers(model.network))
    apart = tuple(f"{name}." for name in rounded)
    own = {name: value for name, value in model.network.state_dict().items() if not name.startswith(apart)}
    whole.load_state_dict({f"bert.{name}": value for name, value in own.items()}, strict=False)
    for name, layer in rounded.items():
        whole.bert.set_submodule(name, layer)
    _averaging(whole.bert.encoder.layer[-1])
    _linear(whole.bert.pooler.dense, torch.eye(config.hidden_size) * POOLER_SCALE)
    _linear(whole.classifier, model.linear_head.weight / POOLER_SCALE, model.linear_head.bias)
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
