"""Where a model computes: on a CUDA device where there is one, else on the processor.

Rows, targets and what is chosen of them are made ready on the processor; a model brings what it reads to where its
weights lie (:meth:`whet.models.task_model.TaskModel.features`), an objective the truth to where the logits are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import psutil
import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError

DeviceName = Literal["auto", "cpu", "cuda"]
"""As ``training.device`` names it."""
CPU = torch.device("cpu")


def chosen(wanted: DeviceName) -> tuple[torch.device, str]:
    """The device, and why.

    :raises UserError: T044, CUDA is asked for and not there.
    """
    found = accelerator()
    if wanted == "cpu":
        return CPU, "set in the recipe"
    if found is not None:
        return found, f"a GPU is there ({name_of(found)})"
    if wanted == "cuda":
        what = "is 'cuda', and torch finds no CUDA device on this machine."
        remedy = "Use auto or cpu; or install a torch with CUDA and look whether nvidia-smi lists a device."
        raise UserError(Problem("T044", "training.device", what, remedy))
    return CPU, "no CUDA device is there"


def accelerator() -> torch.device | None:
    """The CUDA device of this process; None where there is none. CUDA_VISIBLE_DEVICES says which one, or none."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else None


def best() -> torch.device:
    """Where a saved model answers: a recipe has no part in it."""
    return accelerator() or CPU


def of(model: nn.Module) -> torch.device:
    """Where the weights of ``model`` lie; the processor where it has none."""
    return next((weight.device for weight in model.parameters()), CPU)


@contextlib.contextmanager
def brought(model: nn.Module, device: torch.device) -> Iterator[None]:
    """``model`` lies on ``device`` for a while."""
    before = of(model)
    if before != device:
        model.to(device)
    try:
        yield
    finally:
        if before != device:
            model.to(before)


def name_of(device: torch.device) -> str:
    """What it is, in words."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def free_bytes(device: torch.device) -> int:
    """Memory that is free on it."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def beside(values: Tensor, like: Tensor) -> Tensor:
    """``values`` on the device of ``like``; nothing is waited for on the way to a GPU."""
    return values if values.device == like.device else values.to(like.device, non_blocking=like.device.type != "cpu")
