"""The evidence of a distillation: the teacher on the same rows, the student held against it and against its control."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Encoded
from whet.data.predictions import Predictions
from whet.data.predictions import load as load_predictions
from whet.engine.events import Event
from whet.evaluation import retention
from whet.evaluation.retention import STUDENT, TEACHER
from whet.files import read_json, write_json
from whet.inference import teachers
from whet.models import saving
from whet.models.task_model import TaskModel
from whet.tasks.language_modeling import LanguageTask
from whet.workflows import distilling, evaluating, students, worded, written
from whet.workflows.events import Said
from whet.workflows.running import Running

ROUNDS = 5
TIMED_ROWS = 256
"""Test rows that models are timed on, in turn, at most."""
FIRST_TOKENS = 2048
"""Of the first test rows so many tokens, or one row, are read to see how long more would take."""
TIMED_SECONDS = 20.0
"""About as long may the timing of all models together take."""


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
        "teacher": teacher.known_as,
    }
    write_json(run.folder.facts(TEACHER), {**known, **fitted})
    yield from ()


def _answers(run: Running, split: str) -> Predictions:
    """On the run's own tokens where the teacher reads such, else on its own."""
    teacher, task, examples = distilling.teacher(run), run.task, run.examples(split)
    encoded = run.encoded[split]
    longest = int(np.max(np.diff(encoded.offsets)))
    if not teacher.reads_as(run.tokenizer, teachers.known_texts(examples), longest):
        encoded = distilling.tokenised(run, teacher, examples)
    tell = run.telling(f"teacher on {split}", len(encoded))
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
        comparable=_unseen(run) if sum((seen or {}).values()) else True,
    )
    rates, timed = _in_turn(run, names)
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
        "timed_rows": timed,
        "teacher": run.recipe.distillation.teacher,
        "taught_by": about.get("taught_by"),
        **written.about(run),
        **worded.about(run),
        "student": students.record(run.folder.path),
        "rows": about.get("rows"),
        "unlabelled": about.get("unlabelled"),
        "asked_seconds": about.get("seconds"),
        "options": run.recipe.distillation.model_dump(mode="json"),
    }
    write_json(run.folder.path / retention.FILE, found)
    yield Said(retention.finding(found).message)


Asks = dict[str, Callable[[], Any]]
"""By the name of each model what has it read some rows."""


def _unseen(run: Running) -> NDArray[np.bool_] | bool:
    """Which test rows the teacher has not seen; False where nobody knows any more."""
    found = teachers.unseen(str(run.recipe.distillation.teacher), run.examples("test"))
    return False if found is None else found


def _in_turn(run: Running, names: list[str]) -> tuple[dict[str, float], int]:
    """Rows a second of each model on this machine, the median of rounds in which they take turns, and of how many rows.

    As many rows as :data:`TIMED_SECONDS` allow, by what the first of them took. Of a task that writes, how fast it
    reads the rows and their answers; writing is as long as what is written.
    """
    models, test = {name: _model(run, name) for name in names}, run.encoded["test"]
    first = _first_rows(test, min(TIMED_ROWS, len(run.examples("test"))))
    took = sum(_seconds(ask) for ask in _asks(run, models, first).values())
    size = int(first * TIMED_SECONDS / (ROUNDS * max(1e-9, took)))
    size = min(max(size, first), TIMED_ROWS, len(run.examples("test")))
    rounds = max(1, min(ROUNDS, int(TIMED_SECONDS / max(1e-9, took * size / first))))
    asks = _asks(run, models, size)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, ask in asks.items():
            seconds[name].append(_seconds(ask))
    return {name: size / max(1e-9, float(np.median(some))) for name, some in seconds.items()}, size


def _first_rows(encoded: Encoded, most: int) -> int:
    """How many of the first ``most`` rows have :data:`FIRST_TOKENS` together; one at least."""
    units = np.arange(len(encoded)) if encoded.rows is None else encoded.rows[:: encoded.parts]
    tokens = np.cumsum(np.bincount(units, weights=encoded.lengths, minlength=most)[:most])
    return max(1, int(np.searchsorted(tokens, FIRST_TOKENS, side="right")))


def _model(run: Running, name: str) -> TaskModel:
    """The teacher, or a saved model of the run, ready to be asked."""
    if name == TEACHER:
        return distilling.teacher(run).model
    model, _, _ = saving.load(_files(run, name))
    model.use_flat_batches()
    return model.to(run.device).eval()


def _asks(run: Running, models: Mapping[str, TaskModel], size: int) -> Asks:
    """What has each model read the first ``size`` test rows, as it reads them."""
    rows, found = np.arange(size), Asks()
    for name, model in models.items():
        if name == TEACHER:
            encoded = distilling.tokenised(run, distilling.teacher(run), run.examples("test").take(rows))
        else:
            encoded = run.encoded["test"].of_rows(rows)
        found[name] = partial(run.task.outputs, model, encoded)
    return found


def _seconds(ask: Callable[[], Any]) -> float:
    start = time.perf_counter()
    ask()
    return time.perf_counter() - start


def _files(run: Running, name: str) -> Path:
    return run.folder.models / name
