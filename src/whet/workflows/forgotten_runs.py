"""Finished runs side by side: what each model learnt and forgot; runs that have not measured it do so now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError
from whet.files import Lock, read_json
from whet.folder import FINISHED, RunFolder, answering_run
from whet.workflows.rows import Tell


@dataclass(frozen=True, slots=True)
class ForgottenRun:
    """A run by the shortest name that tells it apart, and what its forgetting.json holds."""

    name: str
    path: Path
    told: dict[str, Any]


def side_by_side(paths: Sequence[Path], tell: Tell) -> list[ForgottenRun]:
    """What every run learnt and forgot.

    :raises UserError: F015, a run is not finished; F016, one is named twice; F026, they do not measure the same;
        F022, nothing can be measured on their base.
    """
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError(Problem("F016", "RUN", "a run is named twice."))
    short = [path.resolve().name for path in paths]
    names = [name if short.count(name) == 1 else str(path) for path, name in zip(paths, short, strict=True)]
    found = [
        ForgottenRun(name, path, _told(RunFolder(answering_run(path)), tell))
        for name, path in zip(names, paths, strict=True)
    ]
    ways = {(one.told["way"], one.told["learned"]["metric"]) for one in found if "way" in one.told}
    if len(ways) > 1:
        what = f"measure different things: {'; '.join(f'{way}, {metric}' for way, metric in sorted(ways))}."
        raise UserError(Problem("F026", "RUN", f"these runs {what}", "Name runs of one task."))
    return found


def _told(folder: RunFolder, tell: Tell) -> dict[str, Any]:
    state = folder.read_state()["state"]
    if state != FINISHED:
        what = f"is {state}, not finished."
        raise UserError(Problem("F015", str(folder.path), what, f"Go on with: {folder.going_on}"))
    if not folder.forgetting.exists():
        with Lock(folder.path):
            _measure(folder, tell)
    return dict(read_json(folder.forgetting))


def _measure(folder: RunFolder, tell: Tell) -> None:
    """Measure a run that has not, on the models that it saved; its findings and its page are brought up to date."""
    from whet.files import write_json
    from whet.recipe import load
    from whet.report import write_report
    from whet.workflows import forgetting
    from whet.workflows.running import Running

    recipe = load(folder.recipe)
    run = Running(recipe, folder, tell, lambda: False)
    for _ in forgetting.measured(run, forgetting.models_of(run), folder.models):
        pass  # what is said is in the findings
    forgetting.stand(folder, recipe.seed, recipe.evaluation.resamples)
    others = [one for one in read_json(folder.findings) if one["code"] != "V009"]
    merged = [*others, *read_json(folder.forgetting)["findings"]]
    write_json(folder.findings, sorted(merged, key=lambda one: str(one["code"])))
    write_report(folder.path)
