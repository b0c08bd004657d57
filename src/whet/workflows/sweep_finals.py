"""The end of a sweep: the best settings trained with further seeds, held against the baselines on test rows.

Settings were chosen on validation; test rows are looked at here for the first time, by the finalists alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from whet.data.predictions import Predictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.errors import Interrupted, UserError
from whet.evaluation.wording import model_words
from whet.files import read_json
from whet.folder import FINISHED, RunFolder
from whet.recipe import Recipe, load
from whet.recipe.names import PROBED
from whet.workflows import shipping
from whet.workflows.events import Said, StageStarted
from whet.workflows.fit import fit, stages
from whet.workflows.rows import Tell
from whet.workflows.running import Running
from whet.workflows.sweep_study import Tried
from whet.workflows.sweep_workers import threads_kept

OWN = "the recipe as it stands"


@dataclass
class Finalist:
    """A setting among the best, with its trainings, that of the trial first.

    ``failed`` says of a seed why there is none, ``left_out`` which there was no time for.
    """

    tried: Tried
    method: str
    places: list[RunFolder]
    failed: dict[int, str] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        """``trial 7``."""
        return f"trial {self.tried.number}"

    @property
    def words(self) -> str:
        """As a sentence names it."""
        if self.tried.is_own:
            return f"{OWN} ({model_words(self.method)})"
        return f"{self.name} ({model_words(self.method)})"

    @property
    def judged(self) -> list[RunFolder]:
        """The trainings that speak of the setting: those after the first, which validation chose, where there are two.

        The best of many trials was also a lucky one: with it among them, the search would seem to help where it did
        nothing. A further training that the time cut short says less of the setting than it is worth, and does not
        speak of it.
        """
        whole = [self.places[0], *(place for place in self.places[1:] if not self.was_cut(place))]
        return whole[1:] if len(whole) > 2 else whole

    def was_cut(self, place: RunFolder) -> bool:
        """Whether the time of the search ended a training; not a limit that its own recipe sets."""
        ended = dict(read_json(place.facts(self.tried.model))).get("ended")
        return ended == "max_seconds" and load(place.recipe).training.max_seconds is None

    def said(self, place: RunFolder) -> Predictions:
        """What one training says of the test rows, under the name of the setting."""
        return replace(load_predictions(place.predictions(self.tried.model, "test")), model=self.name)

    def runs(self) -> tuple[Predictions, ...]:
        """What each training that is judged says of the test rows."""
        return tuple(self.said(place) for place in self.judged)

    def facts(self) -> list[dict[str, Any]]:
        """What is known of each training."""
        return [dict(read_json(place.facts(self.tried.model))) for place in self.places]


def ranked(trials: Sequence[Tried]) -> list[Tried]:
    """The trials that ended, in the order in which they become finalists.

    The best of each method first, since the cheapest that is not worse is looked for; then whatever is best. What time
    cut short comes behind those, since its further seeds are trained longer; what says always the same comes last.
    """
    ended = [one for one in trials if one.state == "complete" and one.value is not None]
    by_value = sorted(ended, key=lambda one: (*_spoilt(one), -float(one.value or 0.0), one.number))
    first: dict[str, int] = {}
    for one in by_value:
        first.setdefault(one.method, one.number)
    return sorted(by_value, key=lambda one: (*_spoilt(one), one.number not in first.values()))


def _spoilt(one: Tried) -> tuple[bool, bool]:
    """Whether its training came to nothing, and whether it was cut short."""
    return one.has_collapsed, one.ended == "max_seconds"


def chosen(trials: Sequence[Tried], number: int) -> list[Tried]:
    """The ``number`` finalists: distinct settings, and the recipe as it stands among them where there is room.

    A setting that is no better than a constant answer is worth no further seed, unless there is nothing else.
    """
    order = ranked(trials)
    own = [one for one in order if one.is_own]
    others, seen = [], set()
    for one in order:
        key = repr(sorted((one.setting or {}).items(), key=str))
        if not one.is_own and key not in seen:
            seen.add(key)
            others.append(one)
    others = [one for one in others if not one.has_collapsed] or ([] if own else others)
    room = number - 1 if own and number > 1 else number
    return [*others[:room], *own][:number] if number > 1 else order[:1]


@dataclass
class Closing:
    """What the end of a sweep needs: its recipe and folder, who listens, and how much time is left.

    ``has_time``: for a training that is likely to take so many seconds; ``is_late``: what is under way has to end.
    """

    recipe: Recipe
    folder: RunFolder
    tell: Tell
    should_stop: Callable[[], bool]
    has_time: Callable[[float], bool]
    is_late: Callable[[], bool]
    shared: Path
    lost: dict[str, str] = field(default_factory=dict)
    """Trials without a folder and finalists that could not be made whole, and why."""


def whole(closing: Closing, finalists: Sequence[Finalist]) -> Generator[Event, None, list[Finalist]]:
    """Make every finalist a complete run; those that are whole.

    :raises Interrupted: asked to stop; what stopped the last of them, where none is whole.
    """
    kept = []
    for place, one in enumerate(finalists):
        try:
            with threads_kept():  # a run goes on with as many as it began with
                yield from _complete(closing, one)
            kept.append(one)
        except Interrupted:
            raise
        except Exception as error:  # what breaks one of them must not end the search; it is counted
            if not kept and place == len(finalists) - 1:
                raise
            closing.lost[one.name] = in_a_line(error)
            yield Said(f"{one.name}: {closing.lost[one.name]}")
    return kept


def _complete(closing: Closing, one: Finalist) -> Iterator[Event]:
    """Carry a trial on to its end: predictions, files, checks."""
    place = one.places[0]
    if place.read_state()["state"] != FINISHED:
        yield Said(f"{one.name}: predicts, is saved and checked")
        yield from quiet(fit(load(place.recipe), place, closing.tell, closing.should_stop))


def in_a_line(error: Exception) -> str:
    """What stopped a training: a mistake in the user's words, or what broke."""
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def quiet(events: Iterator[Event]) -> Iterator[Event]:
    """All but what a run says of itself: a sweep has many."""
    for event in events:
        if event.kind not in ("said", "stage"):
            yield event


# --- baselines ----------------------------------------------------------------------------------------


def baselines(closing: Closing) -> Iterator[Event]:
    """Answers of the recipe's baselines, once for all settings."""
    evaluation = closing.recipe.evaluation.model_copy(update={"label_noise": False})  # nothing of it is shown
    recipe = closing.recipe.model_copy(update={"evaluation": evaluation})
    run = Running(recipe, closing.folder, closing.tell, closing.should_stop)
    for event in stages(run):
        if isinstance(event, StageStarted) and _is_training(event.stage):
            break
        if event.kind != "said":
            yield event
    if "probe" in run.value("evaluation.baselines") and closing.recipe.task in PROBED:
        yield from quiet(run.stage("keep probe", lambda: shipping.keep(run, "probe")))


def _is_training(stage: str) -> bool:
    return stage.startswith(("train ", "try rates ", "keep ")) and stage != "train probe"
