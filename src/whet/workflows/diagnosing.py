"""What the curves and answers of a finished training say: W001 to W006, each with what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from whet.data.forms import Examples
from whet.data.predictions import Predictions, load
from whet.evaluation.collapse import collapsed
from whet.evaluation.curves import diagnose_curves, read_curves
from whet.evaluation.kinds import kind_of
from whet.evaluation.likeness import gap, told_apart, unlike
from whet.evaluation.steadiness import of_attempts
from whet.files import read_json
from whet.findings import Finding
from whet.folder import RunFolder

Facts = Mapping[str, Mapping[str, Any]]


def diagnosis(folder: RunFolder, events: Sequence[Mapping[str, Any]], tuned: Facts) -> Iterator[Finding]:
    """V005 and W001 to W005 of every fine-tuned model.

    :param events: evaluations and notes of the run, each once.
    :param tuned: what is known of the fine-tuned models, by name.
    """
    if not tuned:
        for code in ("V005", "W001", "W002", "W003", "W004", "W005"):
            yield Finding(code, "not_applicable", "Nothing was fine-tuned.")
    for name, facts in tuned.items():
        own = [e for e in events if e.get("model") == name and e.get("attempt") == facts["attempt"]]
        curve = [e for e in own if e["kind"] == "evaluation"]
        lowered = sum(e["kind"] == "note" and e.get("code") == "E002" for e in own)
        ended = str(facts.get("ended", ""))
        if curve and not any("train_loss" in e for e in curve):
            yield from _without_curve(name)
        else:
            yield read_curves(curve, name, ended=ended, lowered=lowered)
            yield from diagnose_curves(curve, name, ended=ended, lowered=lowered)
        yield collapsed(load(folder.predictions(name, "validation")))
        yield of_attempts(attempts(folder, name, events), name)


def _without_curve(name: str) -> Iterator[Finding]:
    """V005 and W001 to W003 of a model whose head is fitted anew at every look, so that training rows tell nothing."""
    message = "Its head is fitted on the training rows at every look, so that their loss does not tell how it learns."
    for code in ("V005", "W001", "W002", "W003"):
        yield Finding(code, "not_applicable", message, name)


def attempts(folder: RunFolder, name: str, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """How each training of a model ended, in order."""
    files = sorted((folder.checkpoints / name).glob("*/outcome.json"), key=lambda path: int(path.parent.name))
    if files:
        return [dict(read_json(path)) for path in files]
    failed = [e for e in events if e["kind"] == "note" and e.get("code") == "E003" and e.get("model") == name]
    return [{"failed": True, "best_score": None} for _ in failed] or [{"failed": False, "best_score": None}]


def validation_and_test(
    folder: RunFolder, model: str, metric: str, *, seed: int, margin: float, alpha: float, num_resamples: int
) -> Finding:
    """W006 of the model that the gates look at."""
    validation, test = (load(folder.predictions(model, split)) for split in ("validation", "test"))
    if not _measurable(validation, metric):
        message = f"On validation {model} says nothing that {metric} could measure."
        return Finding("W006", "not_applicable", message, model)
    found = gap(validation, test, metric, seed=seed, level=1 - alpha, num_resamples=num_resamples)
    rows = [Examples.open(folder.data / f"{split}.arrow") for split in ("validation", "test")]
    texts = [[text for block in one.joined_blocks() for text in block] for one in rows]
    groups = [one.groups for one in rows]
    known = None if any(one is None for one in groups) else np.concatenate([one for one in groups if one is not None])
    return unlike(found, told_apart(texts[0], texts[1], known, seed=seed), model, metric, margin)


def _measurable(validation: Predictions, metric: str) -> bool:
    return bool(len(validation)) and validation.has_gold and metric in kind_of(validation).metrics(validation)
