"""Self-training: the model of the method labels texts without labels, and another one learns from them, too.

In each round all texts are labelled anew by the model of the round before; what it is surest of joins the training rows
(data/self_training/), and the model ``self-trained`` is trained from the base, as its control was.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet import seeds
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.errors import Problem, UserError
from whet.evaluation import self_labels
from whet.evaluation.settling import settle
from whet.files import read_json, write_json
from whet.findings import Finding
from whet.tasks.text_classification import probabilities
from whet.workflows import interpolating, learning, training, unlabelled
from whet.workflows.events import OfModel, Said
from whet.workflows.learning import SELF_TRAINED as NAME
from whet.workflows.running import Running

OPTION = "self_training"
STEPS = "self_training_steps.json"
"""How many steps the model took, and its control at most; ``kept``: in the attempt that is kept of it."""
SHOWN = 5
"""Texts that are shown of those that were taken, and of those that were not."""


def wanted(run: Running, name: str | None = NAME) -> bool:
    """Whether model ``name`` learns from texts that were labelled by another."""
    return run.recipe.self_training.source is not None and name == NAME


def refuse(run: Running) -> None:
    """Read the texts; before any model is trained.

    :raises UserError: T042, rows with several labels; as :func:`whet.workflows.unlabelled.keep`.
    """
    if not wanted(run):
        return
    if run.multi_label:
        what = "is set, but these rows may carry several labels, each with a chance of its own."
        raise UserError(Problem("T042", OPTION, what, "Remove it."))
    unlabelled.keep(run, str(run.recipe.self_training.source), f"{OPTION}.source")


def encode(run: Running) -> Iterator[Event]:
    """The tokens of the texts."""
    texts = unlabelled.rows(run)
    tell = run.telling("tokens of texts without labels", len(texts))
    blocks = run.task.blocks(texts, run.embed, run.recipe.seed)
    into = run.tokens_folder(unlabelled.TOKENS)
    run.task.encode(run.tokenizer, blocks, int(run.value("data.max_length")), into, tell)
    yield Said(unlabelled.in_words(run))


def make(run: Running) -> Iterator[Event]:
    """Train the model, round after round."""
    rounds = run.recipe.self_training.rounds
    for number in range(1, rounds + 1):
        yield from run.stage(f"label texts {number}", partial(_label, run, number))
        stage = f"train {NAME}" if number == rounds else f"train {NAME} {number}"
        yield from run.stage(stage, partial(_train, run, number, number == rounds))
    method = str(run.value("method"))
    yield from run.stage(f"train {method} as long", partial(_as_long, run, method))
    again = int(training.best_outcome(run, method)["attempt"]) >= learning.AS_LONG
    if run.recipe.forgetting.interpolate and again:  # its share was chosen for the attempt before
        yield from run.stage(f"interpolate {method} as long", partial(interpolating.interpolate, run, method))


def _as_long(run: Running, method: str) -> Iterator[Event]:
    """The control once more, as many steps as the variant took; and how many each took, on record."""
    steps = int(training.best_outcome(run, NAME)["steps"])
    if learning.rounds_of(run)[-1]["taken"] and steps > _most(run, method):
        yield Said(f"{method}: {steps:,} steps, as many as {NAME}; the better of both on validation is the control")
        yield from training.as_long(run, method)
    kept = int(training.best_outcome(run, method)["steps"])
    known = {NAME: steps, method: _most(run, method), "kept": kept}
    write_json(run.folder.data / STEPS, known)


def _most(run: Running, method: str) -> int:
    return max(int(one["steps"]) for one in training.outcomes(run, method))


def _train(run: Running, number: int, last: bool) -> Iterator[Event]:
    """A round of training; the events of one that is not the last have a name of their own."""
    checkpoints, before = run.folder.checkpoints, run.folder.checkpoints / f"{NAME} {number - 1}"
    if number > 1 and not before.exists():
        (checkpoints / NAME).rename(before)
    if not learning.rounds_of(run)[-1]["taken"]:
        yield Said("no text was labelled surely enough: the model is its control")
        shutil.copytree(checkpoints / str(run.value("method")), checkpoints / NAME, dirs_exist_ok=True)
        return
    for event in training.fine_tune(run, NAME):
        yield event if last or not isinstance(event, OfModel) else replace(event, model=f"{NAME} {number}")


# --- labelling ------------------------------------------------------------------------------------------


def _label(run: Running, number: int) -> Iterator[Event]:
    """Label all texts by the model of the round before, and take what is sure."""
    wish = run.recipe.self_training
    learning.round_file(run, number).unlink(missing_ok=True)  # of a stage that was cut short
    said, temperature = _said(run, str(run.value("method")) if number == 1 else NAME)
    of_training = np.bincount(run.gold["train"], minlength=len(run.labels))
    rows = self_labels.taken(said, wish.threshold, of_training / of_training.sum() if wish.balanced else None)
    learning.keep_labels(run, number, rows, said[rows] if wish.labels == "soft" else said[rows].argmax(1))
    found = {
        "round": number,
        "texts": len(said),
        "taken": len(rows),
        "threshold": wish.threshold,
        "temperature": temperature,
        "validation_rows": len(run.examples("validation")),
        "of_class": _by_name(run, np.bincount(said[rows].argmax(1), minlength=len(run.labels))),
        "of_training": _by_name(run, of_training),
        "examples": _examples(run, said, rows),
    }
    write_json(learning.round_file(run, number), found)
    yield Said(f"round {number}: {len(rows):,} of {len(said):,} texts are labelled with {wish.threshold:g} or more")


def _said(run: Running, name: str) -> tuple[NDArray[np.float32], float]:
    """(n, C) probabilities of the texts by model ``name``, divided by the temperature that validation asks for."""
    model = training.finished(run, name).model
    encoded, examples = run.encoded["validation"], run.examples("validation")
    on_validation = run.task.predictions(name, run.task.outputs(model, encoded), encoded, examples)
    temperature = float(settle(on_validation).get("temperature", 1.0))
    texts = unlabelled.encoded(run)
    outputs = run.task.outputs(model, texts, run.telling("labels of texts", len(texts)))
    return probabilities(outputs / temperature, False), temperature


def _by_name(run: Running, counts: NDArray[np.int64]) -> dict[str, int]:
    return {name: int(count) for name, count in zip(run.labels, counts, strict=True) if count}


def _examples(run: Running, said: NDArray[np.float32], rows: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Some texts that were taken, and some that were not."""
    left = np.setdiff1d(np.arange(len(said)), rows)
    draw = seeds.generator(run.recipe.seed, "self-trained examples")
    chosen = [np.sort(draw.permutation(some)[:SHOWN]) for some in (rows, left)]
    texts = unlabelled.rows(run)
    return [
        {
            "text": texts.texts([number])[0],
            "label": run.labels[int(said[number].argmax())],
            "probability": round(float(said[number].max()), 4),
            "taken": kind == 0,
        }
        for kind, some in enumerate(chosen)
        for number in some.tolist()
    ]


# --- what is said of it -----------------------------------------------------------------------------------


def findings(run: Running, metric: str) -> list[Finding]:
    """X015 and X016, once all models have answered."""
    if not wanted(run):
        return []
    control, wish = str(run.value("method")), run.recipe.evaluation
    tuned, plain = (load_predictions(run.folder.predictions(name, "test")) for name in (NAME, control))
    rounds, steps = learning.rounds_of(run), read_json(run.folder.data / STEPS)
    helped = self_labels.helped(
        tuned,
        plain,
        metric,
        seed=run.recipe.seed,
        level=1 - wish.alpha,
        num_resamples=wish.resamples,
        taken=int(rounds[-1]["taken"]),
        steps=(int(steps[NAME]), int(steps[control]), int(steps["kept"])),
    )
    return [helped, self_labels.amounts(rounds, NAME)]
