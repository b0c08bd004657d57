"""A student of every kind of answer: it comes closer to its teacher, and stands beside it and its control."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import whet
from tests import made_rows, made_tasks
from tests.made_models import WORDS, make_base
from tests.made_runs import MEAN
from whet.objectives.distillation import Distilled
from whet.seeds import generator

SHORT: dict[str, Any] = {
    "method": "full",
    "evaluation.resamples": 100,
    "training.epochs": 3.0,
    "training.learning_rate": 0.005,
    "training.batch_tokens": 128,
    "regularisation.dropout": 0.0,
    "forgetting.measure": False,
}
ROWS = 60
SAYING = ("fill-mask", "language-modeling", "translation", "summarization")
"""Tasks whose models say tokens: a base as it came can teach them, so that no teacher needs to be trained."""


def sources(folder: Path) -> Path:
    """Sources, each with its first words in another order."""
    return _written(folder, lambda words: {"source": " ".join(words), "target": " ".join(reversed(words[:3]))})


def documents(folder: Path) -> Path:
    """Texts alone."""
    return _written(folder, lambda words: {"text": " ".join(words + words)})


def _written(folder: Path, row_of: Callable[[list[str]], dict[str, str]]) -> Path:
    path = folder / "rows.jsonl"
    draws = (generator(0, "distilled texts", number).choice(WORDS, 6) for number in range(ROWS))
    path.write_text("".join(json.dumps(row_of([str(word) for word in words])) + "\n" for words in draws))
    return path


@dataclass(frozen=True, slots=True)
class Job:
    """A task: its rows, a cheap baseline, the family of teacher and student, and what is kept of what the teacher says.

    ``kept`` is "" where nothing can be, since other tokens are asked for each time.
    """

    task: str
    rows: Callable[[Path], Path]
    baseline: str
    kept: str = "said"
    family: str = "bert"
    options: dict[str, Any] = field(default_factory=dict)


def _few(rows: Callable[[Path, int], Path]) -> Callable[[Path], Path]:
    return lambda folder: rows(folder, ROWS)


CROSS = {"similarity.encoder": "cross"}
JOBS = {
    "several labels": Job("text-classification", made_rows.several_jsonl, "majority"),
    "entities": Job("token-classification", _few(made_tasks.entities), "dictionary"),
    "questions": Job(
        "question-answering",
        _few(made_tasks.questions),
        "first_sentence",
        options={"data.max_length": 24, "data.stride": 6},
    ),
    "numbers": Job("regression", _few(made_tasks.numbers), "mean"),
    "similarity, both texts at once": Job("sentence-similarity", _few(made_tasks.scored_pairs), "bm25", options=CROSS),
    "pairs without a score": Job("sentence-similarity", _few(made_tasks.pairs), "bm25"),
    "ranking, both texts at once": Job("ranking", _few(made_tasks.relevance), "bm25", options=CROSS),
    "hidden words": Job("fill-mask", documents, "unigram", kept=""),
    "texts, word by word": Job("language-modeling", documents, "unigram", kept="words", family="llama"),
    "translation": Job("translation", sources, "copy_source", kept="words", family="t5"),
    "summaries": Job("summarization", sources, "lead3", kept="words", family="llama"),
}


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing it takes half of a tiny run's time, and it has tests of its own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


@pytest.fixture
def distances(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How far the student is from its teacher, an item, at each step of a training by nothing else."""
    found: list[float] = []
    plain = Distilled.__call__

    def heard(self: Distilled, *given: Any) -> Any:
        one = plain(self, *given)
        found.append(float(one.total.detach()) / one.num_counted)
        return one

    monkeypatch.setattr(Distilled, "__call__", heard)
    return found


def fitted(job: Job, rows: Path, base: Path, out: Path, **more: Any) -> Path:
    writes = {"generation.max_tokens": 4} if job.task in ("translation", "summarization") else {}
    noise = {"evaluation.label_noise": False} if job.task == "text-classification" else {}
    options = {**SHORT, "evaluation.baselines": [job.baseline], **writes, **noise, **job.options, **more}
    named = {name.replace(".", "__"): value for name, value in options.items()}
    return whet.fit(rows, task=job.task, base=str(base), out=out, **named).path


def made(job: Job, folder: Path, width: int) -> Path:
    says = job.task in SAYING
    base = make_base(folder / str(width), job.family, None if says else MEAN, language=says, width=width)
    if job.task == "fill-mask":
        path = base / "tokenizer_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "<unk>"}))
    return base


@pytest.mark.parametrize("name", JOBS)
def test_a_student_comes_closer_to_its_teacher(name: str, tmp_path: Path, distances: list[float]):
    job = JOBS[name]
    rows, teacher = job.rows(tmp_path), made(job, tmp_path, 24)
    if job.task not in SAYING:
        teacher = fitted(job, rows, teacher, tmp_path / "teacher", **{"training.learning_rate": 0.01})
    more = {"distillation.teacher": str(teacher), "distillation.weight": 1.0}
    run = fitted(job, rows, made(job, tmp_path, 16), tmp_path / "run", **more)
    third = len(distances) // 3
    assert third and np.mean(distances[-third:]) < np.mean(distances[:third])
    assert (run / "teacher" / f"{job.kept}.npy").exists() == bool(job.kept)
    told = json.loads((run / "distillation.json").read_text())
    assert set(told["models"]) == {"teacher", "full", "distilled"} and told["control"] == "full"
    assert set(told["kept"]) == {"full", "distilled"} and told["gain"]["against"] == "full"
    found = {one["code"]: one["bin"] for one in json.loads((run / "findings.json").read_text())}
    assert found["X010"] in ("passed", "tip", "issue") and found["E008"] == "passed"
    assert found["X011"] == ("not_applicable" if job.task in SAYING else "passed")
