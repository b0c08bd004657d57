"""What a method is told of its options, by their dotted names, where a test says nothing else."""

from __future__ import annotations

from typing import Any

TOLD: dict[str, Any] = {
    "lora.rank": 2,
    "lora.alpha": 4.0,
    "lora.dropout": 0.0,
    "lora.target_modules": "auto",
    "lora.rank_stabilised": False,
    "lora.dora": False,
    "lora.start": "zeros",
    "layers.top": 1,
    "quantisation.bits": 4,
    "quantisation.kind": "nf4",
    "quantisation.double": True,
}
