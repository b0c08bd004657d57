"""One trial of a sweep: a run in a folder of its own, up to where its models are trained.

The rows are those of the sweep, so that all trials are measured on the same; tokens and the vectors of the frozen base
are taken over where the setting leaves them as they are. A trial that comes among the best goes on from there as any
run does; of the others the states of training are thrown away, and 'whet resume' would train them again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whet.engine.events import Evaluated, Event
from whet.errors import Interrupted, Problem, UserError
from whet.evaluation.kinds import values_of
from whet.evaluation.measures import lower_is_better
from whet.files import append_jsonl, beside, folder_beside, read_json, sweep, write_json, write_text
from whet.folder import INTERRUPTED, RUNNING, RunFolder, create
from whet.models import saving
from whet.recipe import Recipe, dump
from whet.recipe.evidence import JudgeRecipe, PromptingRecipe
from whet.recipe.reading import build
from whet.recipe.search import SearchRecipe
from whet.recipe.space import Setting, applied, shares_tokens
from whet.workflows import environment, training
from whet.workflows.events import OfModel, StageStarted
from whet.workflows.fit import stages
from whet.workflows.rows import Tell
from whet.workflows.running import Running

TAKEN: tuple[str, ...] = ("read", "audit", "encode")
"""Stages that a trial takes over."""
UNASKED: tuple[str, ...] = ("foresee",)
"""Stages that a trial leaves out: what a method needs is planned by 'whet plan'."""
SHORTEST = 1e-6
"""Seconds that training may still take when its time is over: it looks once more, and ends."""
OVER = ("keep ",)
"""With these stages what follows the training of models begins."""


class Hopeless(Exception):
    """Half of the other trials were better by then."""


class OutOfTime(Exception):
    """The sweep's time was over before anything was trained."""


@dataclass(frozen=True, slots=True)
class Result:
    """What validation gave, and how training ended; ``failed``: no better than saying always the same."""

    value: float
    model: str
    ended: str
    failed: bool
    seconds: float


def recipe_of(recipe: Recipe, setting: Mapping[str, Any]) -> Recipe:
    """The recipe of a trial: that of the sweep with its setting, without what the sweep does once for all.

    :raises UserError: options of the setting contradict each other.
    """
    values = applied(recipe, setting)
    fresh = {"search": SearchRecipe(), "prompting": PromptingRecipe(), "judge": JudgeRecipe()}
    values |= {name: part.model_dump() for name, part in fresh.items()}
    values["evaluation"] |= {"baselines": [], "label_noise": False}
    return build(values, {})


class TrialRunning(Running):
    """A trial under way, whose frozen vectors lie with the sweep."""

    def __init__(
        self, recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool], shared: Path
    ) -> None:
        super().__init__(recipe, folder, tell, should_stop)
        self.shared = shared

    def features(self, split: str) -> Tensor:
        """As a run's, computed once for all trials whose frozen base sees the same."""
        if split not in self._features:
            path = self.shared / f"{self._seen(split)}.npy"
            if path.exists():
                self._features[split] = torch.from_numpy(np.load(path))
            else:
                found = super().features(split)
                with beside(path) as file:
                    np.save(file, found.numpy())
        return self._features[split]

    def _seen(self, split: str) -> str:
        """A hash of all that the frozen vectors hang on."""
        digest = hashlib.sha256()
        encoded = self.encoded[split]
        for part in (encoded.ids, encoded.offsets):
            digest.update(np.ascontiguousarray(part).tobytes())
        known = {
            "base": saving.weights_sha256(self.place),
            "tokens": self.recipe.vocabulary.model_dump(),
            "head": [self.head_kind, str(self.value("head.pooling")), self.recipe.head.keep_labels],
            "precision": str(self.value("training.precision")),
            "threads": torch.get_num_threads(),  # sums depend on it
            "device": self.device.type,
            "limit": self.limit,
            "options": [self.recipe.task, self.fast],
        }
        digest.update(json.dumps(known, sort_keys=True).encode())
        return digest.hexdigest()[:32]


# --- rows and tokens of the sweep ---------------------------------------------------------------------


def prepare(recipe: Recipe, folder: RunFolder, given: RunFolder, setting: Setting) -> None:
    """Begin the folder of a trial, or tidy up one that was begun: its recipe, the rows, the tokens."""
    sweep(folder.path)
    if not folder.state.exists():
        create(folder.path, version("whet"))
    if not folder.recipe.exists():
        write_text(folder.recipe, dump(recipe))
    _take(given.data, folder.data)
    taken = TAKEN[:2]
    if shares_tokens(setting):
        _take(given.path / "tokens", folder.path / "tokens")
        taken = TAKEN
    for name in (*taken, *UNASKED):
        if not (folder.stages / f"{name}.json").exists():
            write_json(folder.stages / f"{name}.json", {"seconds": 0.0})
    if folder.environment.exists():
        torch.set_num_threads(int(read_json(folder.environment)["threads"]))
    else:
        write_json(folder.environment, environment.describe())


