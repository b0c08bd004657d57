"""Finished run folders made of predictions alone, for what looks at runs and never at models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tests.evaluation.made import single
from whet.data.forms import Examples, Shape, writing
from whet.data.predictions import Predictions, save
from whet.files import write_json
from whet.folder import FINISHED, RunFolder

WORDS = ["parcel", "refund", "invoice", "address", "password", "garden", "window", "silver", "yellow", "morning"]
LABELS = "abcdefgh"


def texts(n: int, seed: int = 0) -> list[str]:
    """Texts of some words; a third are questions, a third hold a number."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(n):
        words = " ".join(rng.choice(WORDS, rng.integers(3, 12)))
        made.append(f"{words}{f' {number}' if rng.random() < 1 / 3 else ''}{'?' if rng.random() < 1 / 3 else ''}")
    return made


def run_of(
    path: Path,
    predictions: Predictions,
    rows: Sequence[str] | None,
    *,
    task: str = "text-classification",
    recipe: dict[str, Any] | None = None,
    facts: dict[str, Any] | None = None,
    forgetting: dict[str, Any] | None = None,
) -> Path:
    """A finished run that ships the model of ``predictions``, which get the hashes of ``rows``, its test texts."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    if rows is not None:
        labels = [LABELS[one] for one in predictions.gold] if predictions.kind == "classes" else None  # type: ignore[attr-defined]
        shape = Shape.labelled_rows(labelled=labels is not None)
        (path / "data").mkdir()
        with writing(path / "data" / "test.arrow", shape) as into:
            columns: dict[str, Any] = {"text": list(rows)} | ({} if labels is None else {"label": labels})
            into.write_rows("test.csv", range(2, len(rows) + 2), columns)
        predictions = replace(predictions, hashes=Examples.open(path / "data" / "test.arrow").hashes)
    save(predictions, folder.predictions(predictions.model, "test"))
    folder.write_state(FINISHED, name=path.name)
    write_json(folder.verdict, {"ship": predictions.model})
    write_json(folder.scores, {"task": task, "kind": predictions.kind})
    write_json(folder.facts(predictions.model), facts or {})
    asked = {"seed": 0, "method": "full", "training": {"epochs": 3}} | (recipe or {})
    folder.recipe.write_text(yaml.safe_dump(asked))
    resolved = {name: {"value": value, "reason": "default"} for name, value in asked.items() if name != "training"}
    folder.resolved.write_text(yaml.safe_dump(resolved, sort_keys=False))
    write_json(folder.environment, {"whet": "0", "packages": {"torch": "2"}})
    if forgetting is not None:
        write_json(folder.forgetting, forgetting)
    return path


def two(
    folder: Path,
    n: int,
    *,
    broke: Sequence[int] = (),
    fixed: Sequence[int] = (),
    named: tuple[str, str] = ("old", "new"),
) -> tuple[Path, Path]:
    """An old and a new run on ``n`` rows, which differ on the rows ``broke`` and ``fixed`` alone."""
    rng = np.random.default_rng(3)
    gold = rng.integers(0, 3, n)
    wrong = rng.random(n) < 0.1
    wrong[list(broke)], wrong[list(fixed)] = False, True
    turned = wrong.copy()
    turned[list(broke)], turned[list(fixed)] = True, False
    made = []
    for name, mistakes, method in zip(named, (wrong, turned), ("full", "lora"), strict=True):
        said = single(gold, np.where(mistakes, (gold + 1) % 3, gold), num_labels=3, model="full", sure=0.9)
        facts = {"train_seconds": 3.0, "predict_rows_per_second": 20.0, "size_bytes": 1_000_000}
        made.append(run_of(folder / name, said, texts(n), recipe={"method": method}, facts=facts))
    return made[0], made[1]
