"""Would more labels help? The same training on growing samples of the rows, and the curve through their errors.

Everything lies in one folder, so that what was computed is not computed again: the rows, a file of predictions for each
sample, and at the end curve.json and curve.svg.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.batches.encoding import Encoded, token_numbers
from whet.data.forms import distribute
from whet.data.predictions import Predictions
from whet.data.predictions import load as load_predictions
from whet.data.predictions import save as save_predictions
from whet.errors import Problem, UserError
from whet.evaluation.kinds import primary_of
from whet.evaluation.more_data import FEWEST_DRAWS, FEWEST_SIZES, learning_curve
from whet.evaluation.settling import settle, settled
from whet.files import read_json, sweep, write_json, write_text
from whet.folder import RunFolder, run_behind
from whet.recipe import Recipe, dump, load
from whet.recipe.names import PROBED
from whet.report.more_data_section import FILE, drawing
from whet.seeds import generator
from whet.workflows import evaluating, making, preparing, training
from whet.workflows.rows import Tell
from whet.workflows.running import SPLITS, Running
from whet.workflows.starting import recipe_of, refuse_stages

SIZES, DRAWS = 7, 5
SMALLEST, WIDEST = 24, 64
"""Rows of the smallest sample at least, and how many times as many the largest may have."""
RANGE = 8
"""The largest sample has so many times the rows of the smallest, or there is no curve to see."""
BESIDE = ("distillation", "self_training")
"""Parts of a recipe by which further models are trained."""
EARLY = ("read", "audit", "encode", "decide", "prove")


@dataclass(frozen=True, slots=True)
class Wanted:
    """``method`` that is trained; D ``draws`` of rows, each with samples of K ``sizes``."""

    method: str = "probe"
    draws: int = DRAWS
    sizes: int = SIZES

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return {"method": self.method, "draws": self.draws, "num_sizes": self.sizes}


def curve(
    source: str, changes: Mapping[str, Any], wanted: Wanted, out: Path | None, tell: Tell
) -> tuple[dict[str, Any], Path]:
    """Train on samples of the rows of ``source``, or take what an earlier call left; the curve and its folder.

    :param source: a data source, a recipe file, or the folder of a run, whose rows and recipe are taken.
    :raises UserError: K001 too few rows, K003 the folder holds another curve, K004 too few
        sizes or draws; R025, the task has no probe; whatever reading the data raises.
    """
    if wanted.sizes < FEWEST_SIZES or wanted.draws < FEWEST_DRAWS:
        what = f"{wanted.sizes} sizes and {wanted.draws} draws are too few to fit a curve and to judge it."
        raise UserError(Problem("K004", "curve", what, f"Give at least {FEWEST_SIZES} and {FEWEST_DRAWS}."))
    given = RunFolder(run_behind(Path(source)))
    is_run = given.is_run
    recipe = _recipe(source, given if is_run else None, changes, wanted.method)
    folder = RunFolder(
        out or (given.path / "curve" if is_run else Path("curves") / (Path(source).name.split(".")[0] or "rows"))
    )
    refuse_stages(recipe, "curve")
    _begin(folder, recipe, wanted)
    if is_run:
        _take_rows(given, folder)
    run = Running(recipe, folder, tell, lambda: False)
    for name, stage in zip(
        EARLY, (preparing.read, preparing.look, preparing.encode, preparing.decide, preparing.prove), strict=True
    ):
        list(run.stage(name, lambda stage=stage: stage(run)))  # type: ignore[misc]
    sizes = _sizes(run, wanted.sizes)
    said = [[_point(run, wanted, draw, size) for size in sizes] for draw in range(wanted.draws)]
    metric = primary_of([one for draw in said for one in draw])
    found = learning_curve(said, sizes, metric, seed=recipe.seed).to_json()
    found |= {**wanted.to_json(), "task": recipe.task, "base": recipe.base, "num_test_rows": len(said[0][0])}
    write_json(folder.path / FILE, found)
    write_text(folder.path / "curve.svg", drawing(found))
    shutil.rmtree(folder.path / "tokens", ignore_errors=True)
    return found, folder.path


def _recipe(source: str, run: RunFolder | None, changes: Mapping[str, Any], method: str) -> Recipe:
    """That of a point: of the method alone, whatever else the recipe trains beside it."""
    found, usual = _as_given(source, run, {**changes, "method": method}), Recipe.model_fields
    return found.model_copy(update={part: usual[part].get_default(call_default_factory=True) for part in BESIDE})


def _as_given(source: str, run: RunFolder | None, more: dict[str, Any]) -> Recipe:
    if run is not None:
        return load(run.recipe, _without_training(run, more))
    if Path(source).suffix in (".yaml", ".yml"):
        return recipe_of(more, Path(source))
    return recipe_of({**more, "data.source": source}, None)


def _without_training(run: RunFolder, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Of a run's recipe, variants are set back, and what contradicts a probe: how its weights moved."""
    kept, usual = load(run.recipe), Recipe(data=load(run.recipe).data)
    moved = ("training", "layers", "lora", "soft", "quantisation", "regularisation", "forgetting")
    parts = (*BESIDE, *(moved if changes["method"] == "probe" else ()))
    back = {
        f"{part}.{name}": value
        for part in parts
        for name, value in getattr(usual, part).model_dump().items()
        if getattr(getattr(kept, part), name) != value
    }
    return {**back, **changes}


