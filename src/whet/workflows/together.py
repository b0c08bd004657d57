"""Several tasks learnt together over one trunk; each keeps a run of its own, with all of its evidence.

::

    RUN/recipe.yaml  state.json  stages.json  findings.json  report.html  checkpoints/
    RUN/runs/TASK/   a run as any other, with one more model: ``together``

Every task is prepared by itself, and trained alone as a control unless ``mixing.control`` is false. Then one model of
several heads is trained on batches of all tasks in turn, and each task's run goes on with its own part of it: what is
predicted, saved, forgotten and judged there is what it would be of any other model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from whet.batches.mixture import Mixture, turns
from whet.data.predictions import load as load_predictions
from whet.engine import memory
from whet.engine.checkpoint import FolderKeeper
from whet.engine.events import Ended, Evaluated, Event
from whet.engine.loop import Plan, train
from whet.engine.optimisation import Group
from whet.engine.precision import Weights
from whet.engine.protocols import Evaluation
from whet.errors import Problem, UserError
from whet.evaluation.paired import Comparison, compare, with_holm
from whet.evaluation.wording import amount, number
from whet.files import append_jsonl, read_json, write_json
from whet.findings import Finding
from whet.folder import RunFolder
from whet.models.adaptations import exact_names
from whet.models.sharing import Shared
from whet.objectives.several import Several
from whet.recipe import Recipe
from whet.recipe.mixing import OF_ALL
from whet.recipe.rules import OF_SOME_METHODS
from whet.workflows import interpolating, regularising, stage_results, training
from whet.workflows.events import OfModel, Said, StageFinished, StageStarted
from whet.workflows.running import Running

NAME = "together"
"""The model of several heads, in the run of each of its tasks."""
ENDED = ("completed", "patience")
"""How a training ends that came to an end of its own."""
ALIKE = ("method", "training.precision", "lora.rank", "lora.alpha", "layers.top")
"""What must have become the same for all tasks, or their weights would not be of one shape."""


@dataclass(frozen=True, slots=True)
class Joint:
    """Tasks by name, and the one training that they share; ``recipe`` and ``folder`` are those of the whole."""

    recipe: Recipe
    folder: RunFolder
    tasks: Mapping[str, Running]
    should_stop: Callable[[], bool]

    @property
    def first(self) -> Running:
        """The run of the first task, whose rates hold for the trunk."""
        return next(iter(self.tasks.values()))

    @property
    def by_spread(self) -> bool:
        """Whether losses are weighed by their variance."""
        return self.recipe.mixing.by == "uncertainty"


def refuse(joint: Joint) -> None:
    """:raises UserError: R093, ``auto`` became something else for one task than for another."""
    problems = []
    methods = {str(run.value("method")) for run in joint.tasks.values()}
    for option in ALIKE:
        if not methods & set(OF_SOME_METHODS.get(option, OF_SOME_METHODS.get(option.partition(".")[0], methods))):
            continue  # no method has any use for it
        became = {task: run.value(option) for task, run in joint.tasks.items()}
        if len(set(map(str, became.values()))) > 1:
            told = ", ".join(f"{value!r} for {task}" for task, value in became.items())
            what = f"became {told}, and one trunk needs one value."
            where = "at the top of the recipe" if option in OF_ALL else "to the same value in every task"
            problems.append(Problem("R093", option, what, f"Set {option} {where}."))
    if problems:
        raise UserError(problems)


def learn(joint: Joint) -> Iterator[Event]:
    """Train the shared model, and give each task's run its part; what is done is not done again."""
    marks = [run.folder.stages / f"train {NAME}.json" for run in joint.tasks.values()]
    if all(mark.exists() for mark in marks):
        yield StageFinished(f"train {NAME}", float(read_json(marks[0])["seconds"]), skipped=True)
    else:
        yield StageStarted(f"train {NAME}")
        start = time.monotonic()
        yield from _trained(joint)
        for mark in marks:
            write_json(mark, {"seconds": round(time.monotonic() - start, 3)})
        yield StageFinished(f"train {NAME}", time.monotonic() - start)
        training.forget_checkpoints(joint.folder.checkpoints)
    if joint.recipe.forgetting.interpolate:
        for run in joint.tasks.values():
            yield from run.stage(f"interpolate {NAME}", partial(interpolating.interpolate, run, NAME))


