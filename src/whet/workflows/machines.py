"""Machines that a run is planned for: this one, measured, or accelerators of the table."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import psutil
import torch

from whet.engine import devices, memory
from whet.kernels import bandwidth, ceiling
from whet.workflows.accelerators import GIB, Accelerator

MIB = 2**20
PRODUCT_SHARE = 0.75
"""Of the measured ceiling that products of a model's own shapes reach."""
MOVED_SHARE = 0.8
"""Of the measured speed of a copy that elementwise operations reach."""
SPREAD_SHARE = 0.85
"""Of their speed alone that several devices keep while they exchange weights and gradients."""
WORKSPACE = 60 * MIB
"""What libraries hold on a CPU once products, norms and the optimiser have run: generated code and scratch space."""
DEVICE_FIXED = round(0.7 * GIB)
"""Of a GPU: its context and the scratch space of its libraries."""
ADAPTING = 100 * MIB
"""What PEFT and what it loads take, which only adapters need."""


@dataclass(frozen=True, slots=True)
class Machine:
    """``number`` devices, each of ``flops`` operations and ``bandwidth`` bytes a second.

    ``memory``: bytes that may be used on each; ``fixed``: bytes used whatever is trained; ``watts``: the most that
    one draws, where it is known.
    """

    name: str
    number: int
    flops: float
    bandwidth: float
    memory: float
    fixed: int
    watts: float | None
    source: str
    cpu: bool

    def seconds(self, flops: float, moved: float) -> float:
        """Of so much work, spread over all devices."""
        alone = flops / (self.flops * PRODUCT_SHARE) + moved / (self.bandwidth * MOVED_SHARE)
        return alone / self.number / (1.0 if self.number == 1 else SPREAD_SHARE)


def this_machine(dtype: torch.dtype, device: torch.device = devices.CPU) -> Machine:
    """The CPU here, or its GPU, measured in a third of a second; free is what is free now, with what we hold of it."""
    speeds = ceiling.measure(dtype, device), bandwidth.measure(device)
    if device.type != "cpu":
        name, free = devices.name_of(device), devices.free_bytes(device) + memory.held(device)
        return Machine(name, 1, *speeds, free, DEVICE_FIXED, None, "measured here", False)
    used = memory.resident()
    free = psutil.virtual_memory().available + used
    fixed = used + WORKSPACE - (ADAPTING if "peft" in sys.modules else 0)
    return Machine("this machine", 1, *speeds, free, fixed, None, "measured here", True)


def machine_of(device: Accelerator, number: int) -> Machine:
    """``number`` devices of the table."""
    memory_bytes = device.memory * GIB
    speeds = device.flops, device.bandwidth
    return Machine(device.name, number, *speeds, memory_bytes, DEVICE_FIXED, device.watts, device.source, False)
