"""Predictions of all models > the content of scores.json."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from whet.errors import Problem, UserError
from whet.evaluation.calibration import binned, ece_interval, fit_temperature, reliability
from whet.evaluation.intervals import RESAMPLES, Estimate, bootstrap_sums, items
from whet.evaluation.kinds import is_share, kind_of, primary_of, right_by
from whet.evaluation.rows import checked, same_rows, without
from whet.evaluation.shares import LEVEL, wilson
from whet.evaluation.sums import Floats, Sums, blocks, resampled
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import ClassPredictions, Predictions


def score_all(
    predictions: Sequence[Predictions],
    *,
    seed: int,
    leaked_ids: Iterable[int] | None = None,
    split: str = "test",
    task: str = "text-classification",
    baselines: Collection[str] = (),
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Everything that scores.json holds, every metric as ``{value, low, high}`` at ``level``.

    Rows that know their groups are drawn as whole groups. ``labels`` stands there where the kind of
    predictions has any, ``reliability`` where it states probabilities, ``num_groups`` where rows come in
    groups. Classes have ``multi_label``, ``per_class`` and ``confusion``, the other kinds ``details``.

    :param predictions: any number of models on ``split`` and, where there are some, on "validation",
        mixed; all models of a split must speak of the same rows.
    :param leaked_ids: ids of rows of ``split`` that also stand in training; scored with and without.
    :param baselines: which models are; a primary metric need not measure all of them, see
        :func:`whet.evaluation.kinds.primary_of`.
    :raises UserError: V103 no predictions of ``split``; V109 one model twice; and as
        :func:`whet.evaluation.rows.same_rows`.
    """
    scored = _of_split(predictions, split)
    if not scored:
        raise UserError(Problem("V103", f"split {split!r}", "there are no predictions of it.", "Let a model predict."))
    validation = _of_split(predictions, "validation") if split != "validation" else {}
    first = next(iter(scored.values()))
    leaked = {int(number) for number in (() if leaked_ids is None else leaked_ids)} & set(first.ids.tolist())
    labels = getattr(first, "labels", None)
    groups = {} if first.groups is None else {"num_groups": len(np.unique(first.groups))}
    return {
        "task": task,
        "kind": first.kind,
        **({} if labels is None else {"labels": list(labels)}),
        "split": split,
        "num_rows": len(first),
        **groups,
        "primary": primary_of(list(scored.values()), baselines),
        "models": _scores(scored, seed, num_resamples, level),
        "without_leaks": _without(scored, leaked, seed, num_resamples, level) if leaked else None,
        **_details(scored),
        "temperature": {name: fit_temperature(one) for name, one in _classes(validation).items() if name in scored},
        "validation": _scores(validation, seed, num_resamples, level) if validation else {},
    }


def _details(scored: Mapping[str, Predictions]) -> dict[str, Any]:
    """What is known of each model beside its metrics."""
    first = next(iter(scored.values()))
    details = {name: kind_of(one).details(one) for name, one in scored.items()}
    found: dict[str, Any] = {"details": details}
    if classes := _classes(scored):
        found = {part: {name: details[name][part] for name in details} for part in ("per_class", "confusion")}
        found["multi_label"] = next(iter(classes.values())).multi_label
    if kind_of(first).decisions(first) is not None:
        found["reliability"] = {name: reliability(one) for name, one in scored.items()}
    return found


def _classes(models: Mapping[str, Predictions]) -> dict[str, ClassPredictions]:
    """Those of the models that predict classes: all or none."""
    return {name: cast("ClassPredictions", one) for name, one in models.items() if one.kind == "classes"}


def _of_split(predictions: Sequence[Predictions], split: str) -> dict[str, Predictions]:
    """The models of one split, rows in one order, proven to speak of the same rows."""
    found: dict[str, Predictions] = {}
    for one in predictions:
        if one.split != split:
            continue
        if one.model in found:
            raise UserError(Problem("V109", f"model {one.model!r}", f"is given twice for {split}.", "Give it once."))
        found[one.model] = same_rows(next(iter(found.values())), one)[1] if found else checked(one)
    return found


def _without(
    scored: Mapping[str, Predictions], leaked: set[int], seed: int, num_resamples: int, level: float
) -> dict[str, Any]:
    kept = {name: without(one, leaked) for name, one in scored.items()}
    num_rows = len(next(iter(kept.values())))
    models = _scores(kept, seed, num_resamples, level) if num_rows else {}
    return {"num_rows": num_rows, "models": models}


def _scores(
    models: Mapping[str, Predictions], seed: int, num_resamples: int, level: float
) -> dict[str, dict[str, dict[str, float]]]:
    """All metrics of all models, from one set of resamples that all models share."""
    first = next(iter(models.values()))
    groups = first.groups
    names = {name: kind_of(one).metrics(one) for name, one in models.items()}
    rows = {name: binned(one) for name, one in models.items()}
    rng = generator(seed, "scores", len(first))
    drawn_as_one = blocks(len(first), groups, rng)
    parts = rows if drawn_as_one is None else {name: part.grouped(drawn_as_one) for name, part in rows.items()}
    drawn = _drawn(parts, names, num_resamples, rng)
    found = {}
    for name, part in parts.items():
        num_items = items(models[name], names[name], groups, rows[name])
        estimates = bootstrap_sums(part, names[name], drawn[name], num_items, level)
        if "ece" in drawn[name]:
            estimates["ece"] = ece_interval(part, drawn[name]["ece"], generator(seed, "ece", name), level)
        found[name] = _finished(models[name], estimates, level)
    return found


def _drawn(
    parts: Mapping[str, Sums], names: Mapping[str, Sequence[str]], num_resamples: int, rng: np.random.Generator
) -> dict[str, dict[str, Floats]]:
    """(R,) values of every metric of every model; the sums of a piece of work are dropped after it."""
    pieces: dict[str, list[dict[str, Floats]]] = {name: [] for name in parts}
    for totals in resampled(list(parts.values()), num_resamples, rng):
        for (name, part), total in zip(parts.items(), totals, strict=True):
            shown = [*names[name], "ece"] if "ece" in part.formulas else names[name]
            pieces[name].append(part.metrics(shown, total))
    return {
        name: {metric: np.concatenate([piece[metric] for piece in some]) for metric in some[0]}
        for name, some in pieces.items()
    }


def _finished(predictions: Predictions, estimates: Mapping[str, Estimate], level: float) -> dict[str, dict[str, float]]:
    """Point values by a library where one has them, intervals of the bootstrap, Wilson's for shares of single rows."""
    points = kind_of(predictions).points(predictions)
    found = {}
    for name, estimate in estimates.items():
        value = points.get(name, estimate.value)
        low, high = estimate.low, estimate.high
        if predictions.groups is None and is_share(predictions, name):
            right = _right_of(predictions, name)
            low, high = wilson(int(right.sum()), len(right), level)
        found[name] = Estimate(value, min(low, value), max(high, value)).to_json()
    return found


def _right_of(predictions: Predictions, metric: str) -> NDArray[np.bool_]:
    """Whether each row that the metric speaks of is right."""
    population = kind_of(predictions).population(predictions, metric)
    right = right_by(predictions, metric)
    assert right is not None
    return right if population is None else right[population]