def _trained(joint: Joint) -> Iterator[Event]:
    memory.count_anew()
    seed = training.seed_of(joint.first, NAME, 0)
    shared, batches = _model(joint, seed), _batches(joint, seed)
    exact = [f"models.{task}.{name}" for task, run in joint.tasks.items() for name in exact_names(shared.of(task))]
    weights = Weights(shared, joint.first.dtype, exact=["spread", *exact])
    plan, looks = _plan(joint, batches, seed), _Looks(joint, shared)
    yield Said(_in_words(plan, batches))
    if shared.alone:
        yield Said(f"  not shared, since not every task has them: {', '.join(shared.alone)}")
    for task in joint.tasks:
        for note in training.declined(shared.of(task)):
            yield OfModel(NAME, note)
    shared.train()
    keeper = FolderKeeper(joint.folder.checkpoints / NAME)
    objective = Several({task: regularising.objective(run) for task, run in joint.tasks.items()}, joint.by_spread)
    groups = _groups(joint, shared, weights)
    for event in train(weights, groups, objective, batches, plan, looks, keeper, shared.reseed, joint.should_stop):
        _note(joint, event, looks)
        yield OfModel(NAME, event)
        if isinstance(event, Ended):
            _hand_over(joint, shared, keeper, event.to_json() | {"peak_bytes": memory.peak()})


def _in_words(plan: Plan, batches: Mixture) -> str:
    epochs = plan.num_steps / batches.per_epoch
    passes = {task: epochs * count / batches.tasks[task].per_epoch for task, count in batches.turns.items()}
    told = ", ".join(f"{value:.3g} over those of {task}" for task, value in passes.items())
    return f"{NAME}: {plan.num_steps:,} steps, as many as all tasks have alone; passes over rows: {told}"


def _model(joint: Joint, seed: int) -> Shared:
    """The models of all tasks over one trunk, each with its head where it would start alone."""
    models = {task: training.prepared(run, run.method_of(NAME), seed)[0] for task, run in joint.tasks.items()}
    return Shared(models, joint.by_spread)


def _batches(joint: Joint, seed: int) -> Mixture:
    rows = {task: regularising.plain_batches(run, seed) for task, run in joint.tasks.items()}
    sizes = {task: one.per_epoch for task, one in rows.items()}
    wanted = joint.recipe.mixing
    return Mixture(rows, turns(sizes, wanted.temperature if wanted.by == "temperature" else 1.0), seed)


def _plan(joint: Joint, batches: Mixture, seed: int) -> Plan:
    """As the first task's, with as many steps as all tasks have alone."""
    steps = {task: training.plan_of(run, batches.tasks[task], seed) for task, run in joint.tasks.items()}
    first = next(iter(steps.values()))
    return replace(
        first,
        num_steps=sum(plan.num_steps for plan in steps.values()),
        evaluate_every=max(1, round(batches.per_epoch / joint.recipe.training.evaluations_per_epoch)),
        micro_batch_tokens=max(plan.micro_batch_tokens for plan in steps.values()),
    )


def _groups(joint: Joint, shared: Shared, weights: Weights) -> list[Group]:
    """The weights that move: those of the trunk once, at the first task's rate, and the head of each."""
    names = {id(parameter): name for name, parameter in shared.named_parameters()}
    found, taken = list[Group](), set[int]()
    for task, run in joint.tasks.items():
        model = shared.of(task)
        masters = {name: weights.masters[names[id(p)]] for name, p in model.named_parameters() if p.requires_grad}
        for group in training.groups(run, model, masters):
            own = [(f"{task}/{name}", one) for name, one in group.parameters if id(one) not in taken]
            taken.update(id(one) for _, one in own)
            found.append(Group(f"{task}: {group.name}", own, group.learning_rate, group.weight_decay))
    if joint.by_spread:
        rate = float(joint.first.value("training.head_learning_rate"))
        found.append(Group("spread", [("spread", weights.masters["spread"])], rate, 0.0))
    return [group for group in found if group.parameters]


class _Looks:
    """Looks at validation of every task; the best state is that of the best mean of their quick scores."""

    def __init__(self, joint: Joint, shared: Shared) -> None:
        self.each = {task: training.Look(run, shared.of(task)) for task, run in joint.tasks.items()}
        self.seen: dict[str, Evaluation] = {}

    def __call__(self) -> Evaluation:
        """The mean over tasks."""
        self.seen = {task: look() for task, look in self.each.items()}
        score = float(np.mean([one.score for one in self.seen.values()]))
        tie = float(np.mean([one.tie_break for one in self.seen.values()]))
        loss = float(np.mean([one.numbers["loss"] for one in self.seen.values()]))
        return Evaluation(score, tie, {"loss": loss, **{task: one.score for task, one in self.seen.items()}})


def _note(joint: Joint, event: Event, looks: _Looks) -> None:
    """Into the record of each task's run what happened, a look with its own numbers."""
    for task, run in joint.tasks.items():
        own = event
        if isinstance(event, Evaluated):
            own = Evaluated(event.step, event.epoch, event.best, looks.seen[task].numbers)
        append_jsonl(run.folder.events, [OfModel(NAME, own).to_json()])


