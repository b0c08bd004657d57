"""The reference of a saved model of preferences: what its base says, of the same object or of the base's own files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from whet.batches.encoding import Encoded
from whet.engine import devices
from whet.errors import Problem, UserError
from whet.inference.remembering import switchable, switched_off
from whet.models import loading, places, quantising, saving
from whet.models.about import About
from whet.models.task_model import TaskModel
from whet.tasks.preference import Preference
from whet.tasks.task import Task


def refer(
    how: Task,
    model: TaskModel,
    tokenizer: Any,
    about: About,
    encoded: Encoded,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Tell a task of preferences what the base says of ``encoded``; other tasks, and losses without one, nothing.

    :raises UserError: M031, the base of a model that was tuned whole is another one now, or it cannot be found.
    """
    if not isinstance(how, Preference) or not how.how.referred:
        return
    if switchable(model):
        with switched_off(model):
            how.refer(how.outputs(model, encoded, progress), encoded)
        return
    place = places.find_again(about.base, about.base_sha256)
    if saving.weights_sha256(place) != about.base_sha256:
        what = f"was held to other weights of {about.base!r} than those found at {place.folder}."
        raise UserError(Problem("M031", "the model", what, "Get the base it was trained from."))
    base = loading.load_model(place, about.head, tokenizer, seed=0)
    stand(base, how.setting.options, merged=True)
    base.use_flat_batches()
    base.to(devices.of(model)).eval()
    how.refer(how.outputs(base, encoded, progress), encoded)


def stand(base: TaskModel, options: Mapping[str, Any], merged: bool = False) -> None:
    """Make of a base as it came what the adapter of a run's method stands on: of qlora quantised weights.

    :param merged: as it is below an adapter that was merged into it: whole again, in numbers of 16 bits.
    """
    if options.get("method") != "qlora":
        return
    quantising.quantise(base, quantising.Scheme.of(options))
    if merged:
        quantising.restore(base)
        with torch.no_grad():
            for parameter in base.parameters():
                parameter.copy_(parameter.to(torch.bfloat16))
