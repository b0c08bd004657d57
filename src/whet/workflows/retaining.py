"""The evidence of a distillation: the teacher on the same rows, the student held against it and against its control."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from whet.data.predictions import Predictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.evaluation import retention
from whet.evaluation.retention import STUDENT, TEACHER
from whet.files import read_json, write_json
from whet.inference import teachers
from whet.models import saving
from whet.tasks.language_modeling import LanguageTask
from whet.workflows import distilling, evaluating, students
from whet.workflows.events import Said
from whet.workflows.running import Running

ROUNDS = 5
TIMED_ROWS = 256
"""Test rows that models are timed on, in turn, at most."""


def beside(run: Running) -> list[str]:
    """The teacher where its answers stand beside those of the run's models."""
    return [TEACHER] if run.folder.predictions(TEACHER, "test").exists() else []


def can_stand_beside(run: Running) -> bool:
    """Whether the teacher's answers can be measured as the models' are: it is here, and says the same tokens."""
    if run.recipe.distillation.endpoint is not None:
        return False
    return run.head_kind != "language" or teachers.same_vocabulary(run.teacher.tokenizer, run.tokenizer)


def score_teacher(run: Running) -> Iterator[Event]:
    """The teacher's answers to validation and test rows, as those of any model; it is never shipped."""
    start = time.monotonic()
    said = {split: _answers(run, split) for split in evaluating.SCORED}
    fitted = evaluating.kept_predictions(run, said)
    teacher = distilling.teacher(run)
    known = {
        "predict_rows_per_second": sum(map(len, said.values())) / max(1e-9, time.monotonic() - start),
        "size_bytes": teacher.size_bytes,
        "total_parameters": sum(weight.numel() for weight in teacher.model.parameters()),
        "teacher": teacher.name,
    }
    write_json(run.folder.facts(TEACHER), {**known, **fitted})
    yield from ()


def _answers(run: Running, split: str) -> Predictions:
    """On the run's own tokens where the teacher reads such, else on its own."""
    teacher, task, examples = distilling.teacher(run), run.task, run.examples(split)
    encoded = run.encoded[split]
    tell = run.telling(f"teacher on {split}", len(examples))
    longest = int(np.max(np.diff(encoded.offsets)))
    if not teacher.reads_as(run.tokenizer, teachers.known_texts(examples), longest):
        encoded = distilling.tokenised(run, teacher, examples)
    if isinstance(task, LanguageTask):
        return task.answer(TEACHER, teacher.model, teacher.tokenizer, encoded, examples, tell)
    return task.predictions(TEACHER, teacher.outputs(task, encoded, tell), encoded, examples)


def retain(run: Running) -> Iterator[Event]:
    """Scores, sizes and speeds of student, control and teacher into distillation.json."""
    wish = run.recipe.evaluation
    control = str(run.value("method")) if run.recipe.distillation.control else None
    names = [STUDENT, *([] if control is None else [control]), *beside(run)]
    models = {name: load_predictions(run.folder.predictions(name, "test")) for name in names}
    metric = str(read_json(run.folder.scores)["primary"])
    about = distilling.about(run.folder.path) or {}
    seen = about.get("seen")
    found = retention.retention(
        models,
        metric,
        control,
        seed=run.recipe.seed,
        alpha=wish.alpha,
        num_resamples=wish.resamples,
        comparable=not sum((seen or {}).values()),
    )
    rates = _in_turn(run, names)
    known = {name: evaluating.facts(run, name) for name in names}
    found["models"] = {
        name: {
            "value": read_json(run.folder.scores)["models"][name][metric],
            "parameters": facts.get("total_parameters"),
            "size_bytes": facts.get("size_bytes"),
            "train_seconds": facts.get("train_seconds"),
            "steps": facts.get("steps"),
            "rows_per_second": rates.get(name),
        }
        for name, facts in known.items()
    }
    found |= {
        "seen": seen,
        "test_rows": len(run.examples("test")),
        "teacher": run.recipe.distillation.teacher,
        "student": students.record(run.folder.path),
        "rows": about.get("rows"),
        "unlabelled": about.get("unlabelled"),
        "asked_seconds": about.get("seconds"),
        "options": run.recipe.distillation.model_dump(mode="json"),
    }
    write_json(run.folder.path / retention.FILE, found)
    yield Said(retention.finding(found).message)


def _in_turn(run: Running, names: list[str]) -> dict[str, float]:
    """Rows a second of each model on this machine, the median of rounds in which they take turns.

    Of a task that writes, how fast it reads the rows and their answers; writing is as long as what is written.
    """
    size = min(TIMED_ROWS, len(run.examples("test")))
    rows = np.arange(size)
    ask: dict[str, Callable[[], Any]] = {}
    for name in names:
        if name == TEACHER:
            teacher, examples = distilling.teacher(run), run.examples("test").take(rows)
            encoded = distilling.tokenised(run, teacher, examples)
            model = teacher.model
        else:
            model, _, _ = saving.load(_files(run, name))
            model.use_flat_batches()
            encoded = run.encoded["test"].of_rows(rows)
        model.eval()
        ask[name] = partial(run.task.outputs, model, encoded)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for one in ask.values():
        one()
    for _ in range(ROUNDS):
        for name, one in ask.items():
            start = time.perf_counter()
            one()
            seconds[name].append(time.perf_counter() - start)
    return {name: size / max(1e-9, float(np.median(some))) for name, some in seconds.items()}


def _files(run: Running, name: str) -> Path:
    return run.folder.models / name
