"""What accelerators can do, as their makers say, and what of it is usually reached."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from whet.errors import Problem, UserError

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One device: ``memory`` in GiB, ``flops`` of dense bf16 products a second, ``bandwidth`` in bytes a second.

    ``watts``: the most it draws. ``source``: the maker's data sheet. A device without bf16 is listed with fp16.
    """

    name: str
    memory: float
    flops: float
    bandwidth: float
    watts: float
    source: str


_NVIDIA = "NVIDIA data sheet, {} (products without sparsity)"
TABLE: dict[str, Accelerator] = {
    one.name: one
    for one in (
        Accelerator("t4", 15, 65e12, 0.320e12, 70, _NVIDIA.format("T4; fp16")),
        Accelerator("v100", 32, 125e12, 0.900e12, 300, _NVIDIA.format("V100 SXM2 32 GB; fp16")),
        Accelerator("rtx3090", 24, 71e12, 0.936e12, 350, _NVIDIA.format("GA102 white paper")),
        Accelerator("rtx4090", 24, 165.2e12, 1.008e12, 450, _NVIDIA.format("Ada white paper")),
        Accelerator("l4", 22.5, 121e12, 0.300e12, 72, _NVIDIA.format("L4")),
        Accelerator("l40s", 45, 362e12, 0.864e12, 350, _NVIDIA.format("L40S")),
        Accelerator("a10g", 22.5, 70e12, 0.600e12, 300, _NVIDIA.format("A10G")),
        Accelerator("a100-40", 40, 312e12, 1.555e12, 400, _NVIDIA.format("A100 SXM 40 GB")),
        Accelerator("a100", 80, 312e12, 2.039e12, 400, _NVIDIA.format("A100 SXM 80 GB")),
        Accelerator("h100", 80, 989e12, 3.35e12, 700, _NVIDIA.format("H100 SXM")),
        Accelerator("h200", 141, 989e12, 4.8e12, 700, _NVIDIA.format("H200 SXM")),
        Accelerator("b200", 180, 2250e12, 8.0e12, 1000, _NVIDIA.format("DGX B200")),
        Accelerator("mi300x", 192, 1307e12, 5.3e12, 750, "AMD data sheet, Instinct MI300X (products without sparsity)"),
    )
}
"""By the name that ``whet plan --device`` takes; memory that a process can use, a little below the label's."""


def accelerator(name: str) -> Accelerator:
    """The device called ``name``.

    :raises UserError: L004, it is not in the table.
    """
    found = TABLE.get(name.lower())
    if found is None:
        near = get_close_matches(name.lower(), TABLE, 1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        remedy = f"{hint}Known are {', '.join(TABLE)}; leave it out for this machine."
        raise UserError(Problem("L004", "--device", f"{name!r} is not in the table of accelerators.", remedy))
    return found