def _begin(folder: RunFolder, recipe: Recipe, wanted: Wanted) -> None:
    """:raises UserError: K003, the folder holds something else."""
    mark = folder.path / "wanted.json"
    if mark.exists():
        if read_json(mark) != wanted.to_json() or folder.recipe.read_text(encoding="utf-8") != dump(recipe):
            what = "holds another curve, of other rows, options, sizes or draws."
            raise UserError(Problem("K003", str(folder.path), what, "Choose another folder with --out, or delete it."))
        sweep(folder.path)
        return
    if folder.path.exists() and any(folder.path.iterdir()):
        what = "exists and is not empty."
        raise UserError(Problem("K003", str(folder.path), what, "Choose another folder with --out."))
    write_text(folder.recipe, dump(recipe))
    write_json(mark, wanted.to_json())


def _take_rows(given: RunFolder, folder: RunFolder) -> None:
    """The rows as a run read them."""
    for name in ("read", "audit"):
        write_json(folder.stages / f"{name}.json", {"seconds": 0.0})
    if not (folder.data / "fingerprint.json").exists():
        shutil.copytree(given.data, folder.data, dirs_exist_ok=True)


def _sizes(run: Running, number: int) -> list[int]:
    """Growing sizes in equal ratios, the largest all rows.

    :raises UserError: K001.
    """
    rows = len(run.examples("train"))
    least = max(SMALLEST, 2 * len(run.labels))
    if rows < RANGE * least:
        what = f"{rows:,} training rows are too few: a curve goes from {least:,} rows to {RANGE} times as many."
        raise UserError(
            Problem(
                "K001",
                run.recipe.data.source,
                what,
                "Label more first; the verdict of 'whet fit' is what there is to go by.",
            )
        )
    return [round(size) for size in np.geomspace(max(least, rows / WIDEST), rows, number)]


def _sample(run: Running, draw: int, size: int) -> NDArray[np.int64]:
    """(size,) or few more rows, ascending: the first of one order of all rows, groups as a whole."""
    examples = run.examples("train")
    groups = examples.groups
    keys = np.arange(len(examples)) if groups is None else np.unique(groups, return_inverse=True)[1].ravel()
    names = generator(run.recipe.seed, "curve", draw).permutation(int(keys.max()) + 1)
    place = np.empty_like(names)
    place[names] = np.arange(len(names))
    return np.sort(np.argsort(place[keys], kind="stable")[:size])


