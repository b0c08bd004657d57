"""How deep every weight of a model lies: layers counted from the top, embeddings below them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whet.models.adaptations import embedding_weights
from whet.models.linear_layers import stacks
from whet.models.task_model import TaskModel

_BELOW = ("embed", "project_in", "mask_emb")
"""In names of weights below all layers: project_in of OPT follows its table, mask_emb of XLNet stands for a row."""


@dataclass(frozen=True, slots=True)
class Depths:
    """``of``: every weight that moves, by its name: 0 above all layers (a head, a pooler, a last norm), 1 the topmost
    layer, ``number`` the embeddings.
    """

    of: Mapping[str, int]
    number: int


def depths(model: TaskModel) -> Depths:
    """The depth of every weight of ``model`` that moves; both halves of an encoder-decoder are counted from their top.

    Layers are what the trunk lists one after the other, in whatever family; ``number`` is 0 where it lists none.
    """
    inside: dict[int, int] = {}
    deepest = 0
    for _, layers in stacks(model.trunk):
        deepest = max(deepest, len(layers))
        for number, layer in enumerate(layers):
            inside.update({id(weight): len(layers) - number for weight in layer.parameters()})
    tables = embedding_weights(model)
    found = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            below = id(weight) in tables or any(part in name for part in _BELOW)
            found[name] = inside.get(id(weight), deepest + 1 if below and deepest else 0)
    return Depths(found, max(found.values(), default=0))
