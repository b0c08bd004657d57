"""Adapters merged into their base's weights, and quantised bases made whole for it in 16 bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from whet.evaluation.measures import MEASURES, lower_is_better
from whet.evaluation.wording import number
from whet.findings import Finding
from whet.models import adaptations, quantising
from whet.models.task_model import TaskModel
from whet.workflows import regularising
from whet.workflows.running import Running
from whet.workflows.training import Trained

__all__ = ["HALF", "finding", "into_16_bits", "wanted"]

HALF = torch.bfloat16
"""What a merged model's weights are rounded to, and saved in."""


def wanted(run: Running, model: Trained) -> bool:
    """Whether a model is saved whole though an adapter was trained: asked for, or an adapter alone cannot say it."""
    return model.adapter is not None and (run.recipe.lora.merge or bool(model.model.origin.unlike))


def into_16_bits(run: Running, model: Trained) -> Trained:
    """A quantised base with its adapter as one whole model, its weights rounded to 16 bits.

    What was quantised is taken as it was trained beside: the base's own weights would be others. The facts say how
    well it does on validation before and after.
    """
    quantised = model.model.quantised
    assert quantised is not None
    whole = run.new_model()
    regularising.prepare(run, whole)
    quantising.quantise(whole, quantised.scheme)
    quantising.restore(whole)
    options = {**run.options, "lora.start": "zeros"}
    adapter = adaptations.adapt(whole, "lora", options, run.place.known_as, run.recipe.seed)
    whole.dense_embedding()
    _take(whole, model.model)
    whole.network = adapter.merge_and_unload()
    with torch.no_grad():
        for parameter in whole.parameters():
            parameter.copy_(parameter.to(HALF))
    whole.eval()
    before, after = (_validated(run, one) for one in (model.model, whole))
    margin = run.recipe.evaluation.margin
    known = {"metric": run.task.score, "before": before, "after": after, "dtype": "bf16", "margin": margin}
    return replace(model, model=whole, adapter=None, facts={**model.facts, "merged": known})


@torch.no_grad()
def _take(whole: TaskModel, trained: TaskModel) -> None:
    own = dict(whole.named_parameters())
    for name, parameter in trained.named_parameters():
        if parameter.requires_grad:
            own[name].copy_(parameter)


def _validated(run: Running, model: TaskModel) -> float:
    encoded, examples = run.encoded["validation"], run.examples("validation")
    return float(run.task.look(run.task.outputs(model, encoded), encoded, examples)[run.task.score])


def finding(known: Mapping[str, Any], model: str) -> Finding:
    """E010 of what :func:`into_16_bits` measured."""
    metric, before, after = str(known["metric"]), float(known["before"]), float(known["after"])
    sign = -1.0 if metric in MEASURES and lower_is_better(metric) else 1.0
    words = MEASURES[metric].words if metric in MEASURES else metric
    change = f"{words} on validation {number(before, metric)} before and {number(after, metric)} after"
    message = f"The adapter was merged into weights of 16 bits: {change}."
    evidence = dict(known)
    if sign * (before - after) <= float(known["margin"]):
        return Finding("E010", "passed", message, model, "", evidence)
    remedy = "Set lora.merge=false and keep the adapter with its quantised base, or use method lora."
    return Finding("E010", "issue", message, model, remedy, evidence)
