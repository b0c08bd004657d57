"""A finished run in use: predict new texts, evaluate on new rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from whet.baselines import tfidf_linear
from whet.data import other_reading
from whet.data.predictions import save
from whet.data.row_form import Choice
from whet.errors import Problem, UserError, one_of
from whet.evaluation.scoring import score_all
from whet.files import write_json
from whet.folder import FINISHED, RunFolder, answering_run, instead
from whet.inference.answers import InUse, OneAnswer, answers_of
from whet.inference.rounded import Precision
from whet.inference.trained import TrainedModel
from whet.recipe import load
from whet.registry import unknown
from whet.workflows.rows import Tell, choice_of, form_of

BLOCK = 4096
"""Rows answered at once, so that memory does not grow with the file."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer to one row of a file; ``line`` is its place there."""

    line: int
    text: str
    text_pair: str | None
    answer: OneAnswer

    def to_json(self, everything: bool) -> dict[str, Any]:
        """The row with its answer; ``everything``: the score of every label, further answers."""
        pair = {} if self.text_pair is None else {"text_pair": self.text_pair}
        return {"line": self.line, "text": self.text, **pair, **self.answer.to_json(everything)}


@dataclass(frozen=True, slots=True)
class Answering:
    """The model that answers.

    ``warning``: what must be said first where the verdict ships another; "" where there is nothing to say.
    """

    model: str
    warning: str = ""

    def to_json(self) -> dict[str, str]:
        """As a part of what ``--json`` prints."""
        return {"model": self.model, **({"warning": self.warning} if self.warning else {})}


def open_model(path: Path, name: str | None = None, precision: Precision = "fp32") -> InUse:
    """The model of :func:`answering`, ready to answer.

    :param precision: see :mod:`whet.inference.rounded`; TF-IDF knows none.

    :raises UserError: as :func:`answering`; M030 no model in it.
    """
    path = answering_run(path)
    folder = RunFolder(path)
    if _is_model(folder):
        return TrainedModel.load(path, precision)
    place = kept_models(folder)[answering(path, name).model]
    return tfidf_linear.load(place) if tfidf_linear.is_saved(place) else TrainedModel.load(place, precision)


def answering(path: Path, name: str | None = None) -> Answering:
    """Which model answers: ``name``, or the one that a finished run's verdict ships; or a saved model's own folder.

    Where the verdict ships a baseline that is not kept as a model, the best trained one answers.

    :raises UserError: F012 no run, F015 not finished, G001 no such model, M033 a baseline that is not kept.
    """
    path = answering_run(path)
    folder = RunFolder(path)
    if _is_model(folder):
        return Answering(path.resolve().name)
    state = folder.read_state()["state"]
    if state != FINISHED:
        what = f"is {state}, not finished: it has no model yet."
        raise UserError(Problem("F015", str(path), what, f"Go on with: {folder.going_on}"))
    kept, ships = kept_models(folder), folder.ships
    chosen = name or ships
    if chosen in kept:
        return Answering(chosen)
    if name is None:
        saved = folder.saved
        return Answering(saved, instead(ships, saved))
    if not folder.predictions(name, "test").exists():
        raise UserError(unknown(name, sorted(kept), "--model"))
    what = f"{name!r} is a baseline of which only the answers of the run are kept, and no model."
    raise UserError(Problem("M033", "--model", what, f"Use {one_of(sorted(kept))}."))


def _is_model(folder: RunFolder) -> bool:
    """Whether it is no run, but a saved model's own folder."""
    return not folder.state.exists() and (folder.path / "whet.json").exists()


def kept_models(folder: RunFolder) -> dict[str, Path]:
    """The models a run can predict with, and where they lie."""
    found = {place.name: place for place in sorted(folder.models.glob("*")) if place.is_dir()}
    return {**found, folder.saved: folder.model}


def predict(
    path: Path,
    source: str,
    choice: Choice,
    tell: Tell,
    name: str | None = None,
    precision: Precision = "fp32",
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Prediction]:
    """Answers to every row of ``source`` (a file, or '-' for lines of standard input), in their order.

    :param choice: what the user says of columns; what is left open is as the run had it.
    :param say: takes what came of a precision that was asked for.
    :raises UserError: as :func:`open_model` and :func:`whet.data.other_reading.read_unlabelled`.
    """
    model = open_model(path, name, precision)
    choice = _completed(choice, RunFolder(answering_run(path)))
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        rows = other_reading.read_unlabelled(
            source, into=Path(work), form=form_of(model.task), choice=choice, progress=tell
        )
        total = len(rows.examples)
        for start in range(0, total, BLOCK):
            numbers = np.arange(start, min(start + BLOCK, total))
            part = rows.examples.take(numbers)
            found = answers_of(model.predict(part), part)
            if precision != "fp32" and not start:
                say(_of_precision(model))
            pairs = part.column("text_pair") if part.has_pairs else [None] * len(part)
            columns = (part.numbers("line").tolist(), part.column("text"), pairs, found)
            for line, text, pair, answer in zip(*columns, strict=True):
                yield Prediction(int(line), text, pair, answer)
            tell("predicting", start + len(numbers), total)


def _of_precision(model: InUse) -> str:
    """What came of a precision that was asked for."""
    if isinstance(model, TrainedModel) and model.rounding is not None:
        return model.rounding.note
    return "answers are computed as ever: the weights of TF-IDF are fp32, and are not rounded"


def evaluate(
    path: Path, source: str, choice: Choice, out: Path | None, tell: Tell, model_named: str | None = None
) -> dict[str, Any]:
    """Scores of a run's model on labelled rows of ``source``, in the form of scores.json.

    :param choice: what the user says of columns; what is left open is as the run had it.
    :param out: a folder for predictions and scores; nothing is written without it.
    """
    about = answering(path, model_named)
    model, name = open_model(path, model_named), about.model
    choice = _completed(choice, RunFolder(answering_run(path)))
    with tempfile.TemporaryDirectory(prefix="whet-") as work:
        rows = other_reading.read_for_evaluation(
            source, into=Path(work), form=form_of(model.task), labels=model.labels, choice=choice, progress=tell
        )
        examples = rows.examples
        if examples.multi_label != model.multi_label:
            several = "several labels a row" if examples.multi_label else "one label a row"
            remedy = "Name the label column (--label) that the run was trained for."
            raise UserError(Problem("M040", source, f"has {several}, unlike what the model was trained for.", remedy))
        found = model.predict(examples, lambda done: tell("predicting", done, len(examples)))
        found = replace(found, model=name, split="test")
    result = score_all([found], seed=0, task=model.task)
    if out is not None:
        save(found, out / "predictions" / f"{name}.test.parquet")
        write_json(out / "scores.json", result)
    return {"run": str(path), "data": source, **about.to_json(), **result}


def _completed(choice: Choice, folder: RunFolder) -> Choice:
    """``choice`` with what the run was told about its rows and that no look at others tells."""
    if not folder.recipe.exists():
        return choice
    data = choice_of(load(folder.recipe).data)
    kept = ("text_pair", "label_separator", "negative", "group", "speaker", "roles")
    known = {name: getattr(data, name) for name in kept if getattr(data, name) not in (None, "auto")}
    return replace(choice, **{name: value for name, value in known.items() if getattr(choice, name) is None})
