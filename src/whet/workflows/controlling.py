"""Was it worth training on texts of the domain first? The last stage of every branch, on the same test rows.

And were these test rows learnt from before, in an earlier stage or in a task that shares the model?
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data import reading
from whet.data.forms import Examples
from whet.data.normal import hashes
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
from whet.workflows.nodes import ADAPTED, PROSE, Node, came_of

FILE = "controls.json"
WORDS = {
    "none": "going without",
    "irrelevant": "as much training on other text",
    "equal-compute": "the task alone, trained for as many more tokens",
}
MOST_PASSES = 20
"""Over one text, from which on training on it teaches little more, and a control by it is a weak one."""
_REPEATED = "The other text is short, and was gone over {:,.0f} times: name a longer one by controls.irrelevant."
_ANY_TRAINING = (
    "Neither other text nor equal compute was tried, so that it may just be more training, whatever the texts."
)
_HOLD_AGAINST = "Add irrelevant and equal-compute to controls.kinds, or use whet fit --controls."
TAUGHT_BY = ("base", "distillation.teacher")
"""Options by which one stage learns from what another one was trained on."""
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
        "irrelevant": (recipe.controls.irrelevant or PROSE) if "irrelevant" in recipe.controls.kinds else None,
        "controls": [one.to_json() for one in found],
    }
    told["other_text"] = other_text(nodes, place)
    finding = _finding(stage, metric, found, values, told)
    write_json(folder.path / FILE, {**told, "words": finding.message})
    return [finding]


def other_text(nodes: Sequence[Node], place: Callable[[str], RunFolder]) -> dict[str, dict[str, float]]:
    """How often each training on irrelevant text went over it, and of how many steps which left the best state."""
    found = {}
    for node in nodes:
        at = place(node.name)
        if node.branch != "irrelevant" or node.recipe.task not in ADAPTING or not at.scores.exists():
            continue
        known = read_json(at.facts(stage_results.trained(at)))
        steps = {name: float(known[name]) for name in ("steps", "best_step") if name in known}
        found[node.name] = {"epochs": float(stage_results.resolved(at, "training.epochs")), **steps}
    return found


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
    evidence = {key: told[key] for key in ("metric", "values", "epochs", "other_text", "controls")}
    passes = max((one["epochs"] for one in told["other_text"].values()), default=0.0)
    if not able:
        return Finding("X001", "not_applicable", f"{stage}: {FAILED_ALL}", stage, evidence=evidence)
    known = [value for value in values[ADAPTED] if value is not None]
    mean = number(float(np.mean(known)), metric)
    seeds = max(one.seeds for one in able)
    message = f"{stage} reaches {MEASURES[metric].words} {mean} after it, the mean of {seeds} seeds. "
    message += f"Against {'; against '.join(_words(one, metric) for one in able)}."
    failed = sum(one.failed for one in found)
    message += f" {failed} pairs of seeds are missing, since a run of theirs failed." if failed else ""
    message += f" {seeds} seeds are few: {FEW_SEEDS} or more tell better." if seeds < FEW_SEEDS else ""
    message += f" {_REPEATED.format(passes)}" if passes > MOST_PASSES else ""
    fair = [one for one in able if passes <= MOST_PASSES or one.kind != "irrelevant" or one.said != "better"]
    first, remedy = _whether(able, fair), _remedy(able, fair)
    return Finding("X001", _bin(able, fair), f"{first} {message}", stage, remedy, evidence)


def _words(one: Held, metric: str) -> str:
    """``going without: +1.2 points (0.4 to 2.0), better``."""
    assert one.value is not None and one.low is not None and one.high is not None
    sign = "+" if one.value > 0 else "-" if one.value < 0 else ""
    low, high = (number(end, metric) for end in (one.low, one.high))
    return f"{WORDS[one.kind]}: {sign}{amount(abs(one.value), metric)} ({low} to {high}), {one.said}"


def _whether(able: Sequence[Held], fair: Sequence[Held]) -> str:
    """The answer first. ``fair``: without better ones that stand against a control too weak to tell."""
    if any(one.said == "worse" for one in able):
        return "Training on texts of the domain did harm, or another use of its time is better."
    if all(one.said == "better" for one in able) and _only_without(able):
        return f"The task gained by the training on texts before it. {_ANY_TRAINING}"
    if fair and all(one.said == "better" for one in able):
        but = "" if len(fair) == len(able) else ", as far as its controls are fair"
        return f"Training on texts of the domain helped{but}."
    if any(one.said == "better" for one in fair):
        return "Training on texts of the domain helped, but not against every control."
    return "Whether training on texts of the domain helped cannot be told."


def _only_without(held: Sequence[Held]) -> bool:
    """Whether nothing but going without was held against, beside which any training might have helped."""
    return {one.kind for one in held} == {"none"}


def _bin(able: Sequence[Held], fair: Sequence[Held]) -> Any:
    said = {one.said for one in able}
    sure = said == {"better"} and len(fair) == len(able) and not _only_without(able)
    return "issue" if "worse" in said else "passed" if sure else "tip"


def _remedy(able: Sequence[Held], fair: Sequence[Held]) -> str:
    if any(one.said == "worse" for one in able):
        return "Leave the stage out, or look at its texts: are they those of the task's domain?"
    if len(fair) < len(able):
        return "Name a text about as long as that of the domain, and about something else: controls.irrelevant."
    if all(one.said == "better" for one in able):
        return _HOLD_AGAINST if _only_without(able) else ""
    return "More seeds (controls.seeds), more test rows, or more text of the domain would tell."


def seen_before(stages: Sequence[Node], place: Callable[[str], RunFolder], together: bool = False) -> list[Finding]:
    """X003: test rows of the last stage among the rows that it, or its teacher, learnt from in an earlier one.

    :param together: the nodes are tasks learnt together: of each task, its test rows among what the others learn from.
    """
    if together:
        asked = [(node, [one for one in stages if one is not node]) for node in stages]
    else:
        asked = [(stages[-1], came_of(stages[-1], {node.name: node for node in stages}, TAUGHT_BY))]
    return [_seen(node, before, place) for node, before in asked if before and node.recipe.task not in ADAPTING]


def _seen(node: Node, before: Sequence[Node], place: Callable[[str], RunFolder]) -> Finding:
    test = reading.reopen(place(node.name).data).splits["test"]
    wanted, each, seen = _keys(test, longer=True), dict[str, int](), np.zeros(len(test), dtype=bool)
    for one in before:
        there = np.concatenate(_keys(reading.reopen(place(one.name).data).splits["train"]))
        here = np.logical_or.reduce([np.isin(key, there) for key in wanted])
        each[one.name] = int(here.sum())
        seen |= here
    count, compared = int(seen.sum()), " and ".join(_taught(one) for one in before)
    if not count:
        message = f"No test row of {node.name} stands among {compared}."
        return Finding("X003", "passed", message, node.name, evidence={"rows": 0, "of": len(test), "each": each})
    evidence = {"rows": count, "of": len(test), "each": each, "examples": test.texts(np.flatnonzero(seen)[:5])}
    message = f"{count:,} of {len(test):,} test rows of {node.name} stand among {compared}."
    remedy = (
        f"New rows will not be known so well: take them out of the rows of {', '.join(n for n in each if each[n])}."
    )
    return Finding("X003", "issue", message, node.name, remedy, evidence)


def _taught(node: Node) -> str:
    if node.recipe.task in ADAPTING:
        return f"the training texts of {node.name} (without labels)"
    return f"the training rows of {node.name}"


def _keys(examples: Examples, longer: bool = False) -> list[NDArray[np.uint64]]:
    """(n,) each: hashes of rows, and of a pair those of each text by itself.

    :param longer: of a pair its longer text alone, since short ones, such as a yes, stand everywhere.
    """
    found = [examples.hashes]
    if examples.has_pairs:
        both = [(block["text"], block["text_pair"]) for block in examples.column_blocks(["text", "text_pair"])]
        if longer:
            found.append(hashes([max(pair, key=len) for block in both for pair in zip(*block, strict=True)]))
        else:
            found += [hashes([text for block in both for text in block[side]]) for side in (0, 1)]
    return found
