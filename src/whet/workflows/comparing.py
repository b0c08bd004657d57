"""Runs side by side: the models they ship, on the same test rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml
from numpy.typing import NDArray

from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.data.source_columns import column_parts, source_columns
from whet.data.traits import traits, words
from whet.evaluation import slices
from whet.evaluation.changed import changed, counted
from whet.evaluation.kinds import is_share_of_all
from whet.evaluation.rows import same_rows
from whet.evaluation.scoring import score_all
from whet.evaluation.steadiness import of_seeds
from whet.evaluation.verdict import decide
from whet.evaluation.weakness import PARTS
from whet.files import read_json
from whet.folder import RunFolder
from whet.recipe.names import BaselineName
from whet.workflows import recipe_differences, stage_results
from whet.workflows.changed_rows import Row, told
from whet.workflows.two_runs import ShippedRun, opened, rows_of

COSTS = ("train_seconds", "predict_rows_per_second", "size_bytes", "trainable_parameters", "peak_bytes")
OF_THE_BASE = ("probe", "label_names", "base_cosine", "base")
"""Baselines that ask the base, and with it what earlier stages made of it."""
EXAMPLES = 20
"""Changed rows of each run that are among what ``--json`` prints."""


@dataclass(frozen=True, slots=True)
class Beside:
    """One run beside the first: rows that changed, and parts of the rows where the two differ otherwise.

    ``rows``: all of them as :func:`whet.workflows.changed_rows.told`; ``said``: the search in sentences.
    """

    name: str
    counts: dict[str, int]
    rows: list[Row]
    slices: slices.Slices
    said: list[str]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; of the rows the first :data:`EXAMPLES`."""
        return {
            "changed": self.counts,
            "examples": self.rows[:EXAMPLES],
            "slices": {**self.slices.to_json(), "said": self.said},
        }


@dataclass(frozen=True, slots=True)
class Together:
    """What there is to say of several runs: the ``figures`` that ``--json`` prints, and each run beside the first."""

    figures: dict[str, Any]
    beside: tuple[Beside, ...]
    against: str
    kind: str

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {**self.figures, "against": self.against, "beside": {one.name: one.to_json() for one in self.beside}}


def compare(paths: Sequence[Path], margin: float, alpha: float, seed: int = 0) -> Together:
    """Scores and a verdict over the shipped models of ``paths``; the first run is what the others are held against.

    :raises UserError: F012, F015, F016, V102 as :func:`whet.workflows.two_runs.opened`; V101, their test rows differ.
    """
    runs = opened(paths)
    found = [run.predictions for run in runs]
    verdict = decide(found[1:], found[:1], seed=seed, margin=margin, alpha=alpha)
    scores = score_all(found, seed=seed, task=runs[0].task)
    steady = [of_seeds(some, seed=seed, margin=margin, alpha=alpha) for some in _seeds(runs)]
    rows = rows_of(runs)
    folders = [run.folder for run in runs]
    figures = {
        "runs": {one.model: str(path) for one, path in zip(found, paths, strict=True)},
        "num_test_rows": scores["num_rows"],
        "scores": scores["models"],
        "verdict": verdict.to_json(),
        "findings": [one.to_json() for one in steady],
        "costs": {run.predictions.model: _costs(run) for run in runs},
        "differences": [one.to_json() for one in recipe_differences.of_recipes(runs)],
        "machines": [one.to_json() for one in recipe_differences.of_machines(folders)],
    }
    beside = tuple(_beside(run, runs[0], verdict.metric, rows, seed, alpha) for run in runs[1:])
    return Together(figures, beside, found[0].model, found[0].kind)


def _beside(run: ShippedRun, first: ShippedRun, metric: str, rows: Examples | None, seed: int, alpha: float) -> Beside:
    new, old = same_rows(run.predictions, first.predictions)
    turned = changed(new, old, metric)
    found = slices.search(
        slices.gains(new, old, metric), _parts(new, rows, first.folder), seed=seed, groups=new.groups, alpha=alpha
    )  # fmt: skip
    several = bool(getattr(new, "multi_label", False))
    said = slices.in_words(
        found, run.name, first.name, lambda one: slices.gain_words(one, new.kind, metric, several)
    )  # fmt: skip
    counts: dict[str, int] = {str(name): count for name, count in counted(turned).items()}
    if not is_share_of_all(new, metric) and counts["fixed"] + counts["broke"] == 0:
        counts = {name: count for name, count in counts.items() if name in ("better", "worse")}
    return Beside(new.model, counts, told(turned, new, old, rows), found, list(said))


def _parts(predictions: Predictions, rows: Examples | None, folder: RunFolder) -> Any:
    """The parts that are looked at, given which rows are of the first half."""
    one = PARTS[predictions.kind].one if predictions.kind in PARTS else "part"
    parts = slices.named_parts(predictions, one)
    if rows is None:
        return parts
    parts |= seen_in(rows, predictions, folder)
    texts = [str(text) for text in rows.texts(predictions.ids)]
    return lambda first: parts | words(texts, first, slices.FEWEST)


def seen_in(rows: Examples, predictions: Predictions, folder: RunFolder) -> dict[str, NDArray[np.bool_]]:
    """Parts of the predicted rows by their texts and by the other columns of their source, (n,) in their order.

    :param folder: the run whose source is looked into, where it is still there.
    """
    ids = predictions.ids
    pairs = None if predictions.kind == "ranks" else rows.pairs(ids)
    groups = rows.rows(ids, "group") if rows.shape.has("group") else None
    return traits([str(text) for text in rows.texts(ids)], pairs, groups) | _of_source(rows, predictions, folder)


def _of_source(rows: Examples, predictions: Predictions, folder: RunFolder) -> dict[str, NDArray[np.bool_]]:
    path = folder.data / "fingerprint.json"
    if not path.exists() or not folder.recipe.exists():
        return {}
    read, data = read_json(path), yaml.safe_load(folder.recipe.read_text(encoding="utf-8")).get("data") or {}
    used = {str(value) for name, value in read["columns"].items() if name != "reasons" and value is not None}
    places = [(file, int(line)) for file, _, line in (rows.place(int(one)).rpartition(":") for one in predictions.ids)]
    known = {str(one["name"]): str(one["sha256"]) for one in read["files"]}
    return column_parts(
        source_columns(str(data.get("source")), str(data.get("encoding", "utf-8")), places, known, used)
    )


def _costs(run: ShippedRun) -> dict[str, Any]:
    """What is known of the model's costs; of one that went through stages, their time, and the most memory of any."""
    known = run.facts
    if run.parts.are_stages and _is_of_the_base(run):
        before = [place.facts(stage_results.model_of(place)) for place in run.parts.others.values()]
        every = [known, *(dict(read_json(path)) for path in before if path.exists())]
        for name, together in (("train_seconds", sum), ("peak_bytes", max)):
            values = [one[name] for one in every if one.get(name) is not None]
            known |= {name: together(values)} if values else {}
    return {name: known[name] for name in COSTS if known.get(name) is not None}


def _is_of_the_base(run: ShippedRun) -> bool:
    """Whether the shipped model rests on what earlier stages made of the base."""
    return run.ships in OF_THE_BASE or run.ships not in get_args(BaselineName)


def _seeds(runs: Sequence[ShippedRun]) -> list[list[Predictions]]:
    """The models of runs whose recipes differ by nothing but their seed, where there are several."""
    alike: dict[tuple[str, str], list[Predictions]] = {}
    for run in runs:
        alike.setdefault((run.ships, recipe_differences.but_for_seeds(run)), []).append(run.predictions)
    return [some for some in alike.values() if len(some) > 1]