def _take(given: Path, to: Path) -> None:
    """A folder under another name, whose files are not copied where the disk allows it: nobody writes into them."""
    if to.exists() or not given.exists():
        return
    with folder_beside(to) as new:
        for path in sorted(given.rglob("*")):
            place = new / path.relative_to(given)
            if path.is_dir():
                place.mkdir(exist_ok=True)
            else:
                try:
                    os.link(path, place)
                except OSError:
                    shutil.copy2(path, place)


# --- training -----------------------------------------------------------------------------------------


@dataclass
class Hearing:
    """What a trial says while it trains: looks at validation by share of the training, and whether it may go on."""

    look: Callable[[float, float], bool]
    """Takes share and value; answers whether the trial is hopeless."""
    is_late: Callable[[], bool]
    should_stop: Callable[[], bool]


def carry_out(recipe: Recipe, folder: RunFolder, shared: Path, tell: Tell, hearing: Hearing) -> Iterator[Event]:
    """Train the models of a trial; what came out is told by :func:`result`.

    :raises Hopeless: it is given up; OutOfTime: nothing was trained in the time there was; Interrupted: asked to stop.
    """
    plain = recipe.model_copy(update={"forgetting": recipe.forgetting.model_copy(update={"measure": False})})
    folder.write_state(RUNNING)
    try:
        run = TrialRunning(plain, folder, tell, lambda: hearing.should_stop() or hearing.is_late(), shared)
        try:
            yield from _heard(run, hearing, prune=True)
        except Interrupted:
            if hearing.should_stop():
                raise
            yield from _ended_in_time(plain, folder, shared, tell, hearing)
    finally:
        folder.write_state(INTERRUPTED)


def _ended_in_time(plain: Recipe, folder: RunFolder, shared: Path, tell: Tell, hearing: Hearing) -> Iterator[Event]:
    """Training that goes on from its last state, looks once more and ends with the best one."""
    if not any(folder.checkpoints.glob("*/*/last*")):
        raise OutOfTime
    short = plain.training.model_copy(update={"max_seconds": SHORTEST, "restarts": 0})
    run = TrialRunning(plain.model_copy(update={"training": short}), folder, tell, hearing.should_stop, shared)
    yield from _heard(run, hearing, prune=False)


def _heard(run: TrialRunning, hearing: Hearing, *, prune: bool) -> Iterator[Event]:
    """The stages of a run up to the last training."""
    events = stages(run)
    best = float("-inf")
    with contextlib.closing(events):  # type: ignore[type-var]
        for event in events:
            if isinstance(event, StageStarted) and event.stage.startswith(OVER):
                return
            row = event.to_json()
            if row["kind"] != "said":
                append_jsonl(run.folder.events, [row])
            yield event
            if isinstance(event, OfModel) and isinstance(event.event, Evaluated) and event.model == run.models[-1]:
                best = max(best, float(event.event.numbers[run.task.score]))
                share = event.event.epoch / max(float(run.value("training.epochs")), 1e-9)
                if event.attempt == 0 and hearing.look(share, best) and prune:
                    raise Hopeless


def result(recipe: Recipe, folder: RunFolder, metric: str) -> Result:
    """What validation gave to the model of the trial: by what training goes by, or by ``metric`` of its answers."""
    run = Running(recipe, folder, lambda *_: None, lambda: False)
    name = run.models[-1]
    seconds = sum(run.seconds().values())
    if name == "probe":
        value = _seen(run, name) if metric == "auto" else _answered(run, name, metric)
        return Result(value, name, "completed", False, seconds)
    outcome = training.best_outcome(run, name)
    value = float(outcome["best_score"])
    if metric != "auto":
        value = _answered(run, name, metric)
    return Result(value, name, str(outcome["reason"]), bool(outcome["failed"]), seconds)


def _seen(run: Running, name: str) -> float:
    """What training goes by, of a model that no training looked at."""
    encoded, model = run.encoded["validation"], training.finished(run, name).model
    return float(run.task.look(run.task.outputs(model, encoded), encoded, run.examples("validation"))[run.task.score])


def _answered(run: Running, name: str, metric: str) -> float:
    """A metric of the answers to validation, turned so that more is better.

    :raises UserError: O006, the metric cannot measure these answers.
    """
    model = training.finished(run, name)
    encoded, examples = run.encoded["validation"], run.examples("validation")
    values = values_of(run.task.answer(name, model.model, run.tokenizer, encoded, examples, None))
    if metric not in values:
        what = f"{metric!r} does not measure the answers of {run.recipe.task} to validation."
        raise UserError(Problem("O006", "search.metric", what, f"Use auto, or one of {', '.join(sorted(values))}."))
    return -values[metric] if lower_is_better(metric) else values[metric]


def throw_away(folder: RunFolder) -> None:
    """The states of training, and what can be made again from the rows; the record stays."""
    for name in ("checkpoints", "tokens", "models", "rates"):
        shutil.rmtree(folder.path / name, ignore_errors=True)
    for path in folder.stages.glob("*.json"):
        if path.stem not in ("read", "audit", "decide", *UNASKED):
            path.unlink(missing_ok=True)
