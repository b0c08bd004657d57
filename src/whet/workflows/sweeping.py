"""``whet sweep``: settings of a recipe tried one after the other, and what the best of them are worth. Read this first.

RUN/ is a run folder: it holds the rows, the baselines and what came out. Every trial is a run folder in RUN/trials,
further seeds of the best in RUN/seeds; vectors of the frozen base, computed once, in RUN/vectors. The study itself lies
in the store (:mod:`whet.store.studies`). Several machines may work on one sweep where they share the folder and the
store is a PostgreSQL server: each calls ``whet sweep --resume RUN``.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from whet import folder as folders
from whet.engine.events import Event
from whet.errors import Interrupted, Problem, UserError
from whet.evaluation.finalists import Chosen
from whet.evaluation.measures import MEASURES
from whet.files import Lock, read_json, sweep, write_json, write_text
from whet.folder import FAILED, FINISHED, INTERRUPTED, RUNNING, RunFolder, now
from whet.models import adaptations
from whet.recipe import Recipe, dump
from whet.recipe.resolve import resolve
from whet.recipe.search import SearchRecipe
from whet.recipe.space import SEARCHED, Dimension, Setting, dimensions, methods_of, usual
from whet.report import sweep_page
from whet.store import studies
from whet.store.index import note_run
from whet.workflows import environment, preparing, sweep_finals, sweep_trial, sweep_workers, training, using
from whet.workflows.events import Said, StageFinished
from whet.workflows.fit import stages
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.sweep_clock import Clock
from whet.workflows.sweep_finals import Closing, Finalist
from whet.workflows.sweep_findings import findings
from whet.workflows.sweep_study import Study, Tried, hash_of, write_trials
from whet.workflows.sweep_trial import Hearing, Hopeless, OutOfTime

SPACE = "space.json"
RESULT = "sweep.json"
CHANGEABLE = ("trials", "minutes", "seeds", "finalists", "workers", "pruner")
"""Options of the search that may be others when a sweep goes on."""


def refuse(recipe: Recipe) -> None:
    """What no search can do, before anything is read.

    :raises UserError: O001 no Optuna, O005 a recipe of several trainings, O006 an unknown metric, O008 nothing to
        search.
    """
    studies.refuse_without_optuna()
    found = []
    if getattr(recipe, "stages", None):
        remedy = "Search over the recipe of one stage, with the model of the stage before as base."
        found.append(Problem("O005", "stages", "a recipe of several trainings cannot be searched as a whole.", remedy))
    if recipe.search.metric not in ("auto", *MEASURES):
        remedy = f"Use auto, or one of {', '.join(sorted(MEASURES))}."
        found.append(Problem("O006", "search.metric", f"{recipe.search.metric!r} is no metric.", remedy))
    if recipe.method == "probe" and (recipe.search.space == "auto" or "method" not in recipe.search.space):
        what = "is 'probe', which has nothing to search: it is fitted to its end."
        found.append(Problem("O008", "method", what, "Set method to auto, full or lora."))
    if found:
        raise UserError(found)


def carry_out(recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Search, judge, and leave sweep.json and sweep.html; what is done already is not done again.

    :raises Interrupted: ``should_stop`` said so; everything needed to go on is in the folder and in the store.
    :raises UserError: what the recipe or the rows refuse; O007, every trial failed.
    """
    refuse(recipe)
    lock = Lock(folder.path)
    try:
        lock.__enter__()
    except UserError:
        yield Said("another process leads this sweep: helping it with trials")
        yield from help_with(folder, tell, should_stop)
        return
    try:
        with _recorded(recipe, folder):
            yield from _led(recipe, folder, tell, should_stop)
    finally:
        lock.__exit__()


