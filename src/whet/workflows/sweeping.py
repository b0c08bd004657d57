"""``whet sweep``: settings of a recipe tried one after the other, and what the best of them are worth. Read this first.

RUN/ is a run folder: it holds the rows, the baselines and what came out. Every trial is a run folder in RUN/trials,
further seeds of the best in RUN/seeds; vectors of the frozen base, computed once, in RUN/vectors. The study itself lies
in the store (:mod:`whet.store.studies`). Several machines may work on one sweep where they share the folder and the
store is a PostgreSQL server: each calls ``whet sweep --resume RUN``.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from whet.engine.events import Event
from whet.errors import Interrupted, Problem, UserError
from whet.evaluation.measures import MEASURES
from whet.files import Lock, read_json, write_json
from whet.folder import RunFolder
from whet.models import adaptations
from whet.recipe import Recipe
from whet.recipe.resolve import resolve
from whet.recipe.space import SEARCHED, Dimension, Setting, belongs, dimensions, methods_of, usual
from whet.report import sweep_page
from whet.workflows import (
    contrasting,
    preparing,
    sweep_copies,
    sweep_finals,
    sweep_passes,
    sweep_seeds,
    sweep_stages,
    sweep_trial,
    sweep_workers,
    training,
)
from whet.workflows.events import Said, StageFinished
from whet.workflows.fit import stages
from whet.workflows.recording import on_this_machine, recorded
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.sweep_clock import Clock, seconds_each
from whet.workflows.sweep_end import concluded
from whet.workflows.sweep_finals import Closing, Finalist
from whet.workflows.sweep_starting import refuse
from whet.workflows.sweep_study import (
    Study,
    Tried,
    all_settings,
    changed_recipe,
    hash_of,
    num_wanted,
    write_trials,
)
from whet.workflows.sweep_trial import Hearing, Hopeless, OutOfTime

SPACE = "space.json"


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
    """Try settings of a sweep that another process leads, until none is left; or train seeds of its finalists."""
    from whet.recipe import load

    recipe = load(folder.recipe)
    if not (folder.path / SPACE).exists():
        what = "is still being prepared by another process."
        raise UserError(Problem("O009", str(folder.path), what, "Wait until its first trial begins."))
    study, clock = _study(recipe, folder), Clock(folder, recipe.search, leads=False)
    path = folder.path / sweep_seeds.FINALISTS
    if not path.exists():
        yield from _trials(study, clock, tell, should_stop)
        return
    closing, numbers = _closing(study, clock, tell, should_stop), read_json(path)
    wanted = [_finalist(study, one) for one in study.trials() if one.number in numbers]
    yield from sweep_seeds.taken(closing, wanted)


def _led(whole: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> Iterator[Event]:
    path = folder.path / SPACE
    if path.exists():
        if read_json(path)["recipe"] != hash_of(whole):
            raise changed_recipe(folder.path)
        if sweep_copies.separate(_study(whole, folder)):
            yield Said("this folder is a copy of a search: it goes on by itself")
    clock = Clock(folder, whole.search, leads=True)
    before = sweep_stages.before(whole, folder, tell, should_stop)
    for event in itertools.chain(before, _prepared(whole, folder, tell, should_stop, clock)):
        clock.beat()
        yield event
    study = _study(whole, folder)
    recipe = study.recipe
    (folder.path / sweep_seeds.FINALISTS).unlink(missing_ok=True)  # of an end that was cut short; first come trials
    with sweep_workers.helpers(folder, recipe.search.workers) as others:
        yield from _trials(study, clock, tell, should_stop)
        while any(one.state == "running" for one in study.trials()) or sweep_workers.are_at_work(others):
            yield from sweep_workers.awaited(study, others, should_stop)
            yield from _trials(study, clock, tell, should_stop)
    write_trials(study)
    tried, missing = study.trials(), study.missing()
    found = sweep_finals.chosen([one for one in tried if one not in missing], recipe.search.finalists)
    lost = {f"trial {one.number}": f"{study.place(one.number).path} is not there" for one in missing}
    if not found:
        raise _all_failed(tried, lost)
    yield Said(f"finalists: {', '.join(f'trial {one.number}' for one in found)}")
    closing = _closing(study, clock, tell, should_stop, lost)
    finalists = yield from sweep_finals.whole(closing, [_finalist(study, one) for one in found])
    yield from sweep_seeds.further(closing, finalists)
    yield from sweep_finals.baselines(closing)
    yield from concluded(closing, study, finalists, clock)


def _closing(
    study: Study, clock: Clock, tell: Tell, should_stop: Callable[[], bool], lost: Mapping[str, str] | None = None
) -> Closing:
    """What the end of the sweep needs."""
    time = clock.has_time_for, clock.is_over
    return Closing(study.recipe, study.folder, tell, should_stop, *time, _vectors(study.folder), dict(lost or {}))


# --- before the first trial ---------------------------------------------------------------------------


def _prepared(
    whole: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool], clock: Clock
) -> Iterator[Event]:
    """Rows, tokens and decisions that all trials begin from; and the space, written once."""
    recipe = sweep_stages.searched(whole, folder)
    run = Running(recipe, folder, tell, should_stop)
    for event in stages(run):
        yield event
        if isinstance(event, StageFinished) and event.stage == "decide":
            break
    path = folder.path / SPACE
    if not path.exists():
        methods, space, passes = yield from drawn_from(run, sweep_stages.bases(whole, folder), clock.left())
        known = {"recipe": hash_of(whole), "methods": list(methods), "dimensions": [asdict(one) for one in space]}
        known["passes"] = passes
        begun = Study(recipe, folder, space, methods, new=True, digest=hash_of(whole), passes=passes)
        sweep_copies.separate(begun)
        write_json(path, known)
        yield Said(f"search: {begun.wanted} trials over {', '.join(one.name for one in space)}")
    _vectors(folder).mkdir(exist_ok=True)


def drawn_from(run: Running, bases: Sequence[str] = (), left: float | None = None) -> Any:
    """The methods that are tried, what is drawn for them, and how many passes each training takes where the time does
    not suffice for those that it would take by itself; a generator that says which methods are left out.

    Among the usual ones is the method that 'auto' takes for these rows: else it would be tried once, as the recipe
    stands, beside many settings of others.

    :param bases: what earlier stages left, and what they began from.
    :param left: seconds of the search that are left; None: all of them.
    :raises UserError: the base does not take a method that is asked for.
    """
    recipe = run.recipe
    named = methods_of(recipe)
    is_usual = recipe.search.space == "auto" and named == SEARCHED
    own = str(run.value("method"))
    methods = [own] if named == ("auto",) else list(named)
    methods += [own] if is_usual and own not in methods else []
    for method in list(methods):
        try:
            _refuse_method(run, method)
            if is_usual:
                sweep_trial.recipe_of(recipe, {"method": method})
        except UserError as error:
            if not is_usual or len(methods) == 1:
                raise
            methods.remove(method)
            yield Said(f"{method} is not tried: {error}")
    epochs = {one: _derived(run, one, sweep_passes.OPTION) for one in methods}
    moving = {one: many for one, many in epochs.items() if one != "probe"}
    given = [] if recipe.search.space == "auto" else dimensions(recipe)
    wanted = num_wanted(recipe, all_settings(recipe, given, methods))
    passes = sweep_passes.affordable(run, moving, seconds_each(recipe.search, wanted, left))
    if passes is not None:
        yield Said(
            f"passes over the rows: {passes:g}, since {recipe.search.minutes:g} minutes are shared by all trials"
        )
    if recipe.search.space != "auto":
        return methods, given, passes
    rates = {one: _derived(run, one, "training.learning_rate") for one in methods}
    found = [one for one in usual(methods, rates, epochs, bases) if _is_free(recipe, methods, one)]
    return methods, [one for one in found if passes is None or one.option != sweep_passes.OPTION], passes


def _refuse_method(run: Running, method: str) -> None:
    """:raises UserError: the base, or the rows, do not take a method; told before the first trial."""
    contrasting.refuse(run, method)
    if method not in ("probe", "auto"):
        model = run.new_model(run.recipe.seed)
        adaptations.adapt(model, method, training.options_of(run, method), run.place.known_as, run.recipe.seed)


def _derived(run: Running, method: str, option: str) -> float:
    """What an option would be under a method; a rate is what 'auto' takes, whatever the recipe says."""
    training_ = run.recipe.training.model_copy(update={"learning_rate": "auto"})
    plain = run.recipe.model_copy(update={"method": method, "training": training_})
    return float(resolve(plain, preparing.facts_of(run))[option].value)


def _is_free(recipe: Recipe, methods: Sequence[str], dimension: Dimension) -> bool:
    """Whether no choice of a usual dimension contradicts what the recipe sets."""
    of_method = [one for one in methods if belongs(dimension, one)]
    settings = itertools.product(of_method, dimension.choices if dimension.option != "method" else ())
    try:
        for method, choice in settings:
            sweep_trial.recipe_of(recipe, {"method": method, dimension.option: choice})
    except UserError:
        return False
    return True


def _study(whole: Recipe, folder: RunFolder) -> Study:
    """The study that :func:`_prepared` began.

    :raises UserError: O002, it is of another recipe; O003, the store does not know it.
    """
    known = read_json(folder.path / SPACE)
    space = [Dimension(**{**one, "choices": tuple(one["choices"])}) for one in known["dimensions"]]
    searched, passes = sweep_stages.searched(whole, folder), known.get("passes")
    return Study(searched, folder, space, known["methods"], new=False, digest=hash_of(whole), passes=passes)


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
            write_trials(study)
            yield Said(f"trial {number} of {study.wanted}: {_words(setting)}")
            with sweep_workers.threads_kept():  # one that is gone on with takes as many as it began with
                yield from _one(study, number, setting, clock, tell, should_stop)
        write_trials(study)
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
            nonlocal until
            until = study.trials()  # others have ended meanwhile, by which the time is shared out
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
    except Exception as error:  # one setting that breaks a library must not end the search; it is counted
        study.tell(number, "failed", why=sweep_finals.in_a_line(error))


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
    return Finalist(one, str(resolved.value("method")), [place])


def _words(setting: Mapping[str, Any]) -> str:
    """``lora, training.learning_rate 0.00123``."""
    return sweep_page.shown(setting) if setting else "the recipe as it stands"


def _outcome(one: Tried, recipe: Recipe) -> str:
    if one.state != "complete" or one.value is None:
        return f"{'given up' if one.state == 'pruned' else one.state}: {one.why}"
    cut = ", stopped by the time there was" if one.ended == "max_seconds" else ""
    why = f", {one.why}" if one.why else ""
    name = "validation" if recipe.search.metric == "auto" else MEASURES[recipe.search.metric].words
    value = sweep_page.turned(one.value, recipe.task, recipe.search.metric)
    return f"{name} {value:.4f} after {one.seconds:.0f} s{cut}{why}"


def _all_failed(tried: Sequence[Tried], lost: Mapping[str, str]) -> UserError:
    reasons = list(dict.fromkeys([*(one.why for one in tried if one.why), *lost.values()]))
    what = f"all {len(tried)} trials failed or are lost, or none was begun. {' '.join(reasons[:3])}".strip()
    return UserError(Problem("O007", "whet sweep", what, "Narrow the space, or give it more minutes."))


# --- the state of it --------------------------------------------------------------------------------


def _recorded(recipe: Recipe, folder: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Keep the state of the sweep true to what happens."""
    begun = on_this_machine(folder)

    def undone(error: BaseException) -> bool:
        if not begun or (folder.path / SPACE).exists() or sweep_stages.has_trained(recipe, folder):
            return False
        shutil.rmtree(folder.path, ignore_errors=True)
        return True

    return recorded(recipe, folder, undone, dict)
