"""Inside a model while it reads: what its layers give, and layers that learn beside it and are not kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from whet.kernels.flat import Layout
from whet.models.adaptations import MATCHING
from whet.models.linear_layers import stacks
from whet.models.narrowing import KEY_VALUE, QUERY, ends_with

NAME = MATCHING


def layers_of(model: Any) -> list[nn.Module]:
    """The layers of the trunk, from the first to the last; none where it lists none, or two halves."""
    found = [stack for _, stack in stacks(model.trunk)]
    return list(found[0]) if len(found) == 1 else []


def counterparts(student: int, teacher: int) -> list[int]:
    """For each of ``student`` layers the number of that of ``teacher`` layers, from 0: as deep, the last for the last.

    Halves are rounded up; of a student that is deeper several layers have the same counterpart, none stands before it.
    """
    return [max(0, (2 * (one + 1) * teacher + student) // (2 * student) - 1) for one in range(student)]


def relating(model: Any) -> list[nn.Module]:
    """What makes queries, keys and values in the last layer; none where they are not told apart by name."""
    layers = layers_of(model)
    if not layers:
        return []
    named = list(layers[-1].named_modules())
    parts = ((QUERY,), (KEY_VALUE[::2],), (KEY_VALUE[1::2],))
    found = [
        [module for name, module in named if ends_with(name, ends) and isinstance(module, nn.Linear)]
        for (ends,) in parts
    ]
    return [some[0] for some in found] if all(len(some) == 1 for some in found) else []


@contextlib.contextmanager
def watching(modules: Sequence[nn.Module], seen: list[Tensor]) -> Iterator[None]:
    """What ``modules`` give, into ``seen`` in their order, in every pass meanwhile; the latest pass alone is kept."""
    slots: dict[int, Tensor] = {}

    def note(place: int, found: Any) -> None:
        slots[place] = found[0] if isinstance(found, tuple) else found

    hooks = [
        module.register_forward_hook(lambda m, i, found, place=place: note(place, found))
        for place, module in enumerate(modules)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
        seen[:] = [slots[place] for place in range(len(modules)) if place in slots]


def by_token(found: Tensor, where: Layout) -> Tensor:
    """(T, H) of a flat (1, T, H) or a padded (S, L, H) table; tokens that fill a flat batch up belong to no text."""
    if found.shape[0] == 1:
        return found[0, : where.num_tokens]
    inside = torch.arange(found.shape[1])[None, :] < where.lengths.cpu()[:, None]
    return found[inside.to(found.device)]


def equip(model: Any, widths: Mapping[str, tuple[int, int]], seed: int) -> None:
    """Put beside ``model`` layers from its width to another, by name: they learn with it and are not saved.

    They begin as random ones that keep lengths, drawn by ``seed``; no other draw is disturbed.
    """
    layers = nn.ModuleDict()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, (own, other) in widths.items():
            layer = nn.Linear(own, other, bias=False)
            nn.init.orthogonal_(layer.weight)
            layers[name] = layer
    setattr(model, NAME, layers)
