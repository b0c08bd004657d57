"""From a recipe to a model with its evidence. Read this first: a run is this function, top to bottom."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from whet.engine.events import Event
from whet.errors import UserError
from whet.files import append_jsonl
from whet.folder import RunFolder
from whet.models import saving
from whet.recipe import Recipe
from whet.report import write_card, write_report
from whet.store.index import forget_run, note_run
from whet.workflows import (
    distilling,
    evaluating,
    forgetting,
    judging,
    making,
    preferring,
    preparing,
    retaining,
    selecting,
    series,
    shipping,
    students,
    suspecting,
    together,
    training,
    usage,
)
from whet.workflows.events import Said
from whet.workflows.recording import on_this_machine, recorded
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.together import Joint


def fit(recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Carry out a checked recipe; yield what happens; leave a complete run folder behind.

    Stages that an earlier process finished are not done again. A recipe of several trainings is carried out by
    :mod:`whet.workflows.series`, each of them by this function.

    :raises Interrupted: ``should_stop`` said so; everything needed to go on is in the folder.
    """
    if recipe.stages or recipe.tasks:
        yield from series.carry_out(recipe, folder, tell, should_stop, fit, fit_together)
        return
    run = Running(recipe, folder, tell, should_stop)
    with _recorded(run):
        yield from _kept(run, stages(run))


def stages(run: Running) -> Iterator[Event]:
    """Everything that a run does, in its order; what is done already is skipped."""
    yield from _before(run)
    for name in run.models:
        yield from making.make(run, name)
    yield from _after(run)


def fit_together(joint: Joint) -> Iterator[Event]:
    """The same of several runs at once, whose tasks share a model beside those that they have for themselves."""
    with contextlib.ExitStack() as recorded:
        for run in joint.tasks.values():
            recorded.enter_context(_recorded(run))
        for run in joint.tasks.values():
            yield from _kept(run, _before(run))
        together.refuse(joint)
        for run in joint.tasks.values():
            for name in run.models:
                if name != together.NAME:
                    yield from _kept(run, making.make(run, name))
        yield from together.learn(joint)
        for run in joint.tasks.values():
            yield from _kept(run, _after(run))


def _kept(run: Running, events: Iterator[Event]) -> Iterator[Event]:
    """Events, put into the run's record as they pass."""
    for event in events:
        row = event.to_json()
        if row["kind"] != "said":
            append_jsonl(run.folder.events, [row])
        yield event


def _before(run: Running) -> Iterator[Event]:
    """All that comes before a model is trained."""
    stage, recipe = run.stage, run.recipe
    if students.wanted(recipe):
        yield from stage("shrink", partial(students.make, run))
    yield from stage("read", partial(preparing.read, run))
    for problem in note_run(run.folder.path):
        yield Said(str(problem))
    if recipe.selection.way != "none":
        yield from stage("choose rows", partial(selecting.select, run))
    yield from stage("audit", partial(preparing.look, run))
    yield from stage("encode", partial(preparing.encode, run))
    yield from stage("decide", partial(preparing.decide, run))
    yield from making.ready(run)
    yield from stage("prove", partial(preparing.prove, run))
    yield from stage("foresee", partial(preparing.foresee, run))
    if recipe.forgetting.measure and recipe.forgetting.limit is not None:
        yield from stage("know", partial(forgetting.check_base, run))

    baselines: list[str] = list(run.value("evaluation.baselines"))
    for name in baselines:
        if name != "probe":
            yield from stage(f"baseline {name}", partial(evaluating.baseline, run, name))
    if distilling.wanted(run) and retaining.can_stand_beside(run):
        yield from stage("teacher beside", partial(retaining.score_teacher, run))
    run.release()

    if suspecting.wanted(run):
        yield from stage("label noise", partial(suspecting.look, run))


def _after(run: Running) -> Iterator[Event]:
    """All that comes after: models are kept, measured and judged."""
    stage, recipe, models = run.stage, run.recipe, run.models
    baselines: list[str] = list(run.value("evaluation.baselines"))
    for name in models:
        yield from stage(f"keep {name}", partial(shipping.keep, run, name))
    if preferring.sampled(run):
        yield from stage("sample answers", partial(preferring.sample, run, models))
    if recipe.forgetting.measure:
        yield from stage("forgetting", partial(forgetting.measure, run, models))

    scored = [*(name for name in baselines if name != "probe"), *models, *retaining.beside(run)]
    rivals = [name for name in baselines if name in scored]
    yield from stage("score", partial(evaluating.score, run, scored, rivals))
    if distilling.wanted(run):
        yield from stage("retain", partial(retaining.retain, run))
    yield from stage("judge", partial(evaluating.judge, run, rivals, models))
    yield from stage("ship", partial(shipping.ship, run, models))
    if judging.wanted(run):  # the verdict does not rest on it
        yield from stage("ask the judge", partial(judging.judge, run, rivals, models))
    yield from stage("report", partial(_report, run))


LIBRARIES = {"own": "transformers", "adapter": "peft", "sentence": "sentence-transformers"}
"""How a model is saved -> what loads it, as the hub names libraries."""


def _report(run: Running) -> Iterator[Event]:
    about = saving.load_about(run.folder.model)
    known = usage.usage(about, run.place.known_as)
    base = run.place.hub_id
    library = LIBRARIES[about.kind]
    write_card(run.folder.path, known, base_model=base, model_name=run.folder.path.name, library=library)
    write_report(run.folder.path)
    yield Said(f"report: {run.folder.report}")


def _recorded(run: Running) -> contextlib.AbstractContextManager[None]:
    """Keep the run's state true to what happens, and its entry in the store."""
    folder = run.folder
    begun = on_this_machine(folder)

    def undone(error: BaseException) -> bool:
        # it came to nothing that could be gone on with, or has to be asked for otherwise: leave nothing behind
        refused = isinstance(error, UserError) and not (folder.stages / "encode.json").exists()
        if not begun or not (refused or not folder.stages.exists()):
            return False
        noted = folder.stages.exists()  # a run is noted in the index once its rows are read
        shutil.rmtree(folder.path, ignore_errors=True)
        if noted:
            forget_run(folder.path)
        return True

    def ended() -> dict[str, str]:
        for place in (folder.checkpoints, folder.path / "tokens", folder.reference):
            training.forget_checkpoints(place)
        return {}

    return recorded(run.recipe, folder, undone, ended)
