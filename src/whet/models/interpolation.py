"""Weights between those that training started from and those that it ended at (WiSE-FT, arXiv 2109.01903).

What moved away from the base is taken back by a share: full weights, biases, vectors and the length of weights lie on
the line between start and end; of a low-rank pair the second matrix alone does, which starts as zeros, so that the
update is scaled. What is not the base's (a head, what is new) stays as it was trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from whet.models.task_model import TaskModel

SHARES = tuple(number / 10 for number in range(11))
"""Of the tuned weights: 0 is the base with the trained head, 1 the model as it was trained."""
_FIRST = (".lora_A.", ".lora_embedding_B.")
"""The matrix of a low-rank pair that does not start as zeros."""


def between(
    model: TaskModel, start: Mapping[str, Tensor], tuned: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """(1 - share) of ``start`` and ``share`` of ``tuned``, by name of the weights of ``model`` that move.

    Exactly ``start`` at 0 and exactly ``tuned`` at 1, but for what is not the base's.
    """
    apart = not_of_base(model)
    found = {}
    for name, end in tuned.items():
        if share == 1 or name in apart or name not in start or any(part in name for part in _FIRST):
            found[name] = end
        elif share == 0:
            found[name] = start[name]
        else:
            found[name] = torch.lerp(start[name].float(), end.float(), share)
    return found


def not_of_base(model: TaskModel) -> set[str]:
    """Names of the weights that the base did not bring: a head of its own kind, and modules that started anew."""
    head = model.head
    own = set() if head is None or model.kind.kind == "language" else {id(one) for one in head.parameters()}
    anew = tuple(f"network.{name}." for name in model.fresh)
    return {
        name
        for name, parameter in model.named_parameters()
        if id(parameter) in own or (anew and _plain(name).startswith(anew))
    }


def _plain(name: str) -> str:
    """The name of a weight without what PEFT wraps around modules that it saves whole."""
    return name.replace(".modules_to_save.default.", ".").replace(".original_module.", ".")
