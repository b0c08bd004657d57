"""AdamW in groups with their own rates, and the schedule they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn


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


def adamw(groups: Sequence[Group]) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101) over ``groups``; fused where the device has a kernel."""
    device = groups[0].parameters[0][1].device
    return torch.optim.AdamW(
        [
            {"params": [p for _, p in group.parameters], "lr": group.learning_rate, "weight_decay": group.weight_decay}
            for group in groups
            if group.parameters
        ],
        fused=device.type in ("cpu", "cuda"),
    )
