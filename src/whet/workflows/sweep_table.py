"""The table of a sweep: what finalists, every training of theirs, and baselines are worth, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from whet.data import audit
from whet.data.predictions import load as load_predictions
from whet.evaluation.finalists import Chosen, Contender, Gap, against, choose
from whet.evaluation.kinds import values_of
from whet.evaluation.scoring import score_all
from whet.evaluation.wording import model_words
from whet.files import read_json
from whet.folder import RunFolder
from whet.recipe import load
from whet.workflows.running import Running
from whet.workflows.sweep_finals import Closing, Finalist

COSTS = ("train_seconds", "predict_rows_per_second", "size_bytes", "trainable_parameters")
TABLE = (*COSTS, "total_parameters", "added_bytes", "base_bytes")
"""Of memory what training a model added: one process trains them all, and its peak grows with what it holds."""


def rivals(closing: Closing) -> list[Contender]:
    """The baselines as contenders."""
    run = Running(closing.recipe, closing.folder, closing.tell, closing.should_stop)
    names = [name for name in run.value("evaluation.baselines") if closing.folder.predictions(name, "test").exists()]
    found = []
    for name in names:
        known = read_json(closing.folder.facts(name)) if closing.folder.facts(name).exists() else {}
        said = load_predictions(closing.folder.predictions(name, "test"))
        found.append(Contender(name, (said,), name, model_words(name), True, _costs([known])))
    return found


def _costs(facts: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Means over trainings."""
    found = {}
    for name in TABLE:
        known = [float(one[name]) for one in facts if one.get(name) is not None]
        if known:
            found[name] = sum(known) / len(known)
    return found


def judged(closing: Closing, finalists: Sequence[Finalist]) -> tuple[Chosen, dict[str, Gap], list[dict[str, Any]]]:
    """The verdict, how each finalist stands to the recipe as it stands, and the rows of the table, cheapest first."""
    wanted = closing.recipe.evaluation
    ours = [Contender(one.name, one.runs(), one.method, one.words, False, _costs(one.facts())) for one in finalists]
    held = rivals(closing)
    known: dict[str, Any] = {"seed": closing.recipe.seed, "alpha": wanted.alpha, "num_resamples": wanted.resamples}
    verdict = choose([*held, *ours], margin=wanted.margin, **known)
    own = next((one for one, given in zip(ours, finalists, strict=True) if given.tried.is_own), None)
    gains = (
        {}
        if own is None
        else {one.name: against(one, own, verdict.metric, **known) for one in ours if one.name != own.name}
    )
    by_name = {one.name: one for one in finalists}
    rows = []
    for one in [*held, *ours]:
        entry: dict[str, Any] = {
            "name": one.name,
            "words": one.words,
            "kind": one.kind,
            "is_baseline": one.baseline,
            "value": verdict.values.get(one.name),
            "num_seeds": len(one.runs),
            "ships": one.name == verdict.ship,
            "near_best": one.name in verdict.near_best,
            "costs": dict(one.costs),
        }
        if (finalist := by_name.get(one.name)) is not None:
            entry |= _of_finalist(closing, finalist, verdict.metric)
        rows.append(entry)
    order = list(verdict.values)
    rows.sort(key=lambda row: order.index(row["name"]) if row["name"] in order else -1)
    return verdict, gains, rows


def scores(closing: Closing, finalists: Sequence[Finalist], verdict: Chosen) -> dict[str, Any]:
    """The content of scores.json: baselines, and the first training of each finalist.

    By the metric of the verdict each is worth what the verdict says of its setting, so that one figure stands
    everywhere; what each training gave by itself is told by sweep.json.
    """
    recipe = closing.recipe
    found = []
    names = [one.name for one in rivals(closing)]
    for split in ("validation", "test"):
        found += [load_predictions(closing.folder.predictions(name, split)) for name in names]
        for one in finalists:
            said = load_predictions(one.places[0].predictions(one.tried.model, split))
            found.append(replace(said, model=one.name))
    told = score_all(
        found,
        seed=recipe.seed,
        leaked_ids=audit.load(closing.folder.data / "audit.json").leaked,
        task=recipe.task,
        num_resamples=recipe.evaluation.resamples,
        baselines=names,
    )
    for name, value in verdict.values.items():
        told["models"][name][verdict.metric] = {part: value[part] for part in ("value", "low", "high")}
    return told


def _of_finalist(closing: Closing, one: Finalist, metric: str) -> dict[str, Any]:
    return {
        "trial": one.tried.number,
        "setting": one.tried.setting,
        "validation": one.tried.value,
        "failed": list(one.failed.values()),
        "left_out": len(one.left_out),
        "runs": [_within(closing, place) for place in one.places],
        "seeds": sorted(trainings(closing, one, metric), key=lambda row: int(row["seed"])),
        "forgetting": _forgotten(one),
    }


def _within(closing: Closing, place: RunFolder) -> str:
    return place.path.relative_to(closing.folder.path).as_posix()


def trainings(closing: Closing, one: Finalist, metric: str) -> Iterator[dict[str, Any]]:
    """Every training of a setting with its own value on test rows, those that are not judged, too.

    ``cut``: the time of the search ended it; ``note``: what else there is to say, such as why there is no value.
    """
    judged = one.judged
    for place in one.places:
        judges, cut = place in judged, one.was_cut(place)
        row = {"seed": load(place.recipe).seed, "run": _within(closing, place), "judges": judges, "cut": cut}
        value = values_of(one.said(place)).get(metric)
        yield {**row, "value": value, "note": _note(one, place is one.places[0], judges, cut)}
    missing = {**one.failed, **dict.fromkeys(one.left_out, "")}
    for seed, why in missing.items():
        row = {"seed": seed, "run": None, "judges": False, "cut": False, "value": None}
        yield {**row, "note": f"failed: {why}" if why else "left out for time"}


def _note(one: Finalist, is_first: bool, judges: bool, cut: bool) -> str:
    said = []
    if is_first:
        said.append("first training" if one.tried.is_own else "chose the setting")
    if cut:
        said.append("cut short by the time")
    if not judges:
        said.append("does not judge")
    return ", ".join(said) if not judges or cut else ""


def _forgotten(one: Finalist) -> dict[str, Any] | None:
    """What the first training forgot; None where it was not measured."""
    path = one.places[0].forgetting
    if not path.exists():
        return None
    told = read_json(path)
    entry = told["models"].get(one.tried.model, {}).get("forgotten")
    if entry is None:
        return None
    found = {name: entry[name] for name in ("value", "low", "high") if name in entry}
    return {"way": told.get("way"), **found}


def sizes(rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many trainings there were, how many of them the time cut, how many failed, or there was no time for."""
    ours = [row for row in rows if not row["is_baseline"]]
    return {
        "trained": sum(len(row["runs"]) for row in ours),
        "judged": sum(int(row["num_seeds"]) for row in ours),
        "cut": sum(bool(one["cut"]) for row in ours for one in row["seeds"]),
        "failed": sum(len(row["failed"]) for row in ours),
        "left_out": sum(int(row["left_out"]) for row in ours),
    }
