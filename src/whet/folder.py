"""A run folder: where every stage leaves its file, and what state the run is in.

The folder is the run. It can be copied alone to another machine and still opens, predicts and
draws its report; the store is only an index of such folders.
"""

from __future__ import annotations

import contextlib
import datetime
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError, one_of
from whet.files import DAMAGED, read_json, write_json

RUNNING, INTERRUPTED, FAILED, FINISHED = "running", "interrupted", "failed", "finished"
STATES = (RUNNING, INTERRUPTED, FAILED, FINISHED)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """What was asked for, every default written out."""
        return self.path / "recipe.yaml"

    @property
    def resolved(self) -> Path:
        """What ``auto`` became, and why."""
        return self.path / "resolved.yaml"

    @property
    def environment(self) -> Path:
        """Machine and versions."""
        return self.path / "environment.json"

    @property
    def plan(self) -> Path:
        """What memory and time were expected of each model before any was trained."""
        return self.path / "plan.json"

    @property
    def events(self) -> Path:
        """What the engine said while it worked, a row each."""
        return self.path / "events.jsonl"

    @property
    def findings(self) -> Path:
        """Every finding of the run."""
        return self.path / "findings.json"

    @property
    def state(self) -> Path:
        """Identity and state: running, interrupted, failed or finished."""
        return self.path / "state.json"

    @property
    def stages(self) -> Path:
        """Results of finished stages, so that none is done twice."""
        return self.path / "stages"

    @property
    def data(self) -> Path:
        """The rows of the splits, their fingerprint, audit and ledger."""
        return self.path / "data"

    @property
    def checkpoints(self) -> Path:
        """States of training that can be resumed."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The model to ship, as its ecosystem loads it."""
        return self.path / "model"

    @property
    def shipped(self) -> Path:
        """Which of the run's models lies in ``model``."""
        return self.path / "shipped.json"

    @property
    def models(self) -> Path:
        """The models of the run that are kept, but for the one in ``model``."""
        return self.path / "models"

    @property
    def scores(self) -> Path:
        """Numbers with intervals."""
        return self.path / "scores.json"

    @property
    def verdict(self) -> Path:
        """Which model to ship, and why."""
        return self.path / "verdict.json"

    @property
    def judge(self) -> Path:
        """What a judge said of texts, where the recipe names one."""
        return self.path / "judge.json"

    @property
    def prompting(self) -> Path:
        """What asking a language model costs beside training one, where one was asked."""
        return self.path / "prompting.json"

    @property
    def forgetting(self) -> Path:
        """What models no longer know of what the base knew."""
        return self.path / "forgetting.json"

    @property
    def reference(self) -> Path:
        """What the untouched base says of preferred answers, while the run works."""
        return self.path / "reference"

    @property
    def preference(self) -> Path:
        """What models that learnt from preferences answer themselves, and how far that is from the base."""
        return self.path / "preference.json"

    @property
    def report(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    def facts(self, model: str) -> Path:
        """What is known of one model beside its predictions: seconds, size, what was fitted on validation."""
        return self.stages / "facts" / f"{model}.json"

    def predictions(self, model: str, split: str) -> Path:
        """Predictions of one model on one split."""
        return self.path / "predictions" / f"{model}.{split}.parquet"

    @property
    def is_run(self) -> bool:
        """Whether a run lies here, whole or damaged; a data set that ``datasets`` saved has a state.json, too."""
        return self.state.exists() and not (self.path / "dataset_info.json").exists()

    def read_state(self) -> dict[str, Any]:
        """Identity and state: at least ``state``; ``id`` is text and ``answers`` a path where they are there.

        :raises UserError: F012, this is not a run folder; F011, state.json is damaged.
        """
        if not self.state.exists():
            raise UserError(
                Problem(
                    "F012", str(self.path), "is not a run folder (it has no state.json).", "'whet runs' lists runs."
                )
            )
        known = read_json(self.state)
        if wrong := _wrong(known):
            raise _damaged(self.state, wrong)
        return dict(known)

    @property
    def identity(self) -> str:
        """What tells the run apart from every other.

        :raises UserError: as :meth:`read_state`; F011, it has none.
        """
        if "id" not in (known := self.read_state()):
            raise _damaged(self.state, "'id' is missing")
        return str(known["id"])

    def write_state(self, state: str, **more: Any) -> None:
        """Note the run's state, keeping what was known before."""
        known: Mapping[str, Any] = self.read_state() if self.state.exists() else {}
        write_json(self.state, {**known, "state": state, **more})

    @property
    def ships(self) -> str:
        """The model that the verdict ships.

        :raises UserError: F010 there is no verdict; F011 it names none.
        """
        return _named(self.verdict, "ship")

    @property
    def saved(self) -> str:
        """The model that lies in ``model``.

        :raises UserError: F010 nothing says so; F011 what should names none.
        """
        return _named(self.shipped, "model")

    @property
    def going_on(self) -> str:
        """The command that goes on with it where it is not finished."""
        is_search = self.state.exists() and self.read_state().get("sweep")
        return f"whet {'sweep --resume' if is_search else 'resume'} {self.path}"


def _named(path: Path, key: str) -> str:
    known = read_json(path)
    if not isinstance(known, dict) or not isinstance(known.get(key), str):
        raise _damaged(path, f"{key!r} is missing, or no text")
    return str(known[key])


def _damaged(path: Path, wrong: str) -> UserError:
    return UserError(Problem("F011", str(path), f"is damaged: {wrong}.", DAMAGED))


def _wrong(state: Any) -> str:
    """What of a state.json cannot be; "" where it is one."""
    if not isinstance(state, dict):
        return f"it holds {type(state).__name__}, and no object"
    if "state" not in state:
        return "'state' is missing"
    if state["state"] not in STATES:
        return f"'state' is {state['state']!r:.80}, and not {one_of(STATES)}"
    if not isinstance(state.get("id", ""), str):
        return "'id' is no text"
    return "" if isinstance(state.get("answers"), str | None) else "'answers' is no path"


def create(path: Path, version: str) -> RunFolder:
    """Start a run folder at ``path``, which must be new or empty.

    :raises UserError: F013, the folder holds something already; F001 to F003, it cannot be written.
    """
    folder = RunFolder(path)
    if path.exists() and (not path.is_dir() or any(p.name != ".lock" for p in path.iterdir())):
        what = "holds a run already" if folder.state.exists() else "exists and is not empty"
        remedy = "Choose another folder with --out."
        if folder.state.exists():
            remedy = f"Continue it with '{folder.going_on}', or choose another folder with --out."
        raise UserError(Problem("F013", str(path), f"{what}.", remedy))
    new = not path.exists()
    try:
        folder.write_state(
            RUNNING, id=uuid.uuid4().hex, name=path.name, whet=version, started_at=now(), finished_at=None
        )
    except UserError:
        if new:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise
    return folder


def answering_run(path: Path) -> Path:
    """What answers where ``path`` is asked: of a finished series its last stage, of a search the model that it ships.

    Anything else, such as a run or a file, is ``path`` itself.

    :raises UserError: F011, its state.json is damaged.
    """
    folder = RunFolder(path)
    named = folder.read_state().get("answers") if folder.is_run else None
    return path / str(named) if named else path


def run_behind(path: Path) -> Path:
    """The run whose recipe and rows stand behind what :func:`answering_run` finds: of a search that of the trial."""
    place = answering_run(path)
    if place == path or RunFolder(place).is_run:
        return place
    return next((one for one in (place.parent, place.parent.parent) if RunFolder(one).is_run), path)


def instead(ships: str, answers: str) -> str:
    """What must be said wherever another model answers than the one that the verdict ships."""
    return f"The verdict ships {ships!r}, which is not saved; {answers!r} answers in its place."


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
