"""What a recipe says against overfitting, and for classes that are rare: refused early, built, and said in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from whet.batches.flat import TrainingBatches
from whet.batches.noise import NoisyBatches
from whet.engine.optimisation import refuse_missing
from whet.engine.precision import Weights
from whet.engine.protocols import Batches, Influence, Objective
from whet.errors import Problem, Problems, UserError, did_you_mean
from whet.models.adaptations import embedding_weights
from whet.models.depths import depths
from whet.models.dropouts import drops_anything, set_dropout
from whet.models.interpolation import not_of_base
from whet.models.task_model import TaskModel
from whet.objectives.classes import sampling_shares
from whet.objectives.gradual import Gradual
from whet.objectives.mixout import Mixout
from whet.objectives.soft_labels import SoftLabelLoss
from whet.objectives.start import TowardsStart
from whet.objectives.two_passes import TwoPasses
from whet.recipe.rules import OF_SOME_METHODS
from whet.tasks.token_classification import OUTSIDE
from whet.workflows import contrasting, distilling, learning, replaying
from whet.workflows.running import Running
from whet.workflows.token_marks import special_ids

FP32 = 4
"""Bytes."""

# --- what is refused before anything is trained -------------------------------------------------------


def refuse_classes(run: Running) -> None:
    """:raises UserError: T011, weights are given of classes that no row has."""
    wanted = run.recipe.regularisation.class_weights
    if isinstance(wanted, str):
        return
    known = [*run.labels, *([OUTSIDE] if run.recipe.task == "token-classification" else [])]
    problems = Problems()
    for name in wanted:
        if name not in known:
            near = did_you_mean(name, known) or f"Classes: {', '.join(known[:20])}."
            what = f"names {name!r}, which is no class of the rows."
            problems.add("T011", "regularisation.class_weights", what, near)
    problems.raise_if_any()


def refuse_method(run: Running) -> None:
    """:raises UserError: R021, the method that auto became moves no matrix of the base; T014, see the engine."""
    method = str(run.value("method"))
    if run.recipe.regularisation.mixout and method not in OF_SOME_METHODS["regularisation.mixout"]:
        what = f"mixes weights of the base with those it began as, and method {method!r} moves none of its matrices."
        raise UserError(Problem("R021", "regularisation.mixout", what, "Set method to 'full', or remove it."))
    refuse_missing(run.recipe.training.optimiser, run.device)


def refuse_vain(run: Running) -> None:
    """:raises UserError: T012, a base without dropout; T013, nothing that R-Drop could rest on; T015, no layers."""
    wanted = run.recipe.regularisation
    if wanted.dropout == "auto" and not wanted.r_drop and not run.recipe.layers.gradual:
        return
    model = run.new_model()  # of its own, since it is changed
    if wanted.dropout != "auto" and not set_dropout(model, float(wanted.dropout)):
        raise UserError(Problem("T012", "regularisation.dropout", "is set, but the base has none.", "Remove it."))
    with_adapter = run.value("method") in ("lora", "qlora") and run.recipe.lora.dropout > 0
    if wanted.r_drop and not (with_adapter or drops_anything(model)):
        what = "is set, but nothing is dropped while this base is trained: two passes would be the same."
        remedy = "Set regularisation.dropout where the base has any, use lora with lora.dropout, or remove it."
        raise UserError(Problem("T013", "regularisation.r_drop", what, remedy))
    if run.recipe.layers.gradual:
        for weight in model.parameters():
            weight.requires_grad_(True)
        if not depths(model).number:
            what = "is set, but no list of layers was found in the base."
            raise UserError(Problem("T015", "layers.gradual", what, "Remove it."))


# --- what training is given ---------------------------------------------------------------------------


def prepare(run: Running, model: TaskModel) -> None:
    """Set the dropout of a new model, before adapters are put in."""
    chance = run.recipe.regularisation.dropout
    if chance != "auto":
        set_dropout(model, float(chance))


def objective(run: Running, name: str | None = None) -> Objective[Any]:
    """What model ``name`` minimises, or the one of the method: the task's own, read twice where the recipe says so."""
    if contrasting.wanted(run, name):
        return contrasting.objective(run)
    found: Any = run.task.objective()
    if name == learning.SELF_TRAINED and run.recipe.self_training.labels == "soft":
        found = SoftLabelLoss(float(run.value("training.label_smoothing")))
    if distilling.wanted(run, name):
        found = distilling.objective(run, found)
    weight = run.recipe.regularisation.r_drop
    return TwoPasses(found, weight) if weight else found


def plain_batches(run: Running, seed: int, name: str | None = None) -> TrainingBatches:
    """Training rows of model ``name``, or of the one of the method, in their order; some classes more often."""
    if contrasting.wanted(run, name):
        return contrasting.batches(run, seed, name)
    if run.recipe.forgetting.replay:
        return replaying.batches(run, seed)
    if distilling.wanted(run, name) and distilling.learns_more(run):
        return distilling.batches(run, seed)
    kind = run.recipe.regularisation.sampling
    if name == learning.SELF_TRAINED:
        known, tokens = learning.rows(run, name), run.value("training.batch_tokens")
        return TrainingBatches(known.encoded, known.targets, tokens, seed, shares=learning.shares(known, kind))
    shares = None if kind == "none" else sampling_shares(run.gold["train"], kind)
    tokens, coupled = run.value("training.batch_tokens"), run.task.coupled
    return TrainingBatches(run.encoded["train"], run.targets("train"), tokens, seed, whole=coupled, shares=shares)


