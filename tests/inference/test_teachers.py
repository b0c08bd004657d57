"""Who teaches: runs, series and their models; what a teacher has seen before, and what it cannot read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import made_rows
from tests.data.labelled_reading import read
from whet.errors import UserError
from whet.inference import teachers
from whet.models.about import ABOUT


def saved(folder: Path, state: dict[str, Any]) -> Path:
    """A run's folder, as far as a teacher is looked for in it."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / ABOUT).write_text("{}")
    (folder / "state.json").write_text(json.dumps(state))
    return folder


def test_of_a_series_the_last_stage_teaches(tmp_path: Path):
    last = saved(tmp_path / "series" / "runs" / "last", {"state": "finished"})
    (tmp_path / "series" / "state.json").write_text(json.dumps({"state": "finished", "answers": "runs/last"}))
    series = str(tmp_path / "series")
    assert teachers._saved(series) == last / "model"
    assert teachers.run_of(series) == last
    assert teachers.run_of(str(last / "model")) == last, "a run's model is of that run"
    assert teachers.run_of(str(tmp_path)) is None


def test_of_a_search_the_model_that_it_ships_teaches(tmp_path: Path):
    trial = saved(tmp_path / "sweep" / "trials" / "0001", {"state": "finished"})
    known = {"state": "finished", "sweep": True, "answers": "trials/0001/model"}
    (tmp_path / "sweep" / "state.json").write_text(json.dumps(known))
    assert teachers._saved(str(tmp_path / "sweep")) == trial / "model"


def judged(folder: Path, ships: str, values: dict[str, float], kept: tuple[str, ...] = ()) -> Path:
    """A run whose verdict ships a model, with those beside it that it kept."""
    run = saved(folder, {"id": folder.name, "state": "finished"})
    (run / "shipped.json").write_text(json.dumps({"model": ships}))
    (run / "verdict.json").write_text(json.dumps({"metric": "accuracy", "values": values}))
    for name in kept:
        (run / "models" / name).mkdir(parents=True)
        (run / "models" / name / ABOUT).write_text("{}")
    return run


def test_which_model_of_a_run_teaches_is_known(tmp_path: Path):
    """A run whose verdict ships the frozen probe has a tuned model, too, and nobody said that it does not teach."""
    values = {"majority": 0.1, "probe": 0.7, "full": 0.72, "self-trained": 0.71}
    probe = judged(tmp_path / "probe", "probe", values, ("full", "tfidf_linear"))
    found = teachers.taught_by(str(probe))
    assert found is not None and found.words == f"probe of {probe}"
    assert (found.tuned, found.kept) == ("full", probe / "models" / "full")
    full = teachers.taught_by(str(probe / "models" / "full"))
    assert full is not None and (full.words, full.tuned) == (f"full of {probe}", None), "it was named"
    gone = teachers.taught_by(str(judged(tmp_path / "gone", "probe", values)))
    assert gone is not None and (gone.tuned, gone.kept) == ("full", None)
    tuned = teachers.taught_by(str(judged(tmp_path / "tuned", "full", values, ("probe",))))
    assert tuned is not None and (tuned.model, tuned.tuned) == ("full", None)
    assert teachers.taught_by("somebody/else") is None


def test_a_teacher_that_is_not_there_is_called_by_its_option(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        teachers.load(str(tmp_path / "none"), "classes", "text-classification", False)
    (problem,) = caught.value.problems
    assert problem.where.startswith("distillation.teacher ") and "minilm" not in problem.remedy


def test_rows_that_a_teacher_knows_are_counted(tmp_path: Path):
    rows = made_rows.single(tmp_path)
    run = saved(tmp_path / "run", {"state": "finished"})
    same, other = (read(rows, into=tmp_path / name, seed=seed) for name, seed in (("same", 0), ("other", 1)))
    read(rows, into=run / "data", seed=0)
    assert teachers.seen_before(str(run), same.splits["test"]) == {"train": 0, "validation": 0}
    assert teachers.unseen(str(run), same.splits["test"]).all()
    found = teachers.seen_before(str(run), other.splits["test"])
    unseen = teachers.unseen(str(run), other.splits["test"])
    assert len(unseen) == len(other.splits["test"]) and (~unseen).sum() == sum(found.values())
    assert found is not None and found["train"] > 0
    (run / "data" / "validation.arrow").unlink()
    assert teachers.seen_before(str(run), same.splits["test"]) is None, "what is not known is not said to be nothing"
    assert teachers.seen_before("somebody/else", same.splits["test"]) is None
    assert teachers.unseen("somebody/else", same.splits["test"]) is None


def test_what_is_too_long_for_a_teacher_is_refused():
    short: Any = SimpleNamespace(name="short", about=SimpleNamespace(max_length=20))
    teachers.refuse_longer(short, 20)
    with pytest.raises(UserError, match=r"T024.*20 tokens at most.*up to 21"):
        teachers.refuse_longer(short, 21)