def _point(run: Running, wanted: Wanted, draw: int, size: int) -> Predictions:
    """What a model trained on one sample says of the test rows; kept, and taken from there the next time."""
    full = size == len(run.examples("train")) and wanted.method == "probe"  # the same rows in every draw
    path = run.folder.path / "points" / f"{0 if full else draw}-{size}.parquet"
    if not path.exists():
        run.tell(f"draw {draw + 1} of {wanted.draws}", size, len(run.examples("train")))
        found = (_probed if wanted.method == "probe" else _trained)(run, wanted.method, draw, size)
        save_predictions(found, path)
    return load_predictions(path)


def _probed(run: Running, method: str, draw: int, size: int) -> Predictions:
    """By the frozen probe on vectors that are computed once."""
    rows = _sample(run, draw, size)
    encoded, examples = run.encoded["train"], run.examples("train")
    places = torch.from_numpy(_places(run, encoded, rows))
    sample = run.features("train")[places], run.task.targets(examples.take(rows), encoded.of_rows(rows))
    intercept = run.frozen.linear_head.bias is not None
    validation = run.features("validation"), run.targets("validation")
    head = run.task.fit_head(sample, validation, intercept, lambda *_: None)
    assert head is not None
    said = {}
    for split in SPLITS[1:]:
        outputs = run.features(split) @ head.weight.T + (0.0 if head.bias is None else head.bias)
        said[split] = run.task.predictions(f"{draw}-{size}", outputs, run.encoded[split], run.examples(split))
    return settled(said["test"], settle(said["validation"]))


def _places(run: Running, encoded: Encoded, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which vectors of training are those of ``rows``: of their sequences, or of their tokens."""
    sequences = encoded.sequences(encoded.units_of(rows))
    return token_numbers(encoded.offsets, sequences) if run.frozen.level == "token" else sequences


def _trained(run: Running, method: str, draw: int, size: int) -> Predictions:
    """By a training of its own, in a folder that is gone when it is done."""
    folder = RunFolder(run.folder.path / "points" / f"{draw}-{size}")
    begun = folder.data / "begun.json"
    if not begun.exists():
        shutil.copytree(run.folder.data, folder.data, dirs_exist_ok=True)
        parts = np.full(len(run.examples("train")), 1, dtype=np.int8)
        parts[_sample(run, draw, size)] = 0
        distribute(run.examples("train"), parts, [folder.data / "train.arrow", folder.data / "left_out.arrow"])
        write_json(begun, {"size": size})
    recipe = run.recipe.model_copy(update={"seed": run.recipe.seed + draw})
    one = Running(recipe, folder, run.tell, run.should_stop)
    list(one.stage("encode", partial(preparing.encode, one)))
    list(one.stage("decide", partial(preparing.decide, one)))
    list(making.ready(one))
    list(one.stage("prove", partial(preparing.prove, one)))
    for name in [*(["probe"] if recipe.task in PROBED else []), method]:
        list(making.make(one, name))
    list(evaluating.predict(one, training.finished(one, method)))
    found = load_predictions(folder.predictions(method, "test"))
    shutil.rmtree(folder.path)
    return _renamed(found, f"{draw}-{size}")


def _renamed(found: Predictions, name: str) -> Predictions:
    from dataclasses import replace

    return replace(found, model=name)


def table(found: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of the errors by size, as people read them."""
    from whet.evaluation.measures import MEASURES
    from whet.evaluation.wording import number

    metric = str(found["metric"])
    rows: Sequence[Sequence[str]] = [
        [f"{size:,}", number(mean, metric), f"{number(low, metric)} - {number(high, metric)}"]
        for size, mean, low, high in zip(*(found[name] for name in ("sizes", "mean", "low", "high")), strict=True)
    ]
    return ["rows", f"error by {MEASURES[metric].words}", "interval"], [list(row) for row in rows]