def noisy(run: Running, plain: TrainingBatches) -> Batches[Any]:
    """The same with tokens left out and exchanged, where the recipe says so."""
    wanted = run.recipe.regularisation
    if not (wanted.token_deletion or wanted.token_swap):
        return plain
    fixed = np.asarray(sorted(special_ids(run.tokenizer)), np.int64)
    return NoisyBatches(plain, wanted.token_deletion, wanted.token_swap, fixed)


def influences(run: Running, model: TaskModel, weights: Weights, num_steps: int, seed: int) -> Sequence[Influence]:
    """What has a say in every step beside the objective; weights must stand where training begins."""
    wanted, found = run.recipe.regularisation, list[Influence]()
    if run.recipe.layers.gradual:
        found.append(_gradual(run, model, num_steps))
    if wanted.l2_start:
        found.append(TowardsStart(weights, brought(model), wanted.l2_start))
    if wanted.mixout:
        found.append(Mixout(weights, _matrices(model), wanted.mixout, seed))
    return found


def _gradual(run: Running, model: TaskModel, num_steps: int) -> Gradual:
    known = depths(model)
    return Gradual(known.of, known.number, max(1, round(run.recipe.layers.gradual * num_steps)))


def brought(model: TaskModel) -> list[str]:
    """Names of the weights that move and were not drawn anew: those of the base, or of adapters."""
    new = not_of_base(model)
    return [name for name, weight in model.named_parameters() if weight.requires_grad and name not in new]


def _matrices(model: TaskModel) -> list[str]:
    """Names of those that are multiplied."""
    tables, weights = embedding_weights(model), dict(model.named_parameters())
    return [name for name in brought(model) if weights[name].ndim > 1 and id(weights[name]) not in tables]


def held(model: TaskModel, options: Mapping[str, Any], dtype: torch.dtype) -> int:
    """Bytes that the pull to the start and mixout hold while a step is computed, beside what is trained without them.

    :param model: with what moves set free; :param options: resolved values by dotted name.
    """
    weights, size = dict(model.named_parameters()), 0
    if options.get("regularisation.l2_start"):
        size += FP32 * sum(weights[name].numel() for name in brought(model))
    if options.get("regularisation.mixout"):
        # where they began, what of them is kept, and in fp32 what the model lends its weights against
        each = FP32 + 1 + (FP32 if dtype == torch.float32 else 0)
        size += each * sum(weights[name].numel() for name in _matrices(model))
    return size


# --- what is said of it -------------------------------------------------------------------------------


def numbers(run: Running, model: TaskModel, num_steps: int) -> Iterator[str]:
    """Everything that is set, in words and numbers."""
    wanted = run.recipe.regularisation
    weights = dict(model.named_parameters())
    if weighed := getattr(run.task, "class_weights", {}):
        yield f"weights of classes: {_listed(weighed)}"
    if wanted.sampling != "none":
        yield f"rows seen in an epoch: {_listed(_seen(run, wanted.sampling))}"
    if wanted.r_drop:
        yield f"R-Drop: two passes over every row, their difference counts {wanted.r_drop:g} times"
    if wanted.l2_start:
        count = sum(weights[name].numel() for name in brought(model))
        yield f"{count:,} weights are pulled towards their start with strength {wanted.l2_start:g}"
    if wanted.mixout:
        names = _matrices(model)
        count = sum(weights[name].numel() for name in names)
        where = f"{count:,} weights in {len(names)} matrices"
        yield f"mixout: in a step {100 * wanted.mixout:.3g}% of {where} are those of the base"
    if wanted.average == "ema":
        yield f"evaluated and kept: the moving average of all weights, {wanted.average_decay:g} of it kept in a step"
    if wanted.average == "checkpoints":
        yield "evaluated and kept: the mean of the weights of all looks"
    if wanted.token_deletion or wanted.token_swap:
        yield f"of training tokens {wanted.token_deletion:.0%} left out and {wanted.token_swap:.0%} exchanged"
    if run.recipe.layers.gradual:
        begins = _gradual(run, model, num_steps).begins()
        yield f"layers set free, from the top, at steps {', '.join(map(str, begins))} of {num_steps:,}"


def _seen(run: Running, kind: str) -> dict[str, float]:
    """By class, how many of an epoch's rows have it."""
    gold = run.gold["train"]
    shares = sampling_shares(gold, kind)
    times = shares * (len(shares) / shares.sum())
    table = gold[:, None] == np.arange(len(run.labels)) if gold.ndim == 1 else gold
    return {name: float(round(float(times[table[:, i]].sum()))) for i, name in enumerate(run.labels)}


SHOWN = 12


def _listed(values: dict[str, float]) -> str:
    """The largest and smallest of many."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    some = ordered if len(ordered) <= SHOWN else [*ordered[: SHOWN // 2], *ordered[-SHOWN // 2 :]]
    left = len(ordered) - len(some)
    said = ", ".join(f"{name} {value:.3g}" if value < 1000 else f"{name} {value:,.0f}" for name, value in some)
    return said + (f" ({left} between are not shown)" if left else "")
