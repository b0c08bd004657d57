"""Runs side by side: the models they ship, on the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from whet.data.predictions import Predictions, load
from whet.errors import Problem, UserError
from whet.evaluation.scoring import score_all
from whet.evaluation.steadiness import of_seeds
from whet.evaluation.verdict import decide
from whet.files import read_json
from whet.folder import RunFolder


def compare(paths: Sequence[Path], margin: float, alpha: float, seed: int = 0) -> dict[str, Any]:
    """Scores and a verdict over the shipped models of ``paths``; the first run is what the others are held against.

    :raises UserError: F016, fewer than two runs or one twice; V101, their test rows differ; V102, their tasks do.
    """
    if len({path.resolve() for path in paths}) < 2 or len({path.resolve() for path in paths}) < len(paths):
        raise UserError(Problem("F016", "RUN", "a comparison needs two or more different runs."))
    found = [_shipped(path, name) for path, name in _names(paths)]
    _of_one_sort(found, paths)
    verdict = decide(found[1:], found[:1], seed=seed, margin=margin, alpha=alpha)
    scores = score_all(found, seed=seed)
    steady = [of_seeds(some, seed=seed, margin=margin, alpha=alpha) for some in _seeds(found, paths)]
    return {
        "runs": {one.model: str(path) for one, path in zip(found, paths, strict=True)},
        "num_test_rows": scores["num_rows"],
        "scores": scores["models"],
        "verdict": verdict.to_json(),
        "findings": [one.to_json() for one in steady],
    }


def _seeds(found: Sequence[Predictions], paths: Sequence[Path]) -> list[list[Predictions]]:
    """The models of runs whose recipes differ by nothing but their seed, where there are several."""
    alike: dict[str, list[Predictions]] = {}
    for one, path in zip(found, paths, strict=True):
        recipe = yaml.safe_load(RunFolder(path).recipe.read_text(encoding="utf-8"))
        known = {name: value for name, value in recipe.items() if name != "seed"}
        alike.setdefault(repr((one.model.rsplit("/", 1)[-1], known)), []).append(one)
    return [some for some in alike.values() if len(some) > 1]


def _names(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Each run with the shortest name that tells it apart: its folder's, or its whole path."""
    short = [path.resolve().name for path in paths]
    return [(path, name if short.count(name) == 1 else str(path)) for path, name in zip(paths, short, strict=True)]


def _of_one_sort(found: Sequence[Predictions], paths: Sequence[Path]) -> None:
    """:raises UserError: V102, runs whose answers mean different things."""
    first, task = found[0], _task(paths[0])
    for one, path in zip(found[1:], paths[1:], strict=True):
        if (one.kind, getattr(one, "purpose", "")) != (first.kind, getattr(first, "purpose", "")):
            what = f"is a run of {_task(path)}, and {paths[0]} one of {task}."
            raise UserError(Problem("V102", str(path), what, "Compare runs of one task."))


def _task(path: Path) -> str:
    return str(read_json(RunFolder(path).scores)["task"])


def _shipped(path: Path, name: str) -> Predictions:
    folder = RunFolder(path)
    folder.read_state()
    model = read_json(folder.verdict)["ship"]
    return replace(load(folder.predictions(model, "test")), model=f"{name}/{model}")
