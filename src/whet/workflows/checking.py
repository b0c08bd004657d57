"""The check of a recipe: everything that a run does before it trains, in a folder that is thrown away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from whet import folder as folders
from whet.data import reading
from whet.engine.events import Event
from whet.folder import RunFolder
from whet.recipe import Recipe, expanding
from whet.recipe.resolve import Choice, resolve
from whet.recipe.rules import concerns, matters
from whet.recipe.search import SearchRecipe
from whet.recipe.space import base_in_words
from whet.workflows import preparing, selecting, series, sweep_stages, sweep_starting, sweeping, together
from whet.workflows.events import Said
from whet.workflows.fit import fit
from whet.workflows.nodes import Node, nodes_of
from whet.workflows.rows import Tell, never
from whet.workflows.running import Running
from whet.workflows.series import Series

Choices = dict[str, Choice]
"""Every option by its dotted name."""
WHAT = {"base": "the model", "distillation.teacher": "the model", "selection.target": "the training texts"}
"""What an option that names a stage takes of it."""


def check(recipe: Recipe, tell: Tell) -> Choices:
    """Every option that has an effect on a training by a recipe, with its value in a run and the reason.

    Of one that asks for a search: also whether it can be searched, and what ``auto`` draws from.

    :raises UserError: whatever the run itself would stop at before training.
    """
    is_search = recipe.search != SearchRecipe()
    if is_search:
        sweep_starting.refuse(recipe)
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        run = Running(recipe, RunFolder(Path(work)), tell, never)
        list(preparing.read(run))  # what a run would say meanwhile is in the reasons
        if recipe.selection.way != "none":
            selecting.refuse_target(run, str(recipe.selection.target))
        found = _decided(run, recipe)
        return found | (_drawn_from(run, found["search.space"]) if is_search else {})


def check_parts(recipe: Recipe, tell: Tell) -> dict[str, Choices]:
    """The same of each stage of a recipe, or of each task, by its name.

    The rows of all of them are read first, and of controls with rows of their own: nothing else of a control differs
    in a way that could be refused.

    :raises UserError: whatever the series would stop at before its first training; O005, a search that cannot be.
    """
    is_search = recipe.search != SearchRecipe()
    if is_search:
        sweep_starting.refuse(recipe)
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        folder = folders.create(Path(work) / "run", version("whet"))
        known = Series(recipe, folder, tell, never, fit)
        list(series.look_ahead(known))
        runs = {node.name: known.begun(node) for node in known.stages}
        found, told = dict[str, Choices](), series.Refused(known)
        for node in known.stages:
            with told.of(node):
                found[node.name] = _decided(runs[node.name], node.recipe) | _named(node)
                if is_search and node is known.stages[-1]:
                    found[node.name] |= _drawn_from(
                        runs[node.name], found[node.name]["search.space"], sweep_stages.bases(recipe, folder)
                    )
        told.raise_if_any()
        if recipe.tasks:
            together.refuse(together.Joint(recipe, folder, runs, never))
        return found


def not_taken(recipe: Recipe) -> dict[str, list[str]]:
    """Options of each stage, by its name, that are set above for stages of another kind, and have an effect on it."""
    tasks = {node.name: node.recipe.task for node in nodes_of(recipe)} if recipe.stages else {}
    left = expanding.not_taken(recipe)
    found = {name: [option for option in left[name] if concerns(option, tasks[name])] for name in left}
    return {name: options for name, options in found.items() if options}


def runs_of(recipe: Recipe) -> list[str]:
    """The names of all runs of a recipe of several, those of controls and further seeds among them."""
    return [node.name for node in nodes_of(recipe)]


def _decided(run: Running, recipe: Recipe) -> Choices:
    """What every option becomes that has an effect on a training by ``recipe``, whose rows ``run`` has read.

    :param recipe: that of ``run``, but for names of stages in place of what they will leave.
    """
    if recipe.selection.way != "none":
        selecting.stand_in(run)
    for stage in (preparing.look, preparing.encode, preparing.decide):
        list(stage(run))
    found = {**resolve(recipe, preparing.facts_of(run)), **_columns(run.data)}
    method = str(found["method"].value)
    return {name: choice for name, choice in found.items() if matters(name, recipe.task, method)}


def _named(node: Node) -> Choices:
    """Options of a stage that name another one."""
    return {option: Choice(name, f"{WHAT[option]} of stage {name!r}") for option, name in node.needs.items()}


def _columns(data: reading.ReadResult) -> Choices:
    """The columns that reading chose, and why."""
    chosen = {"text": data.columns.text, "text_pair": data.columns.text_pair, "label": data.columns.label}
    return {
        f"data.{name}": Choice(column, data.columns.reasons.get(name, "rows have one text"))
        for name, column in chosen.items()
    }


def _drawn_from(run: Running, wanted: Choice, bases: Sequence[str] = ()) -> Choices:
    """What a search draws from; of a space that is given, whether the base takes its methods."""
    spaces, said = list[Any](), list[str]()

    def working() -> Iterator[Event]:
        spaces.append((yield from sweeping.drawn_from(run, bases)))

    for event in working():
        if isinstance(event, Said):
            said.append(event.message)
    if wanted.value != "auto":
        return {"search.space": wanted}
    value = {one.name: _without_name(one.to_json()) for one in spaces[0][1]}
    reason = "; ".join(["methods that fit the base, and values around those that auto takes", *said])
    return {"search.space": Choice(value, reason)}


def _without_name(dimension: Mapping[str, Any]) -> Any:
    """A dimension as a recipe writes it: its choices, or the ends of its range."""
    if "choices" in dimension:
        return [base_in_words(one) if dimension["option"] == "base" else one for one in dimension["choices"]]
    return {name: dimension[name] for name in ("low", "high", "log", "step") if dimension[name] not in (None, False)}
