"""A saved model that answers in 16 bits: about twice as fast where the machine multiplies them natively.

Its head stays in fp32. On the first rows that it is asked it is held against itself in fp32; where the two differ, or
the machine has no such products, it goes on in fp32 and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from whet.batches.encoding import Encoded
from whet.engine import devices
from whet.engine.precision import fastest_dtype, not_exact
from whet.errors import Problem, UserError
from whet.models import adaptations
from whet.models.task_model import TaskModel
from whet.tasks.task import Task

Precision = Literal["fp32", "bf16"]
PROVING = 32
"""Rows on which both are compared."""
TOLERANCE = 0.05
"""Largest difference, as a share of the largest number that the model gives in fp32."""


@dataclass
class Rounding:
    """Whether a model answers in 16 bits: it does not before it has answered its first rows twice.

    ``note``: why it does not, or how far the two were apart; "" before.
    """

    note: str = ""
    _asked: bool = field(default=False, init=False)

    def settle(self, how: Task, model: TaskModel, encoded: Encoded) -> None:
        """Round ``model`` if the first of ``encoded`` come out the same; once."""
        if self._asked or not len(encoded):
            return
        self._asked = True
        dtype, reason = fastest_dtype(devices.of(model))
        if dtype == torch.float32:
            self.note = f"answers are computed in fp32: {reason}"
            return
        some = encoded.of_rows(np.arange(min(PROVING, len(encoded))))
        exact = how.outputs(model, some)
        whole = round_weights(model, dtype)
        rounded = how.outputs(model, some)
        apart = float((exact - rounded).abs().max()) / max(float(exact.abs().max()), 1e-9)
        self.note = f"in bf16, at most {apart:.1%} of the largest output apart from fp32 on {len(some)} rows"
        if not apart <= TOLERANCE:  # nor if it is no number
            for weight, kept in whole:
                weight.data = kept
            self.note = f"answers are computed in fp32: bf16 is {apart:.1%} of the largest output apart"


def round_weights(model: TaskModel, dtype: torch.dtype) -> list[tuple[torch.nn.Parameter, torch.Tensor]]:
    """Round all weights that may be; what each of them was before."""
    found = [(weight, weight.data) for weight in not_exact(model, adaptations.exact_names(model))]
    for weight, before in found:
        weight.data = before.to(dtype)
    return found


def refuse(precision: Precision, kind: str) -> None:
    """:raises UserError: M076, texts are to be written in few bits."""
    if precision != "fp32" and kind == "language":
        what = f"is {precision!r}, and this model writes texts or reads their likelihood, which is done in fp32 alone."
        raise UserError(Problem("M076", "precision", what, "Leave it at fp32."))
