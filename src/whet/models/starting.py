"""Adapters that took a part of the base's weights for their start, told as plain ones on the base as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

_FIRST, _SECOND = ".lora_A.", ".lora_B."
DOUBLED = "lora.doubled"
"""Among options: the rank is that of an adapter told as a plain one, and may be above a layer's width."""


def takes_from_base(method: str, options: Mapping[str, Any]) -> bool:
    """Whether a method's adapters start from weights that it takes out of the base."""
    return method == "lora" and options["lora.start"] == "pissa"


def as_plain(
    options: Mapping[str, Any], start: Mapping[str, Tensor], trained: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The options and weights of a plain adapter that, on the untouched base, does what was trained.

    PiSSA leaves W - s B0 A0 of a weight W and trains s B A beside it. On W itself the same is
    s (B A - B0 A0) = s [B, -B0] [A; A0], an adapter of twice the rank (arXiv 2404.02948, appendix). Its scale s
    stays, and so does what else was trained.

    :param start: weights by name before training, ``trained``: after it; (r, inputs) A and (outputs, r) B.
    """
    grow = 2.0**0.5 if options["lora.rank_stabilised"] else 2.0
    plain = {
        **options,
        DOUBLED: True,
        "lora.start": "zeros",
        "lora.rank": 2 * int(options["lora.rank"]),
        "lora.alpha": grow * float(options["lora.alpha"]),
    }
    found = dict(trained)
    for name, weight in trained.items():
        if _FIRST in name:
            found[name] = torch.cat([weight, start[name].to(weight)])
        elif _SECOND in name:
            found[name] = torch.cat([weight, -start[name].to(weight)], 1)
    return plain, found
