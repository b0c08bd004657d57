"""Method quantised: the base as it is, with its own head, rounded to few bits and held against itself in whole weights.

Nothing is trained. What the base lacks of the task's head cannot be made up for, so it is refused before anything else
is done. In the verdict the rounded model is the cheap one, and the base must show that it is worth more.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from whet.data.predictions import Predictions
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.evaluation import rounded
from whet.findings import Finding
from whet.models import adaptations, loading, quantising
from whet.models.heads import Head
from whet.models.networks import read_config
from whet.models.previous import previous_head
from whet.models.rounding import stored_in
from whet.models.task_model import TaskModel
from whet.recipe import quantised_rules
from whet.recipe.quantised_rules import METHOD
from whet.workflows.events import Said

if TYPE_CHECKING:
    from whet.workflows.running import Running

NAME, BASE = METHOD, quantised_rules.BASE
"""The model that is rounded; and the same in whole weights, among the baselines."""


def wanted(run: Running) -> bool:
    """Whether a run rounds its base and trains nothing."""
    return run.recipe.method == METHOD


# --- what is refused ------------------------------------------------------------------------------------


def refuse(run: Running) -> None:
    """Once rows are read: whether the base has the head that they ask for.

    :raises UserError: M075, it has none, or one that lacks labels of the rows.
    """
    if not wanted(run) or run.base_to_come or run.head_kind == "language":
        return
    pooling, _ = loading.choose_pooling(run.place, run.recipe.head.pooling, run.head_kind)
    head = run.task.head(pooling)
    old = previous_head(run.place, read_config(run.place))
    known = set(old.names) if old.fits(head) else set[str]()
    missing = [name for name in head.output_names if name not in known]
    if missing:
        raise UserError(_headless(run, head, missing))


def refuse_fresh(run: Running, model: TaskModel) -> None:
    """:raises UserError: M075, something of the model would be as it was drawn, and nothing is trained."""
    if wanted(run) and model.origin.fresh:
        raise UserError(_headless(run, model.kind, list(model.origin.fresh)))


def _headless(run: Running, head: Head, missing: Sequence[str]) -> Problem:
    what = f"has no trained head for these rows (it lacks {', '.join(map(repr, missing[:5]))}"
    what += f" and {len(missing) - 5:,} more)" if len(missing) > 5 else ")"
    whole = ", or has another kind of head" if len(missing) == len(head.output_names) else ""
    remedy = f"Train it first, and round it in a stage behind that: method {METHOD} trains nothing."
    return Problem("M075", f"base {run.recipe.base!r}", f"{what}{whole}.", remedy)


# --- making ---------------------------------------------------------------------------------------------


def make(run: Running) -> Iterator[Event]:
    """Say what rounding does to the layers of the base."""
    model = _rounded(run)
    assert model.quantised is not None
    yield Said(f"{NAME}: {quantising.finding(model.quantised.to_json(), NAME).message}")
    worst = ", ".join(f"{one.name} {one.relative:.1%}" for one in model.quantised.worst)
    yield Said(f"  furthest from what they were: {worst}")


def _rounded(run: Running) -> TaskModel:
    model = run.new_model()
    refuse_fresh(run, model)
    adaptations.adapt(model, METHOD, run.options, run.place.known_as, run.recipe.seed)
    return model.eval()


def kept_in(run: Running) -> torch.dtype | None:
    """What the base's files hold its weights in, where those that are not rounded can be kept so; None: fp32.

    A head that was calibrated on validation is no longer what the files hold.
    """
    if not wanted(run) or run.head_kind != "language":
        return None
    return stored_in(run.place.folder)


def finished(run: Running) -> tuple[TaskModel, dict[str, Any]]:
    """The rounded model, and what is known of it."""
    start = time.monotonic()
    model = _rounded(run)
    assert model.quantised is not None
    return model, {
        "train_seconds": time.monotonic() - start,
        "trainable_parameters": 0,
        "total_parameters": adaptations.count_weights(model),
        "quantisation": model.quantised.to_json(),
    }


# --- beside the base in whole weights ---------------------------------------------------------------------


def sides(run: Running, baselines: Sequence[str], candidates: Sequence[str]) -> tuple[list[str], list[str]]:
    """Who is held against whom in the verdict: baselines and candidates, the base among the latter where one rounds."""
    if not wanted(run) or BASE not in baselines:
        return list(baselines), list(candidates)
    return [*(name for name in baselines if name != BASE), *candidates], [BASE]


def weights_bytes(folder: Path) -> int:
    """Size of the weights in a model's folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors"))


def finding(run: Running, rounded_one: Predictions, whole: Predictions, metric: str, known: dict[str, Any]) -> Finding:
    """E015, of the answers to the test rows.

    :param known: facts of both models by their names.
    """
    wish = run.recipe.evaluation
    return rounded.lost(
        rounded_one,
        whole,
        metric,
        words=str(known[NAME]["quantisation"]["words"]),
        margin=wish.margin,
        seed=run.recipe.seed,
        level=1 - wish.alpha,
        num_resamples=wish.resamples,
        costs={name: {one: facts[one] for one in COSTS} for name, facts in known.items()},
    )


COSTS = ("weights_bytes", "predict_rows_per_second")
