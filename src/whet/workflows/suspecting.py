"""Labels that the rows around them speak against: looked for in a run, written to a file that people go through."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.data.folds import folds
from whet.data.forms import Examples
from whet.data.splitting import joined
from whet.data.suspects import in_cell, refuse_precious, separator, write_suspects
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.evaluation.label_noise import PACKAGE, SHOWN, can_look, doubted, finding
from whet.files import read_json, write_json
from whet.folder import RunFolder, run_behind
from whet.kernels.out_of_fold import out_of_fold
from whet.recipe import Recipe, load
from whet.seeds import generator
from whet.tasks.text_classification import STRENGTHS, probabilities, targets_of
from whet.workflows import preparing
from whet.workflows.events import Said
from whet.workflows.rows import Tell
from whet.workflows.running import SPLITS, Running

TASK = "text-classification"
FOLDS = 5
MOST_ROWS = 20_000
"""Rows of training that a run looks at, drawn at random; 'whet suspects' looks at all."""
FILE = "label_noise.json"


def wanted(run: Running) -> bool:
    """Whether a run looks for doubtful labels."""
    return run.recipe.task == TASK and run.recipe.evaluation.label_noise


def look(run: Running) -> Iterator[Event]:
    """Doubtful labels of training to data/label_noise.json."""
    if not can_look():
        write_json(run.folder.data / FILE, {"missing": True})
        return
    size = len(run.examples("train"))
    chosen = np.arange(size)
    if size > MOST_ROWS:
        chosen = np.sort(generator(run.recipe.seed, "label noise rows", size).choice(size, MOST_ROWS, replace=False))
    found = _found(run, {"train": chosen})
    write_json(run.folder.data / FILE, found)
    told = finding(found)
    if told.bin == "tip":
        yield Said(f"  {told.code} {told.message}")


def kept(folder: RunFolder) -> dict[str, Any] | None:
    """What :func:`look` left; None where nothing was looked for."""
    path = folder.data / FILE
    return dict(read_json(path)) if path.exists() else None


def _found(run: Running, chosen: Mapping[str, NDArray[np.int64]]) -> dict[str, Any]:
    """Of the chosen rows by split: which labels are doubtful, as JSON."""
    gold = np.concatenate([run.gold[split][rows] for split, rows in chosen.items()])
    features = torch.cat([run.features(split)[torch.from_numpy(rows)] for split, rows in chosen.items()])
    keys = _together({split: run.examples(split) for split in chosen})
    together = np.concatenate([keys[split][rows] for split, rows in chosen.items()])
    parts = torch.from_numpy(folds(gold, together, FOLDS, run.recipe.seed))
    intercept = run.frozen.linear_head.bias is not None
    judged = out_of_fold(
        features,
        targets_of(gold).values,
        len(run.labels),
        parts,
        STRENGTHS,
        intercept,
        lambda done, total: run.tell("labels judged by other rows", done, total),
    )
    found = doubted(gold, probabilities(judged.logits, run.multi_label), seed=run.recipe.seed)
    about: dict[str, Any] = {"num_rows": len(gold), "folds": FOLDS, "strength": judged.strength}
    if found is None:
        return {**about, "num_judged": 0, "rows": [], "examples": []}
    places = np.concatenate([[(number, row) for row in rows] for number, rows in enumerate(chosen.values())])
    splits = list(chosen)
    rows = []
    for place, row in enumerate(found.rows.tolist()):
        split, own = splits[places[row, 0]], int(places[row, 1])
        rows.append(
            {
                "split": split,
                "row": own,
                "given": _names(run, gold[row]),
                "suggested": _names(run, found.suggested[place]),
                "quality": round(float(found.quality[place]), 6),
                "confidence": round(float(found.confidence[place]), 6),
            }
        )
    rate = dict(zip(("value", "low", "high"), found.rate, strict=True))
    about |= {"num_judged": found.num_judged, "accuracy": found.accuracy, "rate": rate, "rows": rows}
    return {**about, "examples": [_example(run, one) for one in rows[:SHOWN]]}


def _together(splits: Mapping[str, Examples]) -> dict[str, NDArray[np.uint64]]:
    """(n,) by split: one key for rows that must be in one fold, of equal texts or of one group, over all splits."""
    hashes = [examples.hashes for examples in splits.values()]
    groups = [examples.groups for examples in splits.values()]
    keys = [np.concatenate(hashes)]
    if any(one is not None for one in groups):  # rows without groups stand alone but for their texts
        known = [of_texts if one is None else one for one, of_texts in zip(groups, hashes, strict=True)]
        keys.append(np.concatenate(known))
    ends = np.cumsum([len(one) for one in hashes])
    return dict(zip(splits, np.split(joined(keys), ends[:-1]), strict=True))


def _names(run: Running, truth: Any) -> str | list[str]:
    if run.multi_label:
        return [label for label, has in zip(run.labels, truth, strict=True) if has]
    return str(run.labels[int(truth)])


def _example(run: Running, row: Mapping[str, Any]) -> dict[str, Any]:
    examples = run.examples(str(row["split"]))
    number = int(row["row"])
    shown = {
        "split": row["split"],
        "line": int(examples.rows([number], "line")[0]),
        "text": examples.texts([number])[0],
    }
    pairs = examples.pairs([number])
    more = {"given": row["given"], "suggested": row["suggested"], "confidence": round(float(row["confidence"]), 3)}
    return {**shown, **({} if pairs is None else {"text_pair": pairs[0]}), **more}


def suspects(source: str, changes: Mapping[str, Any], out: Path, everything: bool, tell: Tell) -> dict[str, Any]:
    """Write the doubtful rows of data, of a recipe's data or of a run to ``out``; what was found, as JSON.

    :param source: a data source, a recipe file, or the folder of a run.
    :param everything: rows of validation and test, too, not training alone.
    :raises UserError: D087, the task has no class labels; D088, cleanlab is missing; whatever reading the data raises.
    """
    if not can_look():
        raise UserError(Problem("D088", "cleanlab", "is not installed.", f"pip install '{PACKAGE}'"))
    folder = RunFolder(run_behind(Path(source)))
    refuse_precious(out)
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        run = _of_run(folder, Path(work), tell) if folder.is_run else _of_data(source, changes, Path(work), tell)
        splits = SPLITS if everything else SPLITS[:1]
        found = _found(run, {split: np.arange(len(run.examples(split))) for split in splits})
        mark = separator(run.labels)
        write_suspects(out, (_row(run, one, mark) for one in found["rows"]))
    return {**found, "finding": finding(found).to_json(), "out": str(out)}


def _of_run(folder: RunFolder, work: Path, tell: Tell) -> Running:
    """The rows of a run as it read them, and its base."""
    recipe = load(folder.recipe)
    _refuse_task(recipe)
    copied = RunFolder(work)
    copied.data.mkdir()
    for path in folder.data.iterdir():
        (copied.data / path.name).symlink_to(path.resolve())
    for name in ("ledger.json", "audit.json"):  # written to again
        text = (folder.data / name).read_bytes()
        (copied.data / name).unlink()
        (copied.data / name).write_bytes(text)
    run = Running(recipe, copied, tell, lambda: False)
    for stage in (preparing.encode, preparing.decide):
        list(stage(run))
    return run


def _of_data(source: str, changes: Mapping[str, Any], work: Path, tell: Tell) -> Running:
    from whet.workflows.starting import is_recipe, recipe_of, refuse_stages

    file = Path(source) if is_recipe(source) else None
    recipe = recipe_of({**changes, "data.source": source} if file is None else changes, file)
    refuse_stages(recipe, "suspects")
    _refuse_task(recipe)
    run = Running(recipe, RunFolder(work), tell, lambda: False)
    for stage in (preparing.read, preparing.look, preparing.encode, preparing.decide):
        list(stage(run))
    return run


def _refuse_task(recipe: Recipe) -> None:
    if recipe.task != TASK:
        what = f"is {recipe.task}: doubtful labels are looked for in {TASK} alone."
        raise UserError(Problem("D087", "task", what, "Name rows that carry class labels."))


def _row(run: Running, one: Mapping[str, Any], mark: str) -> dict[str, Any]:
    examples, number = run.examples(str(one["split"])), int(one["row"])
    file, _, line = examples.place(number).rpartition(":")
    pairs: Sequence[str] | None = examples.pairs([number])
    return {
        "file": file,
        "line": line,
        "text": examples.texts([number])[0],
        "text_pair": "" if pairs is None else pairs[0],
        "label": in_cell(one["given"], mark),
        "suggested": in_cell(one["suggested"], mark),
        "quality": f"{one['quality']:.4f}",
        "confidence": f"{one['confidence']:.4f}",
    }