def help_with(folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Try settings of a sweep that another process leads, until none is left."""
    from whet.recipe import load

    recipe = load(folder.recipe)
    if not (folder.path / SPACE).exists():
        what = "is still being prepared by another process."
        raise UserError(Problem("O009", str(folder.path), what, "Wait until its first trial begins."))
    study = _study(recipe, folder)
    yield from _trials(study, Clock(folder, recipe.search, leads=False), tell, should_stop)


def _led(recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    clock = Clock(folder, recipe.search, leads=True)
    yield from _prepared(recipe, folder, tell, should_stop)
    study = _study(recipe, folder)
    with sweep_workers.helpers(folder, recipe.search.workers) as others:
        yield from _trials(study, clock, tell, should_stop)
        yield from sweep_workers.awaited(study, others, should_stop)
    tried = study.trials()
    write_trials(study, folder.path / "trials.json")
    found = sweep_finals.chosen(tried, recipe.search.finalists)
    if not found:
        raise _all_failed(tried)
    yield Said(f"finalists: {', '.join(f'trial {one.number}' for one in found)}")
    closing = Closing(recipe, folder, tell, should_stop, clock.is_over, _vectors(folder))
    finalists = [_finalist(study, one) for one in found]
    yield from sweep_finals.whole(closing, finalists)
    yield from sweep_finals.baselines(closing)
    yield from _concluded(closing, study, finalists, clock)


# --- before the first trial ---------------------------------------------------------------------------


def _prepared(recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Rows, tokens and decisions that all trials begin from; and the space, written once."""
    run = Running(recipe, folder, tell, should_stop)
    for event in stages(run):
        yield event
        if isinstance(event, StageFinished) and event.stage == "decide":
            break
    path = folder.path / SPACE
    if not path.exists():
        methods, space = yield from _space(run)
        known = {"recipe": hash_of(recipe), "methods": list(methods), "dimensions": [asdict(one) for one in space]}
        studies_begun = Study(recipe, folder, space, methods, new=True)
        write_json(path, known)
        yield Said(f"search: {studies_begun.wanted} trials over {', '.join(one.name for one in space)}")
    _vectors(folder).mkdir(exist_ok=True)


def _space(run: Running) -> Any:
    """The methods that are tried and what is drawn for them; a generator that says which are left out."""
    recipe = run.recipe
    named = methods_of(recipe)
    methods: list[str] = [str(run.value("method"))] if named == ("auto",) else list(named)
    is_usual = recipe.search.space == "auto" and methods == list(SEARCHED)
    for method in list(methods):
        try:
            _refuse_method(run, method)
        except UserError as error:
            if not is_usual or len(methods) == 1:
                raise
            methods.remove(method)
            yield Said(f"{method} is not tried: {error}")
    if recipe.search.space != "auto":
        return methods, dimensions(recipe)
    rates = {one: _rate(run, one) for one in methods}
    return methods, usual(methods, rates, float(run.value("training.epochs")))


def _refuse_method(run: Running, method: str) -> None:
    """:raises UserError: the base does not take a method; told before the first trial."""
    if method not in ("probe", "auto"):
        model = run.new_model(run.recipe.seed)
        adaptations.adapt(model, method, training.options_of(run, method), run.place.known_as, run.recipe.seed)


def _rate(run: Running, method: str) -> float:
    """What 'auto' takes as the rate of a method."""
    training_ = run.recipe.training.model_copy(update={"learning_rate": "auto"})
    plain = run.recipe.model_copy(update={"method": method, "training": training_})
    return float(resolve(plain, preparing.facts_of(run))["training.learning_rate"].value)


def _study(recipe: Recipe, folder: RunFolder) -> Study:
    """The study that :func:`_prepared` began.

    :raises UserError: O002, it is of another recipe; O003, the store does not know it.
    """
    known = read_json(folder.path / SPACE)
    space = [Dimension(**{**one, "choices": tuple(one["choices"])}) for one in known["dimensions"]]
    return Study(recipe, folder, space, known["methods"], new=False)


def _vectors(folder: RunFolder) -> Path:
    return folder.path / "vectors"


# --- trials -------------------------------------------------------------------------------------------


def _trials(study: Study, clock: Clock, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    """Try settings until there are as many as wanted, or no time for another.

    :raises Interrupted: asked to stop.
    """
    while True:
        if should_stop():
            raise Interrupted
        with study.claimed(clock.has_room(study.trials())) as claim:
            if claim is None:
                return
            number, setting = claim
            yield Said(f"trial {number} of {study.wanted}: {_words(setting)}")
            yield from _one(study, number, setting, clock, tell, should_stop)
        yield Said(f"  {_outcome(study.trials()[number - 1], study.recipe)}")
        _tidy(study)


def _one(
    study: Study, number: int, setting: Setting, clock: Clock, tell: Tell, should_stop: Callable[[], bool]
) -> Iterator[Event]:
    """One trial from its setting to what the study is told."""
    place = study.place(number)
    try:
        recipe = sweep_trial.recipe_of(study.recipe, setting)
        sweep_trial.prepare(recipe, place, study.folder, setting)
        until = study.trials()

        def look(share: float, best: float) -> bool:
            clock.beat()
            study.report(number, share, best)
            return study.is_hopeless(number, share, best)

        hearing = Hearing(look, lambda: clock.is_late(until), should_stop)
        yield from sweep_trial.carry_out(recipe, place, _vectors(study.folder), tell, hearing)
        found = sweep_trial.result(recipe, place, study.recipe.search.metric)
        why = "no better than a constant answer" if found.failed else ""
        about = {"seconds": found.seconds, "ended": found.ended, "model": found.model, "why": why}
        study.tell(number, "complete", found.value, **about)
    except Hopeless:
        seconds = sum(Running(study.recipe, place, tell, should_stop).seconds().values())
        study.tell(number, "pruned", why="worse than half of the others by then", seconds=seconds)
    except OutOfTime:
        study.tell(number, "failed", why="the time was over before it was trained")
    except Interrupted:
        raise
    except UserError as error:
        study.tell(number, "failed", why=str(error))
    except Exception as error:  # one setting that breaks a library must not end the search; it is counted
        study.tell(number, "failed", why=f"{type(error).__name__}: {error}")


def _tidy(study: Study) -> None:
    """Throw away the states of trials that are not among the best so far."""
    trials = study.trials()
    best = {one.number for one in sweep_finals.chosen(trials, study.recipe.search.finalists)}
    for one in trials:
        place = study.place(one.number)
        if one.state != "running" and one.number not in best and (place.path / "tokens").exists():
            sweep_trial.throw_away(place)


def _finalist(study: Study, one: Tried) -> Finalist:
    place = study.place(one.number)
    resolved = Running(study.recipe, place, lambda *_: None, lambda: False)
    return Finalist(one, str(resolved.value("method")), [place], [])


def _words(setting: Mapping[str, Any]) -> str:
    """``lora, training.learning_rate 0.00123``."""
    return sweep_page.shown(setting) if setting else "the recipe as it stands"


def _outcome(one: Tried, recipe: Recipe) -> str:
    if one.state != "complete" or one.value is None:
        return f"{'given up' if one.state == 'pruned' else one.state}: {one.why}"
    cut = ", stopped by the time there was" if one.ended == "max_seconds" else ""
    why = f", {one.why}" if one.why else ""
    name = "validation" if recipe.search.metric == "auto" else MEASURES[recipe.search.metric].words
    return f"{name} {abs(one.value):.4f} after {one.seconds:.0f} s{cut}{why}"


def _all_failed(tried: Sequence[Tried]) -> UserError:
    reasons = list(dict.fromkeys(one.why for one in tried if one.why))
    what = f"all {len(tried)} trials failed, or none was begun. {' '.join(reasons[:3])}".strip()
    return UserError(Problem("O007", "whet sweep", what, "Narrow the space, or give it more minutes."))


# --- the end ------------------------------------------------------------------------------------------


def _concluded(closing: Closing, study: Study, finalists: Sequence[Finalist], clock: Clock) -> Iterator[Event]:
    """sweep.json, sweep.html, the model to ship."""
    folder, recipe = closing.folder, closing.recipe
    verdict, gains, rows = sweep_finals.judged(closing, finalists)
    trials = study.trials()
    noted = findings(recipe, study, verdict, gains, rows)
    _ship(folder, verdict, finalists)
    result = {
        "task": recipe.task,
        "base": recipe.base,
        "data": recipe.data.source,
        "metric": verdict.metric,
        "num_test_rows": verdict.num_rows,
        "search": recipe.search.model_dump(),
        "space": [one.to_json() for one in study.dimensions],
        "trials": [one.to_json() for one in trials],
        "table": rows,
        "over_own": {name: gap.to_json() for name, gap in gains.items()},
        "verdict": verdict.to_json(),
        "findings": [one.to_json() for one in noted],
        "seconds": round(clock.spent, 1),
        "counts": {**_counts(trials), "seeds": sweep_finals.sizes(rows)},
    }
    write_json(folder.path / RESULT, result)
    sweep_page.write(folder.path, result)
    yield Said(verdict.reason)
    for one in noted:
        yield Said(f"  {one.code} {one.message}")


def _counts(trials: Sequence[Tried]) -> dict[str, int]:
    return {state: sum(one.state == state for one in trials) for state in ("complete", "pruned", "failed", "running")}


def _ship(folder: RunFolder, verdict: Chosen, finalists: Sequence[Finalist]) -> None:
    """Note where the model lies that the verdict ships: that of the first seed, or a baseline of the sweep.

    A baseline that is not kept as a model answers by nothing: the best of the finalists does.
    """
    write_json(folder.verdict, verdict.to_json())
    named = {one.name: one for one in finalists}
    ship = verdict.ship
    if ship not in named and (folder.models / ship).is_dir():
        write_json(folder.shipped, {"model": ship})
        (folder.models / ship).replace(folder.model)
        folder.write_state(RUNNING, answers=None)
        return
    if ship in named or not folder.model.is_dir():
        best = max(named, key=lambda name: verdict.gains.get(name, {"value": 0.0})["value"])
        one = named[ship if ship in named else best]
        place = using.kept_models(one.places[0])[one.tried.model]
        folder.write_state(RUNNING, answers=place.relative_to(folder.path).as_posix())


@contextlib.contextmanager
def _recorded(recipe: Recipe, folder: RunFolder) -> Iterator[None]:
    """Keep the state of the sweep true to what happens."""
    begun = not folder.environment.exists()
    sweep(folder.path)
    if not folder.recipe.exists():
        write_text(folder.recipe, dump(recipe))
    if folder.environment.exists():
        torch.set_num_threads(int(read_json(folder.environment)["threads"]))
    else:
        write_json(folder.environment, environment.describe())
    folder.write_state(RUNNING)
    try:
        yield
    except (Interrupted, KeyboardInterrupt, GeneratorExit):
        folder.write_state(INTERRUPTED)
        raise
    except BaseException:
        if begun and not (folder.path / SPACE).exists():
            shutil.rmtree(folder.path, ignore_errors=True)
        else:
            with contextlib.suppress(Exception):
                folder.write_state(FAILED)
        raise
    else:
        folder.write_state(FINISHED, finished_at=now())
    finally:
        if folder.path.exists():
            note_run(folder.path)


# --- beginning and going on ---------------------------------------------------------------------------


def reopen(path: Path, changes: Mapping[str, Any]) -> tuple[Recipe, RunFolder]:
    """An existing sweep, to go on with; more trials or minutes may be given.

    :raises UserError: F012 no run, F014 finished already, O002 other options were given, O010 it is no sweep.
    """
    from whet.recipe import load

    folder = RunFolder(path)
    state = folder.read_state()["state"]
    recipe = load(folder.recipe)
    other = [name for name in changes if name.removeprefix("search.") not in CHANGEABLE]
    if other:
        remedy = f"Only {', '.join(f'search.{name}' for name in CHANGEABLE)} may change; begin anew with --out."
        raise UserError(Problem("O002", ", ".join(other), "belongs to another search than this folder's.", remedy))
    if recipe.search == SearchRecipe() and not (folder.path / SPACE).exists() and (folder.path / "model").exists():
        raise UserError(Problem("O010", str(path), "is a run, and no sweep.", f"Use: whet resume {path}"))
    changed = load(folder.recipe, changes)
    if state == FINISHED and changed == recipe:
        what = "is finished."
        raise UserError(Problem("F014", str(path), what, "See sweep.html there, or go on with more --trials."))
    if changed != recipe:
        write_text(folder.recipe, dump(changed))
    return changed, folder


def start(recipe: Recipe, out: Path | None) -> tuple[Recipe, RunFolder]:
    """A new folder for a sweep.

    :raises UserError: as :func:`refuse`; F013, the folder is in use.
    """
    from importlib.metadata import version

    from whet.workflows.starting import fresh

    refuse(recipe)
    return recipe, folders.create(out or fresh(recipe), version("whet"))
