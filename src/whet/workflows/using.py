"""A finished run in use: predict new texts, evaluate on new rows."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from whet.data import other_reading
from whet.data.predictions import Predictions, save
from whet.errors import Problem, UserError
from whet.evaluation.scoring import score_all
from whet.files import read_json, write_json
from whet.folder import FINISHED, RunFolder
from whet.inference.trained import TrainedModel
from whet.workflows.running import Tell

BLOCK = 4096
"""Rows answered at once, so that memory does not grow with the file."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one row of a file; ``line`` is its place there."""

    line: int
    text: str
    label: str
    score: float
    labels: tuple[str, ...]
    scores: dict[str, float]


def open_model(path: Path) -> TrainedModel:
    """The model of a finished run, or one of the folders below its ``models``.

    :raises UserError: F012 no run, F015 not finished, M030 no model in it.
    """
    folder = RunFolder(path)
    if not folder.state.exists():
        return TrainedModel.load(path)
    state = folder.read_state()["state"]
    if state != FINISHED:
        what = f"is {state}, not finished: it has no model yet."
        raise UserError(Problem("F015", str(path), what, f"Go on with: whet resume {path}"))
    return TrainedModel.load(folder.model)


def predict(
    path: Path, source: str, text: str | None, text_pair: str | None, encoding: str, tell: Tell
) -> Iterator[Prediction]:
    """Answers to every row of ``source`` (a file, or '-' for lines of standard input), in their order.

    :raises UserError: as :func:`open_model` and :func:`whet.data.other_reading.read_unlabelled`.
    """
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        rows = other_reading.read_unlabelled(
            source, into=Path(work), text=text, text_pair=text_pair, encoding=encoding, progress=tell
        )
        model = open_model(path)
        total, done = len(rows.examples), 0
        lines = rows.examples.numbers("line")
        for start in range(0, total, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, total))
            texts = rows.examples.texts(numbers)
            for number, words, answer in zip(
                numbers, texts, model.answers(texts, rows.examples.pairs(numbers)), strict=True
            ):
                yield Prediction(int(lines[number]), words, answer.label, answer.score, answer.labels, answer.scores)
            done += len(numbers)
            tell("predicting", done, total)


def evaluate(path: Path, source: str, named: dict[str, Any], out: Path | None, tell: Tell) -> dict[str, Any]:
    """Scores of a run's model on labelled rows of ``source``, in the form of scores.json.

    :param named: text, label, text_pair, label_separator where they are given.
    :param out: a folder for predictions and scores; nothing is written without it.
    """
    model = open_model(path)
    about = model.about
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        rows = other_reading.read_for_evaluation(source, into=Path(work), labels=about.labels, progress=tell, **named)
        examples = rows.examples
        if examples.multi_label != about.multi_label:
            several = "several labels a row" if examples.multi_label else "one label a row"
            remedy = "Name the label column (--label) that the run was trained for."
            raise UserError(Problem("M040", source, f"has {several}, unlike what the model was trained for.", remedy))
        everything = np.arange(len(examples))
        texts, pairs = examples.texts(everything), examples.pairs(everything)
        scores = model.probabilities(texts, pairs, lambda done: tell("predicting", done, len(texts)))
        found = Predictions(
            "model",
            "test",
            tuple(about.labels),
            examples.numbers("id"),
            examples.hashes,
            examples.label_ids(about.labels),
            scores,
            None if about.thresholds is None else np.asarray(about.thresholds, np.float32),
        )
    name = _name(path)
    found = replace(found, model=name)
    result = score_all([found], seed=0)
    if out is not None:
        save(found, out / "predictions" / f"{name}.test.parquet")
        write_json(out / "scores.json", result)
    return {"run": str(path), "data": source, "model": name, **result}


def _name(path: Path) -> str:
    shipped = path / "shipped.json"
    return str(read_json(shipped)["model"]) if shipped.exists() else path.name
