"""Predictions of all models > the content of scores.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from whet.errors import Problem, UserError
from whet.evaluation.calibration import ece_interval, equal_mass_bins, fit_temperature, reliability
from whet.evaluation.intervals import LEVEL, RESAMPLES, Estimate, bootstrap_sums, wilson
from whet.evaluation.metrics import METRICS, confusion, is_proportion, metrics, per_class, primary_metric
from whet.evaluation.rows import checked, same_rows, without
from whet.evaluation.sums import Floats, Sums, blocks, confidence, resampled, sums
from whet.seeds import generator

if TYPE_CHECKING:
    from whet.data.predictions import Predictions

SHOWN = (*METRICS, "ece")


def score_all(
    predictions: Sequence[Predictions],
    *,
    seed: int,
    leaked_ids: Iterable[int] | None = None,
    split: str = "test",
    task: str = "text-classification",
    num_resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> dict[str, Any]:
    """Everything that scores.json holds, every metric as ``{value, low, high}`` at ``level``.

    :param predictions: any number of models on ``split`` and, where there are some, on "validation",
        mixed; all models of a split must speak of the same rows.
    :param leaked_ids: ids of rows of ``split`` that also stand in training; scored with and without.
    :raises UserError: V103 no predictions of ``split``; V109 one model twice; and as
        :func:`whet.evaluation.rows.same_rows`.
    """
    scored = _of_split(predictions, split)
    if not scored:
        raise UserError(Problem("V103", f"split {split!r}", "there are no predictions of it.", "Let a model predict."))
    validation = _of_split(predictions, "validation") if split != "validation" else {}
    first = next(iter(scored.values()))
    leaked = {int(number) for number in (() if leaked_ids is None else leaked_ids)} & set(first.ids.tolist())
    return {
        "task": task,
        "labels": list(first.labels),
        "multi_label": first.multi_label,
        "split": split,
        "num_rows": len(first),
        "primary": primary_metric(first),
        "models": _scores(scored, seed, num_resamples, level),
        "without_leaks": _without(scored, leaked, seed, num_resamples, level) if leaked else None,
        "per_class": {name: per_class(one) for name, one in scored.items()},
        "confusion": {name: confusion(one) for name, one in scored.items()},
        "reliability": {name: reliability(one) for name, one in scored.items()},
        "temperature": {name: fit_temperature(one) for name, one in validation.items() if name in scored},
        "validation": _scores(validation, seed, num_resamples, level) if validation else {},
    }


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
    parts = {name: sums(one, bins=equal_mass_bins(confidence(one))) for name, one in models.items()}
    num_rows = len(next(iter(parts.values())))
    rng = generator(seed, "scores", num_rows)
    drawn_as_one = blocks(num_rows, None, rng)
    if drawn_as_one is not None:
        parts = {name: part.grouped(drawn_as_one) for name, part in parts.items()}
    drawn = _drawn(parts, num_resamples, rng)
    found = {}
    for name, part in parts.items():
        estimates = bootstrap_sums(part, METRICS, drawn[name], num_rows, level)
        estimates["ece"] = ece_interval(part, drawn[name]["ece"], generator(seed, "ece", name), level)
        found[name] = _finished(models[name], estimates, level)
    return found


def _drawn(parts: Mapping[str, Sums], num_resamples: int, rng: np.random.Generator) -> dict[str, dict[str, Floats]]:
    """(R,) values of every metric of every model; the sums of a piece of work are dropped after it."""
    pieces: dict[str, list[dict[str, Floats]]] = {name: [] for name in parts}
    for totals in resampled(list(parts.values()), num_resamples, rng):
        for (name, part), total in zip(parts.items(), totals, strict=True):
            pieces[name].append(part.metrics(SHOWN, total))
    return {
        name: {metric: np.concatenate([piece[metric] for piece in some]) for metric in SHOWN}
        for name, some in pieces.items()
    }


def _finished(predictions: Predictions, estimates: Mapping[str, Estimate], level: float) -> dict[str, dict[str, float]]:
    """Point values by scikit-learn, intervals of the bootstrap, Wilson's for shares of rows."""
    points = metrics(predictions)
    right = wilson(int(predictions.correct.sum()), len(predictions), level)
    found = {}
    for name in SHOWN:
        estimate = estimates[name]
        value = points.get(name, estimate.value)
        low, high = estimate.low, estimate.high
        if is_proportion(name, multi_label=predictions.multi_label):
            low, high = right
        found[name] = Estimate(value, min(low, value), max(high, value)).to_json()
    return found
