"""Finished runs side by side: what each ships, its answers on the test rows, and those rows themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from whet.data.forms import Examples
from whet.data.normal import hashes
from whet.data.predictions import Predictions, load
from whet.errors import Problem, UserError
from whet.files import read_json
from whet.folder import FINISHED, RunFolder, answering_run
from whet.workflows.run_parts import Parts, parts_of


@dataclass(frozen=True, slots=True)
class ShippedRun:
    """A run by the shortest name that tells it apart, the model it ships, and the answers of that on test.

    The model of ``predictions`` is called ``name/ships``. ``asked`` is the folder whose recipe says what is measured:
    of a search the search itself, since its trials leave to it what is done once for all. ``parts`` are the trainings
    behind the answers, where there are several.
    """

    name: str
    folder: RunFolder
    ships: str
    predictions: Predictions
    asked: RunFolder
    parts: Parts

    @property
    def task(self) -> str:
        """As the run was scored."""
        return str(read_json(self.folder.scores)["task"])

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of the model beside its predictions."""
        path = self.folder.facts(self.ships)
        return dict(read_json(path)) if path.exists() else {}


def opened(paths: Sequence[Path]) -> list[ShippedRun]:
    """The runs in ``paths``, proven to answer one sort of question.

    :raises UserError: F016, fewer than two runs or one twice; F012, F015, no run or not finished; V102, their tasks
        differ.
    """
    if len({path.resolve() for path in paths}) < 2 or len({path.resolve() for path in paths}) < len(paths):
        raise UserError(Problem("F016", "RUN", "a comparison needs two or more different runs."))
    runs = [_opened(path, name) for path, name in _names(paths)]
    first = runs[0]
    for one in runs[1:]:
        if _sort(one) != _sort(first):
            what = f"is a run of {one.task}, and {first.folder.path} one of {first.task}."
            raise UserError(Problem("V102", str(one.folder.path), what, "Compare runs of one task."))
    return runs


def _sort(run: ShippedRun) -> tuple[str, str]:
    return run.predictions.kind, str(getattr(run.predictions, "purpose", ""))


def _names(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each run with its folder's name where that tells it apart, else its whole path."""
    short = [path.resolve().name for path in paths]
    return [(path, name if short.count(name) == 1 else str(path)) for path, name in zip(paths, short, strict=True)]


def _opened(path: Path, name: str) -> ShippedRun:
    """The run, the last stage of a series, or what a sweep ships."""
    folder = RunFolder(path)
    known = folder.read_state()
    if known["state"] != FINISHED:
        what = f"is {known['state']}, not finished."
        raise UserError(Problem("F015", str(path), what, f"Go on with: {folder.going_on}"))
    is_search = known.get("sweep")
    at, ships = _of_sweep(folder) if is_search else _of_run(RunFolder(answering_run(path)))
    said = replace(load(at.predictions(ships, "test")), model=f"{name}/{ships}")
    return ShippedRun(name, at, ships, said, folder if is_search else at, parts_of(folder, at))


def _of_run(folder: RunFolder) -> tuple[RunFolder, str]:
    return folder, folder.ships


def _of_sweep(sweep: RunFolder) -> tuple[RunFolder, str]:
    """The folder with the answers of what the sweep's own verdict ships, and the name that the model has there.

    A baseline answered the rows of the sweep itself, whether or not it is kept as a model. A finalist is a run of its
    own, of which the model lies in ``model`` or ``models/NAME``; what that run would ship by itself is not asked.
    """
    ships = sweep.ships
    if sweep.predictions(ships, "test").exists():
        return sweep, ships
    place = answering_run(sweep.path)
    if place.parent.name == "models":
        return RunFolder(place.parent.parent), place.name
    trial = RunFolder(place.parent)
    return trial, trial.saved


def rows_of(runs: Sequence[ShippedRun]) -> Examples | None:
    """The test rows, out of the first run that still has the very rows that were predicted; None where none has."""
    return next(_with_rows(runs), None)


def _with_rows(runs: Sequence[ShippedRun]) -> Iterator[Examples]:
    for run in runs:
        path = run.folder.data / "test.arrow"
        if not path.exists():
            continue
        rows, said = Examples.open(path), run.predictions
        if len(said) and int(said.ids.max()) < len(rows) and _stand_for(rows, said):
            yield rows


def _stand_for(rows: Examples, said: Predictions) -> bool:
    """Whether the rows at the ids are those predicted; a query is known by its text alone."""
    if said.kind == "ranks":
        return bool(np.array_equal(hashes(rows.texts(said.ids)), said.hashes))
    return bool(np.array_equal(rows.hashes[said.ids], said.hashes))
