"""Was it worth training on texts of the domain first? The last stage of every branch, on the same test rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from whet.data import reading
from whet.data.predictions import Predictions
from whet.data.predictions import load as load_predictions
from whet.evaluation.controls import FEW_SEEDS, Held, held_against
from whet.evaluation.measures import MEASURES
from whet.evaluation.wording import amount, number
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.folder import FINISHED, RunFolder
from whet.recipe import Recipe
from whet.recipe.expanding import ADAPTING
from whet.workflows import stage_results
from whet.workflows.nodes import ADAPTED, Node

FILE = "controls.json"
WORDS = {
    "none": "going without",
    "irrelevant": "as much training on other text",
    "equal-compute": "the task alone, trained for as many more tokens",
}
FAILED_ALL = "controls: fewer than two seeds came to their end, so that nothing can be said."


def compare(
    folder: RunFolder, recipe: Recipe, nodes: Sequence[Node], place: Callable[[str], RunFolder]
) -> list[Finding]:
    """X001 and controls.json, where the recipe asks for controls."""
    if not recipe.controls.kinds:
        return []
    stage = [node.stage for node in nodes if node.is_stage][-1]
    said: dict[str, dict[int, Predictions]] = {branch: {} for branch in (ADAPTED, *recipe.controls.kinds)}
    epochs: dict[str, float] = {}
    for node in nodes:
        at = place(node.name)
        if node.stage != stage or not at.state.exists() or read_json(at.state)["state"] != FINISHED:
            continue
        said[node.branch][node.number] = load_predictions(at.predictions(stage_results.trained(at), "test"))
        epochs[node.branch] = float(stage_results.resolved(at, "training.epochs"))
    metric = str(read_json(place(stage).scores)["primary"])
    wanted = recipe.evaluation
    found = held_against(
        said[ADAPTED],
        {kind: said[kind] for kind in recipe.controls.kinds},
        metric,
        seed=recipe.seed,
        wanted=recipe.controls.seeds,
        alpha=wanted.alpha,
        num_resamples=wanted.resamples,
    )
    values = {branch: _values(place, nodes, stage, branch, metric) for branch in said}
    told = {
        "stage": stage,
        "metric": metric,
        "seeds": recipe.controls.seeds,
        "values": values,
        "epochs": epochs,
        "irrelevant": recipe.controls.irrelevant or "general text that comes along",
        "controls": [one.to_json() for one in found],
    }
    finding = _finding(stage, metric, found, values, told)
    write_json(folder.path / FILE, {**told, "words": finding.message})
    return [finding]


def _values(
    place: Callable[[str], RunFolder], nodes: Sequence[Node], stage: str, branch: str, metric: str
) -> list[float | None]:
    """The value of each seed on the test rows; None where it failed."""
    found: list[float | None] = []
    for node in nodes:
        if node.stage == stage and node.branch == branch:
            at = place(node.name)
            models = read_json(at.scores)["models"] if at.scores.exists() else {}
            one = models.get(stage_results.trained(at), {}).get(metric) if models else None
            found.append(None if one is None else float(one["value"]))
    return found


def _finding(
    stage: str, metric: str, found: Sequence[Held], values: dict[str, list[float | None]], told: dict[str, Any]
) -> Finding:
    able = [one for one in found if one.value is not None]
    evidence = {key: told[key] for key in ("metric", "values", "epochs", "controls")}
    if not able:
        return Finding("X001", "not_applicable", f"{stage}: {FAILED_ALL}", stage, evidence=evidence)
    known = [value for value in values[ADAPTED] if value is not None]
    mean = number(float(np.mean(known)), metric)
    seeds = max(one.seeds for one in able)
    message = f"{stage} reaches {MEASURES[metric].words} {mean} after it, the mean of {seeds} seeds. "
    message += "; ".join(_words(one, metric) for one in able) + "."
    failed = sum(one.failed for one in found)
    message += f" {failed} pairs of seeds are missing, since a run of theirs failed." if failed else ""
    message += f" {seeds} seeds are few: {FEW_SEEDS} or more tell better." if seeds < FEW_SEEDS else ""
    return Finding("X001", _bin(able), f"{_whether(able)} {message}", stage, _remedy(able), evidence)


def _words(one: Held, metric: str) -> str:
    """``Against going without: +1.2 points (0.4 to 2.0), better``."""
    assert one.value is not None and one.low is not None and one.high is not None
    sign = "+" if one.value > 0 else "-" if one.value < 0 else ""
    low, high = (number(end, metric) for end in (one.low, one.high))
    return f"Against {WORDS[one.kind]}: {sign}{amount(abs(one.value), metric)} ({low} to {high}), {one.said}"


def _whether(able: Sequence[Held]) -> str:
    """The answer first."""
    said = {one.kind: one.said for one in able}
    if all(value == "better" for value in said.values()):
        return "Training on texts of the domain helped."
    if any(value == "worse" for value in said.values()):
        return "Training on texts of the domain did harm, or another use of its time is better."
    if any(value == "better" for value in said.values()):
        return "Training on texts of the domain helped, but not against every control."
    return "Whether training on texts of the domain helped cannot be told."


def _bin(able: Sequence[Held]) -> Any:
    said = {one.said for one in able}
    return "passed" if said == {"better"} else "issue" if "worse" in said else "tip"


def _remedy(able: Sequence[Held]) -> str:
    if all(one.said == "better" for one in able):
        return ""
    if any(one.said == "worse" for one in able):
        return "Leave the stage out, or look at its texts: are they those of the task's domain?"
    return "More seeds (controls.seeds), more test rows, or more text of the domain would tell."


def seen_before(stages: Sequence[Node], place: Callable[[str], RunFolder]) -> list[Finding]:
    """X003: test rows of the last stage whose texts an earlier stage was trained on, without their labels."""
    texts = [node for node in stages[:-1] if node.recipe.task in ADAPTING]
    if not texts or stages[-1].recipe.task in ADAPTING:
        return []
    last = reading.reopen(place(stages[-1].name).data).splits["test"]
    seen = np.zeros(len(last), dtype=bool)
    for node in texts:
        seen |= np.isin(last.hashes, reading.reopen(place(node.name).data).splits["train"].hashes)
    count = int(seen.sum())
    evidence = {"rows": count, "of": len(last), "examples": last.texts(np.flatnonzero(seen)[:5])}
    if not count:
        message = "No test row of the last stage stands among the texts that were trained on before."
        return [Finding("X003", "passed", message, stages[-1].name)]
    message = f"{count:,} of {len(last):,} test rows stand among the texts that were trained on before, without labels."
    remedy = "New texts will not be known so well: take them out of the first stage's texts."
    return [Finding("X003", "issue", message, stages[-1].name, remedy, evidence)]