def _hand_over(joint: Joint, shared: Shared, keeper: FolderKeeper, ended: dict[str, Any]) -> None:
    """The best state of each task's model as a training of its own would have left it."""
    kept = keeper.load("best")
    assert kept is not None
    tensors, progress = kept
    weighed = {"loss_weights": _loss_weights(joint, tensors["spread"])} if joint.by_spread else {}
    for task, run in joint.tasks.items():
        own = FolderKeeper(run.folder.checkpoints / NAME / "0")
        own.save("best", shared.state_of(task, tensors), progress)
        write_json(own.folder / "outcome.json", {**ended, **weighed, "attempt": 0, "failed": False})


def _loss_weights(joint: Joint, spread: Tensor) -> dict[str, float]:
    """What the loss of each task is multiplied by, exp(-s) of its log variance s (arXiv 1705.07115)."""
    return {task: float(one) for task, one in zip(joint.tasks, (-spread.double()).exp(), strict=True)}


# --- what came of it ----------------------------------------------------------------------------------


def findings(recipe: Recipe, places: Mapping[str, RunFolder]) -> list[Finding]:
    """X025 of each task: whether it gained by the others, on its own test rows, with Holm over all tasks; and X027."""
    learnt = _weights(places) if recipe.mixing.by == "uncertainty" else []
    if not recipe.mixing.control:
        why = "mixing.control is false, so that no task was trained alone to hold it against."
        return [*(Finding("X025", "not_applicable", why, task) for task in places), *learnt]
    wanted, found = recipe.evaluation, dict[str, Comparison]()
    for task, place in places.items():
        shared, alone = (
            load_predictions(place.predictions(name, "test")) for name in (NAME, stage_results.trained(place))
        )
        metric = str(read_json(place.scores)["primary"])
        found[task] = compare(
            shared, alone, metric, seed=recipe.seed, num_resamples=wanted.resamples, level=1 - wanted.alpha
        )
    corrected = with_holm(list(found.values()))
    pairs = zip(places.items(), corrected, strict=True)
    return [*(_finding(task, one, wanted.alpha, _cut_short(place)) for (task, place), one in pairs), *learnt]


def _cut_short(place: RunFolder) -> list[str]:
    """Which of the two trainings of a task did not come to their own end, and why, in words."""
    found = []
    for name, words in ((NAME, "the training of all tasks"), (stage_results.trained(place), "its training alone")):
        facts = read_json(place.facts(name))
        if facts["ended"] not in ENDED:
            found.append(f"{words} was cut short ({facts['ended']}, after {facts['steps']:,} steps)")
    return found


def _finding(task: str, one: Comparison, alpha: float, cut_short: Sequence[str] = ()) -> Finding:
    """X025; the difference and both ends of its interval count in the direction that the sentence names."""
    ends = sorted(float(np.copysign(1.0, one.difference)) * end for end in (one.low, one.high))
    low, high = (number(end, one.metric) for end in ends)
    told = f"{amount(abs(one.difference), one.metric)} ({low} to {high}, p = {one.p_holm:.3g} after Holm)"
    stands = f"it is {told} {'better' if one.gain > 0 else 'worse'} than alone."
    if cut_short:
        message = f"{task}: whether it gains by learning with the others is not judged, for {' and '.join(cut_short)}; "
        remedy = "Raise training.max_seconds, so that both trainings come to their end."
        return Finding("X025", "not_applicable", f"{message}as it is, {stands}", task, remedy, one.to_json())
    if one.p_holm >= alpha:
        message = f"{task}: whether it gains by learning with the others cannot be told: {stands}"
        return Finding("X025", "tip", message, task, "More test rows would tell.", one.to_json())
    if one.gain > 0:
        return Finding("X025", "passed", f"{task} gains {told} by learning with the others.", task, "", one.to_json())
    remedy = "Use the model that it has alone; or change mixing.by, so that it has more turns."
    return Finding("X025", "issue", f"{task} loses {told} by learning with the others.", task, remedy, one.to_json())


def _weights(places: Mapping[str, RunFolder]) -> list[Finding]:
    """X027: what the losses of tasks were weighed by in the end, where that was learnt; every run knows it of all."""
    known = read_json(next(iter(places.values())).facts(NAME)).get("loss_weights")
    if known is None:
        return []
    told = ", ".join(f"{task} {weight:.3g}" for task, weight in known.items())
    message = f"What each task's loss was multiplied by in the kept state, as it was learnt from 1: {told}."
    return [Finding("X027", "passed", message, NAME, "", {"weights": known})]
