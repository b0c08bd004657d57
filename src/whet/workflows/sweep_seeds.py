"""Further trainings of the finalists of a sweep, each with another seed; several processes take them in turn.

The process that leads leaves the finalists in RUN/finalists.json for as long as it wants help. Whoever trains a seed
holds the lock of its folder; in the end the one that leads goes through all of them, and finds what others have done.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

from whet.engine.events import Event
from whet.errors import Interrupted, UserError
from whet.files import Lock, read_json, write_json
from whet.folder import FINISHED, RunFolder
from whet.recipe import load
from whet.workflows import sweep_trial, sweep_workers
from whet.workflows.events import Said
from whet.workflows.fit import fit
from whet.workflows.sweep_finals import Closing, Finalist, in_a_line, quiet
from whet.workflows.sweep_trial import Hearing, OutOfTime

FINALISTS = "finalists.json"
"""Numbers of the trials whose further seeds are to be trained."""
FAILED = "failed.json"
"""In the folder of a seed that broke: why."""


def further(closing: Closing, finalists: Sequence[Finalist]) -> Iterator[Event]:
    """Train every finalist with further seeds while there is time, in as many processes as the recipe wants.

    :raises Interrupted: asked to stop.
    """
    path, numbers = closing.folder.path / FINALISTS, range(1, closing.recipe.search.seeds)
    missing = sum(not _has_ended(_place(closing, one, number)) for number in numbers for one in finalists)
    if (workers := min(closing.recipe.search.workers, missing)) > 1:
        write_json(path, [one.tried.number for one in finalists])
        with sweep_workers.helpers(closing.folder, workers) as others:
            yield from taken(closing, finalists)
            sweep_workers.await_end(others, closing.should_stop)
        path.unlink()
    for number in numbers:
        for one in finalists:
            with _alone(closing, _place(closing, one, number)), sweep_workers.threads_kept():
                yield from _seed(closing, one, number)


@contextlib.contextmanager
def _alone(closing: Closing, place: RunFolder) -> Iterator[None]:
    """The lock of a seed, as soon as nobody else is at it, such as a helper on another machine.

    :raises Interrupted: asked to stop.
    """
    place.path.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        while True:
            if closing.should_stop():
                raise Interrupted
            try:
                held.enter_context(Lock(place.path))
                break
            except UserError:
                time.sleep(sweep_workers.POLL_SECONDS)
        yield


def taken(closing: Closing, finalists: Sequence[Finalist]) -> Iterator[Event]:
    """Train the seeds that nobody else is at; the finalists are left as they are."""
    for number in range(1, closing.recipe.search.seeds):
        for one in finalists:
            place = _place(closing, one, number)
            place.path.mkdir(parents=True, exist_ok=True)
            with contextlib.ExitStack() as held:
                try:
                    held.enter_context(Lock(place.path))
                except UserError:  # somebody is at it
                    continue
                held.enter_context(sweep_workers.threads_kept())
                yield from _seed(closing, Finalist(one.tried, one.method, list(one.places)), number)


def _place(closing: Closing, one: Finalist, number: int) -> RunFolder:
    return RunFolder(closing.folder.path / "seeds" / f"{one.tried.number:04d}-{number}")


def _has_ended(place: RunFolder) -> bool:
    return (place.path / FAILED).exists() or (place.state.exists() and place.read_state()["state"] == FINISHED)


def _seed(closing: Closing, one: Finalist, number: int) -> Iterator[Event]:
    """One more training of a setting: the same rows, another seed."""
    place = _place(closing, one, number)
    seed = closing.recipe.seed + number
    begun = place.state.exists()
    if not begun and not closing.has_time(one.tried.seconds):
        one.left_out.append(seed)
        return
    why = place.path / FAILED
    if why.exists():
        one.failed[seed] = str(read_json(why))
        return
    try:
        if not begun or place.read_state()["state"] != FINISHED:
            yield Said(f"{one.name}: seed {seed}")
            yield from _trained(closing, one, place, seed)
        one.places.append(place)
    except Interrupted:
        raise
    except OutOfTime:  # it goes on where there is more time
        one.left_out.append(seed)
    except Exception as error:  # a seed that breaks a library is counted
        write_json(why, in_a_line(error))
        one.failed[seed] = in_a_line(error)


def _trained(closing: Closing, one: Finalist, place: RunFolder, seed: int) -> Iterator[Event]:
    """A run of a setting with another seed; where the time is over, with the best state that it had until then.

    :raises OutOfTime: there is none.
    """
    first = load(one.places[0].recipe)
    unmeasured = first.forgetting.model_copy(update={"measure": False, "limit": None, "probes": [], "text": None})
    recipe = first.model_copy(update={"seed": seed, "forgetting": unmeasured})
    sweep_trial.prepare(recipe, place, closing.folder, one.tried.setting or {})
    hearing = Hearing(lambda share, value: False, closing.is_late, closing.should_stop)
    yield from quiet(sweep_trial.carry_out(recipe, place, closing.shared, closing.tell, hearing))
    yield from quiet(fit(recipe, place, closing.tell, closing.should_stop))
