"""States of training on disk: safetensors and JSON, written beside and renamed, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from whet.errors import Problem, UserError
from whet.files import folder_beside


@dataclass(slots=True)
class Progress:
    """Where training stands; with the tensors beside it, all that is needed to go on."""

    step: int = 0
    epoch: int = 0
    index: int = 0  # batches of this epoch already used
    tokens: int = 0
    train_seconds: float = 0.0
    wall_seconds: float = 0.0  # evaluation and checkpoints included
    best_step: int = -1
    best_score: float = -1e30
    best_tie_break: float = -1e30
    since_best: int = 0
    rate_factor: float = 1.0
    skipped: int = 0
    skipped_in_a_row: int = 0
    rollbacks: int = 0
    micro_batch_tokens: int = 0
    averaged: int = 0  # states in the average of weights

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)


class Keeper(Protocol):
    """Keeps named states of training."""

    def save(self, name: str, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """Keep a state under ``name``, replacing an older one; whole or not at all."""
        ...

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The state kept under ``name``; None when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class FolderKeeper:
    """Keeps states as sub-folders of ``folder``."""

    folder: Path

    def save(self, name: str, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
        """See :class:`Keeper`."""
        with folder_beside(self.folder / name) as inside:
            save_file({key: tensor.contiguous().cpu() for key, tensor in tensors.items()}, inside / "state.safetensors")
            (inside / "progress.json").write_text(json.dumps(progress, indent=1), encoding="utf-8")

    def load(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """See :class:`Keeper`.

        :raises UserError: T010, the files are there but damaged.
        """
        place = self.folder / name
        if not place.exists():
            return None
        try:
            progress = json.loads((place / "progress.json").read_text(encoding="utf-8"))
            return load_file(place / "state.safetensors"), progress
        except Exception as error:  # safetensors raises its own types for damaged files
            remedy = "Delete that folder and run 'whet resume': training then starts over."
            raise UserError(Problem("T010", str(place), f"is damaged: {error}.", remedy)) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, Tensor]:
    """The optimiser's state as named tensors: ``optimiser/<weight>/<quantity>``.

    :param names: weight names by ``id`` of the parameter.
    """
    return {
        f"optimiser/{names[id(parameter)]}/{quantity}": _tensor(quantity, value)
        for parameter, state in optimiser.state.items()
        for quantity, value in state.items()
    }


def load_optimiser(
    optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor], parameters: Mapping[str, torch.nn.Parameter]
) -> None:
    """Put back what :func:`optimiser_tensors` took."""
    for key, value in tensors.items():
        if not key.startswith("optimiser/"):
            continue
        name, quantity = key.removeprefix("optimiser/").rsplit("/", 1)
        parameter = parameters[name]
        if quantity == "step":
            counts = isinstance(optimiser, torch.optim.AdamW)  # in a tensor; those of bitsandbytes in a number
            optimiser.state[parameter][quantity] = value if counts else int(value)
        else:
            optimiser.state[parameter][quantity] = value.to(parameter.device)


def _tensor(quantity: str, value: Any) -> Tensor:
    """A part of the state as a tensor of its own: all weights of an 8-bit optimiser share the table of its values."""
    if not isinstance(value, Tensor):
        return torch.tensor(value)
    return value.clone() if quantity.startswith("qmap") else value
