"""Predictions of every model, scores with intervals, gates and the verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet import registry
from whet.baselines import TABLE, tfidf_linear
from whet.baselines.material import Material
from whet.data import audit
from whet.data.predictions import load as load_predictions
from whet.data.predictions import save as save_predictions
from whet.engine.events import Event
from whet.evaluation import calibration
from whet.evaluation.gates import gates
from whet.evaluation.scoring import score_all
from whet.evaluation.verdict import decide
from whet.files import read_json, write_json
from whet.inference import trained
from whet.tasks import text_classification as task
from whet.workflows.events import Said
from whet.workflows.gathering import gather
from whet.workflows.running import Running
from whet.workflows.training import Trained

SCORED = ("validation", "test")


def baseline(run: Running, name: str) -> Iterator[Event]:
    """Scores of one baseline in the form of predictions."""
    material = Material(run.data.splits, run.labels, run.multi_label, run.gold, run.unit_vectors, run.embed)
    start = time.monotonic()
    if name == tfidf_linear.NAME:
        facts = _fit_tfidf(run, material)
    else:
        found = registry.load(TABLE, name, "evaluation.baselines")(material, run.recipe.seed)
        _keep(run, name, found["validation"], found["test"], calibrated=name != "label_names")  # which knows no label
        facts = {}
    write_json(_facts(run, name), {"train_seconds": time.monotonic() - start, **facts})
    yield from ()


def _fit_tfidf(run: Running, material: Material) -> dict[str, Any]:
    """Fit, answer and save: where it is enough, it is what ships."""
    model = tfidf_linear.fit(material, run.recipe.seed)
    fitted = time.monotonic()
    found = tfidf_linear.answers(model, material)
    rows = sum(len(scores) for scores in found.values())
    rate = rows / max(time.monotonic() - fitted, 1e-9)
    temperature, thresholds = _keep(run, tfidf_linear.NAME, found["validation"], found["test"], calibrated=True)
    cut = None if thresholds is None else thresholds.tolist()
    folder = run.folder.models / tfidf_linear.NAME
    tfidf_linear.save(tfidf_linear.calibrated(model, temperature, cut), folder)
    size = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "predict_rows_per_second": rate,
        "size_bytes": size,
        "trainable_parameters": model.weight.size + model.bias.size,
        "temperature": temperature,
    }


def predict(run: Running, model: Trained) -> Iterator[Event]:
    """Predictions of a trained model, its temperature folded into its head."""
    start = time.monotonic()
    seen = {}
    for split in SCORED:
        encoded = run.encoded[split]
        tell = partial(_tell, run, f"{model.name} on {split}", len(encoded))
        seen[split] = trained.logits(model.model, encoded, tell)
    seconds = time.monotonic() - start
    scores = {split: task.probabilities(found, run.multi_label) for split, found in seen.items()}
    temperature, thresholds = _keep(run, model.name, scores["validation"], scores["test"], calibrated=True)
    with torch.no_grad():
        model.model.head.weight.div_(temperature)
        if model.model.head.bias is not None:
            model.model.head.bias.div_(temperature)
    rows = sum(len(found) for found in seen.values())
    facts = {**model.facts, "predict_rows_per_second": rows / seconds, "temperature": temperature}
    facts["thresholds"] = None if thresholds is None else [float(t) for t in thresholds]
    write_json(_facts(run, model.name), facts)
    yield from ()


def _tell(run: Running, what: str, total: int, done: int) -> None:
    run.tell(what, done, total)


def _facts(run: Running, name: str) -> Path:
    return run.folder.stages / "facts" / f"{name}.json"


def facts(run: Running, name: str) -> dict[str, Any]:
    """What is known of a model beside its predictions: seconds, weights, temperature."""
    return dict(read_json(_facts(run, name)))


def _keep(
    run: Running, name: str, validation: NDArray[np.float32], test: NDArray[np.float32], calibrated: bool
) -> tuple[float, NDArray[np.float32] | None]:
    """Save the predictions of one model on both splits.

    Temperature and thresholds are fitted on validation alone.
    """
    both = [run.predictions(name, "validation", validation), run.predictions(name, "test", test)]
    temperature = calibration.fit_temperature(both[0]) if calibrated else 1.0
    both = [calibration.apply_temperature(one, temperature) for one in both]
    thresholds = None
    if run.multi_label:
        assert both[0].gold is not None
        thresholds = calibration.choose_thresholds(both[0].scores, both[0].gold)
        both = [replace(one, thresholds=thresholds) for one in both]
    for one in both:
        save_predictions(one, run.folder.predictions(name, one.split))
    return temperature, thresholds


def score(run: Running, models: Sequence[str]) -> Iterator[Event]:
    """Predictions to scores.json."""
    found = [load_predictions(run.folder.predictions(name, split)) for name in models for split in SCORED]
    leaked = audit.load(run.folder.data / "audit.json").leaked
    evaluation = run.recipe.evaluation
    scores = score_all(found, seed=run.recipe.seed, leaked_ids=leaked, num_resamples=evaluation.resamples)
    kept = {name: facts(run, name).get("temperature") for name in models}
    scores["temperature_in_model"] = {name: value for name, value in kept.items() if value is not None}
    write_json(run.folder.scores, scores)
    yield from ()


def judge(run: Running, baselines: Sequence[str], candidates: Sequence[str]) -> Iterator[Event]:
    """Scores to verdict.json and findings.json."""
    test = {name: load_predictions(run.folder.predictions(name, "test")) for name in {*baselines, *candidates}}
    evaluation = run.recipe.evaluation
    scores = read_json(run.folder.scores)
    verdict = decide(
        [test[name] for name in candidates],
        [test[name] for name in baselines],
        seed=run.recipe.seed,
        metric=scores["primary"],
        margin=evaluation.margin,
        alpha=evaluation.alpha,
        costs=_costs(run, sorted(test)),
        num_resamples=evaluation.resamples,
    )
    write_json(run.folder.verdict, verdict.to_json())
    found = gates(verdict, list(test.values()), scores, seed=run.recipe.seed)
    gathered = gather(run.folder, found, {name: facts(run, name) for name in candidates})
    write_json(run.folder.findings, [finding.to_json() for finding in gathered])
    yield Said(verdict.reason)


def _costs(run: Running, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    wanted = ("train_seconds", "predict_rows_per_second", "size_bytes", "trainable_parameters")
    known = {name: facts(run, name) for name in names}
    return {name: {key: value[key] for key in wanted if value.get(key) is not None} for name, value in known.items()}
