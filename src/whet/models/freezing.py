"""Adaptations that move weights of the base itself: all of them, those of its last layers, or its biases."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.kernels.embedding import CompactEmbedding
from whet.models.linear_layers import stacks
from whet.models.task_model import TaskModel

_LAST = ("ln_f", "norm", "final_norm", "final_layer_norm", "final_layernorm", "layer_norm", "project_out")
"""What a family calls the parts that stand beside its list of layers and are used after them."""


def freeze(model: TaskModel) -> None:
    """Nothing but the head may move; of a language model, whose head is a part of the base, nothing."""
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if model.head is not None and model.kind.kind != "language":
        model.head.requires_grad_(True)


def adapt_full(model: TaskModel) -> None:
    """Every weight may move; tables of sines stay what they are."""
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    for module in model.modules():
        if "Sinusoidal" in type(module).__name__:
            module.requires_grad_(False)


def adapt_top_layers(model: TaskModel, number: int) -> None:
    """The last ``number`` layers may move, of each half where there are two, and all that stands above them.

    A language head moves where its weights are its own and not those of the embeddings.

    :raises UserError: M061, the layers cannot be told apart, or there are fewer.
    """
    layers = list(stacks(model.trunk))
    fewest = min((len(one) for _, one in layers), default=0)
    refuse_layers(model, fewest, number)
    _freeze_but_what_is_new(model)
    for name, stack in layers:
        for layer in stack[len(stack) - number :]:
            layer.requires_grad_(True)
        beside = model.trunk.get_submodule(name.rpartition(".")[0])
        for last in _LAST:
            part = getattr(beside, last, None)
            if isinstance(part, nn.Module):
                part.requires_grad_(True)
    pooler = getattr(model.trunk, "pooler", None)
    if isinstance(pooler, nn.Module):
        pooler.requires_grad_(True)
    if model.trunk is not model.network:
        inside = {id(p) for p in model.trunk.parameters()}
        for parameter in model.network.parameters():
            if id(parameter) not in inside:
                parameter.requires_grad_(True)


def refuse_layers(model: TaskModel, found: int, number: int) -> None:
    """:raises UserError: M061, ``number`` layers cannot be set free of the ``found`` ones."""
    config = model.network.config
    kind = config.model_type
    said = int(getattr(config, "num_hidden_layers", found) or found)
    other = "Use bitfit, lora or full."
    if not found:
        what = f"the layers of {kind!r} cannot be found: it lists none."
        raise UserError(Problem("M061", "method", what, other))
    if found < said and not getattr(config, "is_encoder_decoder", False):
        what = f"the {said} layers of {kind!r} share their weights, so that none can move alone."
        raise UserError(Problem("M061", "method", what, other))
    if number > found:
        what = f"is {number}, but the base has {found} layers."
        raise UserError(Problem("M061", "layers.top", what, f"Ask for {found} at most, or use method full."))


def adapt_biases(model: TaskModel) -> None:
    """Every bias of the base may move, with its head (BitFit, arXiv 2106.10199).

    :raises UserError: M060, the base has no biases.
    """
    inside = {id(p) for p in model.trunk.parameters()}
    biases = [p for n, p in model.network.named_parameters() if id(p) in inside and _is_bias(n)]
    if not biases:
        what = f"the base, of type {model.network.config.model_type!r}, has no biases that could move."
        raise UserError(Problem("M060", "method", what, "Use ia3, lora or top-layers."))
    _freeze_but_what_is_new(model)
    for parameter in (p for n, p in model.network.named_parameters() if _is_bias(n)):
        parameter.requires_grad_(True)


def _is_bias(name: str) -> bool:
    """XLNet's are called r_w_bias and the like; tables of distances are weights of modules."""
    return name.rpartition(".")[2].endswith("bias")


def _freeze_but_what_is_new(model: TaskModel) -> None:
    freeze(model)
    for name in model.fresh:
        if name != "own_head":
            model.network.get_submodule(name).requires_grad_(True)
    if model.origin.new_tokens:
        train_new_tokens(model)


def train_new_tokens(model: TaskModel) -> None:
    """Let the embeddings of added tokens move beside an adapter, and what a language head has of them."""
    table = model.trunk.get_input_embeddings()
    rows = torch.tensor(model.origin.new_tokens)
    if model.kind.kind != "language":
        model.trunk.set_input_embeddings(CompactEmbedding(table.weight, rows))
        return
    for weight in {id(w): w for w in (table.weight, model.linear_head.weight)}.values():
        known = torch.ones(len(weight), dtype=torch.bool, device=weight.device)
        known[rows] = False
        weight.requires_grad_(True)  # the same table on both sides, so that its rows cannot be taken apart
        weight.register_hook(partial(_without, known))


def _without(known: Tensor, grad: Tensor) -> Tensor:
    """A gradient with nothing for the rows that stay."""
    return grad.masked_fill(known.unsqueeze(-1), 0.0)


# --- as entries of the table of adaptations -------------------------------------------------------------


def full(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> None:
    """Method full."""
    adapt_full(model)


def contrastive(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> None:
    """Method contrastive: every weight but those of the head, which is fitted when training is over."""
    adapt_full(model)
    model.linear_head.requires_grad_(False)


def top_layers(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> None:
    """Method top-layers."""
    adapt_top_layers(model, int(options["layers.top"]))


def bitfit(model: TaskModel, options: Mapping[str, Any], known_as: str, seed: int) -> None:
    """Method bitfit."""
    adapt_biases(model)
