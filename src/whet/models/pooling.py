"""How token vectors become one vector per text.

Pooled vectors are brought to mean 0 and variance 1 within each text before the head sees them: as
good as the unit length that sentence encoders are trained with, and expressible in the layers of
plain transformers (see :mod:`whet.models.averaging`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from whet.kernels import flat
from whet.kernels.flat import Layout

Pooling = Literal["mean", "first", "last"]

POOL: dict[Pooling, Callable[[Tensor, Layout], Tensor]] = {"mean": flat.mean, "first": flat.first, "last": flat.last}

_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "first",
    "pooling_mode_lasttoken": "last",
}
_NAMES: dict[str, Pooling] = {"mean": "mean", "cls": "first", "lasttoken": "last"}


FIRST_SHARE = 2.0**-8
"""Weight of the first token beside the mean, where both are wanted (:mod:`whet.models.averaging`)."""


def standardised(pooled: Tensor) -> Tensor:
    """(B, H) float32: mean 0 and variance 1 within each row."""
    return F.layer_norm(pooled.float(), pooled.shape[-1:], eps=1e-12)


def modules_of(folder: Path) -> list[tuple[str, str]]:
    """Kind and path of each module of a sentence-transformers folder; none where ``folder`` is not one."""
    try:
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        return [(str(m["type"]).rsplit(".", 1)[-1], str(m["path"])) for m in modules]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def declared(folder: Path) -> Pooling | None:
    """The pooling that a sentence-transformers folder was trained with; None where none is declared.

    A folder whose pooling is not among ours (weighted means, several at once) declares none.
    """
    path = next((path for kind, path in modules_of(folder) if kind == "Pooling"), None)
    if path is None:
        return None
    try:
        settings = json.loads((folder / path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(settings, dict):
        return None
    if "pooling_mode" in settings:
        return _NAMES.get(str(settings["pooling_mode"]))
    chosen = [key for key, on in settings.items() if key.startswith("pooling_mode_") and on is True]
    return _MODES.get(chosen[0]) if len(chosen) == 1 else None


def padded_pool(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """The plain form on padded batches: (B, L, H) and (B, L) to (B, H)."""
    if pooling == "first":
        return hidden[:, 0]
    if pooling == "last":
        ends = mask.sum(1) - 1
        return hidden[range(len(hidden)), ends]
    weights = mask.unsqueeze(-1).float()
    return (hidden.float() * weights).sum(1) / weights.sum(1)
