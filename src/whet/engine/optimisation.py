"""AdamW in groups with their own rates, and the schedule they share; its moments in 32 bits or in 8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from whet.errors import Problem, UserError

OptimiserName = Literal["adamw", "adamw_8bit", "paged_adamw_8bit"]
"""Which optimiser moves the weights, as ``training.optimiser`` names it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Weights that share a peak rate and a decay."""

    name: str
    parameters: Sequence[tuple[str, nn.Parameter]]
    learning_rate: float
    weight_decay: float


def schedule(num_steps: int, warmup_share: float) -> Callable[[int], float]:
    """The factor on every rate at a step: linear up over the warm-up, then linear down to zero."""
    warmup = max(1, round(num_steps * warmup_share))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return max(0.0, (num_steps - step) / max(1, num_steps - warmup))

    return factor


def optimiser_of(name: OptimiserName, groups: Sequence[Group]) -> torch.optim.Optimizer:
    """The optimiser called ``name`` over ``groups``.

    :raises UserError: T014, see :func:`refuse_missing`.
    """
    return adamw(groups) if name == "adamw" else adamw_8bit(groups, paged=name.startswith("paged"))


def adamw(groups: Sequence[Group]) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) over ``groups``; fused where the device has a kernel."""
    device = groups[0].parameters[0][1].device
    return torch.optim.AdamW(_settings(groups), fused=device.type in ("cpu", "cuda"))


def adamw_8bit(groups: Sequence[Group], paged: bool = False) -> torch.optim.Optimizer:
    """AdamW whose moments take a byte a weight, in blocks with a scale each (arXiv 2110.02861; bitsandbytes).

    Weights of fewer than 4,096 numbers keep moments of 32 bits.

    :param paged: moments may be moved to the host's memory where the device's runs out.
    :raises UserError: T014, see :func:`refuse_missing`.
    """
    name: OptimiserName = "paged_adamw_8bit" if paged else "adamw_8bit"
    refuse_missing(name, next(p for group in groups for _, p in group.parameters).device)
    from bitsandbytes.optim.adamw import AdamW8bit, PagedAdamW8bit

    made: torch.optim.Optimizer = (PagedAdamW8bit if paged else AdamW8bit)(_settings(groups))
    return made


def refuse_missing(name: OptimiserName, device: torch.device) -> None:
    """:raises UserError: T014, the library is missing, or the optimiser has no kernel for ``device``."""
    if name == "adamw":
        return
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        what = f"is {name!r}, and bitsandbytes is not installed."
        remedy = "Install it (pip install bitsandbytes), or use 'adamw'."
        raise UserError(Problem("T014", "training.optimiser", what, remedy)) from None
    if name.startswith("paged") and device.type != "cuda":
        what = f"is {name!r}, and only a CUDA device has pages that can be moved; this run computes on {device.type}."
        raise UserError(Problem("T014", "training.optimiser", what, "Use 'adamw_8bit', or 'adamw'."))


def _settings(groups: Sequence[Group]) -> list[dict[str, Any]]:
    return [
        {"params": [p for _, p in group.parameters], "lr": group.learning_rate, "weight_decay": group.weight_decay}
        for group in groups
        if group.parameters
    ]
