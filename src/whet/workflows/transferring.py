"""What later tasks took from earlier ones, or gave them: an earlier head on the trunk that the last stage left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from whet.data import reading
from whet.data.predictions import load as load_predictions
from whet.errors import Problem, UserError
from whet.evaluation.paired import Comparison, compare, with_holm
from whet.evaluation.wording import amount, number
from whet.files import read_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.inference.trained import TrainedModel
from whet.models import mixing, quantising, saving
from whet.models.about import load_about
from whet.models.sharing import tie
from whet.models.task_model import TaskModel
from whet.recipe import Recipe
from whet.recipe.names import LANGUAGE
from whet.workflows import stage_results
from whet.workflows.nodes import Node, came_of
from whet.workflows.using import kept_models

POOLER = "pooler"
"""The only part of an earlier trunk that a later task may not have: no other one reads it."""
MERGED = ("LORA", "IA3")
"""Kinds of adapters that become weights of their base."""
Place = Callable[[str], RunFolder]


def findings(recipe: Recipe, stages: Sequence[Node], place: Place) -> list[Finding]:
    """X026 of every earlier task that the last stage's model came of; Holm over all of them.

    Language models say what they forgot by themselves (V009), and have no head that could be put back.
    """
    last = stages[-1]
    earlier = [one for one in came_of(last, {node.name: node for node in stages}) if one.recipe.task not in LANGUAGE]
    if not earlier or last.recipe.task in LANGUAGE:
        return []
    measured, found = dict[str, Comparison](), list[Finding]()
    for node in earlier:
        try:
            measured[node.name] = _after(recipe, place(node.name), place(last.name), last.name)
        except UserError as error:
            found.append(Finding("X026", "not_applicable", str(error), node.name))
    corrected = with_holm(list(measured.values()))
    for name, one in zip(measured, corrected, strict=True):
        found.append(_finding(name, one, last.name, recipe.evaluation.alpha))
    return found


def _after(recipe: Recipe, earlier: RunFolder, later: RunFolder, name: str) -> Comparison:
    """The earlier task's test rows by its own head on the later trunk, against what its own model said.

    :raises UserError: M080, the trunks are not of the same weights; M068, the later one is no trunk by itself; M030 and
        on, a model cannot be loaded.
    """
    before = stage_results.model_of(earlier)
    model = TrainedModel.load(kept_models(earlier)[before])
    kept = tie(trunk_left(kept_models(later)[stage_results.model_of(later)]), model.model)
    _refuse_half(name, [weight for weight in kept if weight.partition(".")[0] != POOLER])
    rows = reading.reopen(earlier.data).splits["test"]
    now = replace(model.predict(rows), model=f"after {name}")
    metric, wanted = str(read_json(earlier.scores)["primary"]), recipe.evaluation
    own = load_predictions(earlier.predictions(before, "test"))
    return compare(now, own, metric, seed=recipe.seed, num_resamples=wanted.resamples, level=1 - wanted.alpha)


def trunk_left(folder: Path) -> TaskModel:
    """A saved model whose trunk has the weights that it computes with: adapters are merged, few bits made whole again.

    :raises UserError: M068, what is read before a text cannot be merged into weights; as
        :func:`whet.models.saving.load`.
    """
    about = load_about(folder)
    if about.kind != "adapter":
        model = TrainedModel.load(folder).model
        if model.quantised is not None:
            quantising.restore(model)
        return model
    kind = mixing.look(folder).kind
    if kind not in MERGED:
        what = f"is an adapter of kind {kind}: no earlier head can be put on it, since it is no trunk by itself."
        raise UserError(Problem("M068", str(folder), what, "Train the last stage by lora, or by full."))
    model, adapted, _ = saving.load_adapted(folder, about, whole=about.quantisation is not None)
    model.network = adapted.merge_and_unload()
    model.eval()
    return model


def _refuse_half(later: str, own: Sequence[str]) -> None:
    """:raises UserError: M080, some weights of the earlier trunk would stand among those of the later one."""
    if own:
        what = f"has no weights for {len(own):,} of an earlier trunk, such as {own[0]}: its head cannot be asked on it."
        raise UserError(Problem("M080", f"stage {later!r}", what, "Keep vocabulary and base as they were."))


def _finding(name: str, one: Comparison, last: str, alpha: float) -> Finding:
    low, high = (number(end, one.metric) for end in (one.low, one.high))
    told = f"{amount(abs(one.difference), one.metric)} ({low} to {high}, p = {one.p_holm:.3g} after Holm)"
    if one.p_holm >= alpha:
        message = f"With the trunk that {last} left, {name} is as before, as far as its test rows tell: {told} apart."
        return Finding("X026", "passed", message, name, "", one.to_json())
    if one.gain > 0:
        message = f"With the trunk that {last} left, {name} is better by {told}."
        return Finding("X026", "passed", message, name, "", one.to_json())
    message = f"With the trunk that {last} left, {name} is worse by {told}: it was forgotten."
    remedy = "Keep a model for each task, learn them together (tasks), or use method lora and lower rates."
    return Finding("X026", "issue", message, name, remedy, one.to_json())
