"""The reference of a saved model of preferences: what its base says, of the same object or of the base's own files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from whet.batches.encoding import Encoded
from whet.errors import Problem, UserError
from whet.inference.remembering import switchable, switched_off
from whet.models import loading, places, saving
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
    base.use_flat_batches()
    base.eval()
    how.refer(how.outputs(base, encoded, progress), encoded)
