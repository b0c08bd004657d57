"""The layers of a pretrained model that multiply by a matrix, and which of them an adapter is meant for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from whet.models.task_model import TaskModel


def linear_layers(model: TaskModel) -> list[str]:
    """Dotted names of the trunk's linear layers, poolers and the head excepted; T5's head lies within its trunk."""
    network = model.network
    inside = "" if model.trunk is network else f"{network.base_model_prefix}."
    return [
        name
        for name, module in network.named_modules()
        if is_linear(module) and module is not model.head and name.startswith(inside) and "pooler" not in name
    ]


def is_linear(module: nn.Module) -> bool:
    """Whether a module multiplies by a matrix; GPT-2 stores its matrices turned."""
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)


def turned(layer: nn.Module) -> bool:
    """Whether a layer's weight is (inputs, outputs) and not (outputs, inputs)."""
    return not isinstance(layer, nn.Linear)


def size_of(layer: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a linear layer."""
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    weight: Any = layer.weight
    return int(weight.shape[0]), int(weight.shape[1])


def matches(name: str, wanted: Sequence[str]) -> bool:
    """Whether a module's dotted name is one of ``wanted``, or ends as one of them."""
    return any(name == w or name.endswith(f".{w}") for w in wanted)


def stacks(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.ModuleList]]:
    """Every list of layers with weights that stands in no other, by its dotted name: two of an encoder-decoder."""
    for child_name, child in module.named_children():
        dotted = f"{name}.{child_name}" if name else child_name
        if isinstance(child, nn.ModuleList) and any(True for _ in child.parameters()):
            yield dotted, child
        else:
            yield from stacks(child, dotted)
