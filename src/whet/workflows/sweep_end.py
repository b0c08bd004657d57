"""What a sweep leaves: sweep.json, sweep.html, and the word where its model lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from whet.engine.events import Event
from whet.evaluation.finalists import Chosen
from whet.files import write_json
from whet.folder import RUNNING, RunFolder
from whet.report import sweep_page
from whet.workflows import sweep_table, using
from whet.workflows.events import Said
from whet.workflows.running import Running
from whet.workflows.sweep_clock import Clock
from whet.workflows.sweep_finals import Closing, Finalist
from whet.workflows.sweep_findings import findings
from whet.workflows.sweep_study import Study, Tried

RESULT = "sweep.json"


def concluded(closing: Closing, study: Study, finalists: Sequence[Finalist], clock: Clock) -> Iterator[Event]:
    """sweep.json, sweep.html, the model to ship."""
    folder, recipe = closing.folder, closing.recipe
    verdict, gains, rows = sweep_table.judged(closing, finalists)
    trials = study.trials()
    noted = findings(recipe, study, verdict, gains, rows, closing.lost)
    _ship(folder, verdict, finalists)
    result = {
        "task": recipe.task,
        "base": recipe.base,
        "data": recipe.data.source,
        "metric": verdict.metric,
        "validation_metric": _goes_by(closing),
        "num_test_rows": verdict.num_rows,
        "search": recipe.search.model_dump(),
        "space": [one.to_json() for one in study.dimensions],
        "trials": [one.to_json() for one in trials],
        "table": rows,
        "over_own": {name: gap.to_json() for name, gap in gains.items()},
        "verdict": verdict.to_json(),
        "findings": [one.to_json() for one in noted],
        "seconds": round(clock.spent, 1),
        "counts": {**_counts(trials), "seeds": sweep_table.sizes(rows)},
    }
    write_json(folder.findings, result["findings"])
    write_json(folder.scores, sweep_table.scores(closing, finalists, verdict))
    write_json(folder.path / RESULT, result)
    sweep_page.write(folder.path, result)
    yield Said(verdict.reason)
    for one in noted:
        yield Said(f"  {one.code} {one.message}")


def _goes_by(closing: Closing) -> str:
    """What validation was measured by: the metric of the search, or what training itself goes by."""
    wanted = closing.recipe.search.metric
    run = Running(closing.recipe, closing.folder, closing.tell, closing.should_stop)
    return str(run.task.score) if wanted == "auto" else wanted


def _counts(trials: Sequence[Tried]) -> dict[str, int]:
    return {state: sum(one.state == state for one in trials) for state in ("complete", "pruned", "failed", "running")}


def _ship(folder: RunFolder, verdict: Chosen, finalists: Sequence[Finalist]) -> None:
    """Note where the model lies that the verdict ships: that of the first seed, or a baseline of the sweep.

    A baseline that is not kept as a model answers by nothing: the best of the finalists does.
    """
    write_json(folder.verdict, verdict.to_json())
    named = {one.name: one for one in finalists}
    ship = verdict.ship
    _take_back(folder)
    if ship not in named and (folder.models / ship).is_dir():
        write_json(folder.shipped, {"model": ship})
        (folder.models / ship).replace(folder.model)
        folder.write_state(RUNNING, answers=None)
        return
    best = max(named, key=lambda name: verdict.gains.get(name, {"value": 0.0})["value"])
    one = named[ship if ship in named else best]
    place = using.kept_models(one.places[0])[one.tried.model]
    folder.write_state(RUNNING, answers=place.relative_to(folder.path).as_posix())


def _take_back(folder: RunFolder) -> None:
    """A baseline that an earlier end of the same sweep shipped goes back to where it lay."""
    if folder.model.is_dir() and folder.shipped.exists():
        folder.models.mkdir(exist_ok=True)
        folder.model.replace(folder.models / folder.saved)
        folder.shipped.unlink()
