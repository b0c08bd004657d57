"""The stages by which a run makes its models: in a fit, and at every point of a learning curve."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from whet.engine.events import Event
from whet.workflows import (
    distilling,
    interpolating,
    preferring,
    rates,
    replaying,
    rounding,
    self_training,
    training,
    written,
)
from whet.workflows.learning import SELF_TRAINED
from whet.workflows.running import Running


def ready(run: Running) -> Iterator[Event]:
    """What training reads beside the rows; once what ``auto`` becomes is decided."""
    if run.recipe.forgetting.replay:
        yield from run.stage("replay", partial(replaying.prepare, run))
    if distilling.wanted(run) and written.wanted(run):
        yield from run.stage("teacher writes", partial(_taught, run, written.write))
    if distilling.wanted(run):
        yield from run.stage("teacher", partial(_taught, run, distilling.ask))
    if self_training.wanted(run):
        yield from run.stage("texts without labels", partial(self_training.encode, run))


def _taught(run: Running, ask: Callable[[Running], Iterator[Event]]) -> Iterator[Event]:
    """What asks the teacher, once it is sure that it can teach: of a stage nothing but shapes was known before."""
    distilling.refuse_teacher(run)
    yield from ask(run)


def make(run: Running, name: str) -> Iterator[Event]:
    """Train the model ``name``, with everything that the recipe says belongs to it."""
    if name == "probe":
        yield from run.stage("train probe", partial(training.probe, run))
        return
    if name == rounding.NAME:
        yield from run.stage("round weights", partial(rounding.make, run))
        return
    if preferring.is_one(run):
        yield from run.stage("reference", partial(preferring.reference, run))
    if rates.wanted(run, name):
        yield from run.stage(f"try rates {name}", partial(rates.find, run, name))
    if name == SELF_TRAINED:
        yield from self_training.make(run)
    else:
        yield from run.stage(f"train {name}", partial(training.fine_tune, run, name))
    if run.recipe.forgetting.interpolate:
        yield from run.stage(f"interpolate {name}", partial(interpolating.interpolate, run, name))
