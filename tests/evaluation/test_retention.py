"""What X010 and X011 say: steps of student and control, and a teacher that knows the test rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.evaluation import made_kinds
from whet.evaluation import retention


def told(student: int | None, control: int | None, **more: Any) -> dict[str, Any]:
    """A distillation that helped, as ``distillation.json`` has it."""
    gain = {
        "candidate": "distilled",
        "against": "full",
        "metric": "accuracy",
        "difference": 0.1,
        "low": 0.05,
        "high": 0.15,
        "p": 0.001,
        **dict.fromkeys(("p_holm", "standard_error"), 0.001),
        **dict.fromkeys(("won", "lost", "positive_flips", "negative_flips", "num_rows"), 1),
        "test": "randomisation",
    }
    kept = {"distilled": {"share": 0.9, "low": 0.8, "high": 0.95}}
    models = {"distilled": {"steps": student}, "full": {"steps": control}, "teacher": {"steps": None}}
    return {"alpha": 0.05, "control": "full", "kept": kept, "gain": gain, "models": models, **more}


@pytest.mark.parametrize(
    ("student", "control", "bin", "words"),
    [
        (100, 100, "passed", ""),
        (100, 95, "passed", "The control had 95 steps of training, the student 100"),
        (60, 100, "passed", "The control had 100 steps of training, the student 60"),
        (1_272, 16, "tip", "The control had 16 steps of training, the student 1,272"),
        (None, None, "passed", ""),
    ],
)
def test_a_control_of_fewer_steps_is_no_proof(student: int | None, control: int | None, bin: str, words: str):
    found = retention.finding(told(student, control))
    assert found.bin == bin and words in found.message
    assert ("steps" in found.message) == bool(words)


def tags(name: str, right: list[int]) -> Any:
    """A tagger's answers to rows of one entity each, found in some of them."""
    truth = [[(0, 4, 0)] for _ in right]
    said = [[(0, 4, 0)] if there else [] for there in right]
    return made_kinds.spans(truth, said, model=name)


def test_equal_models_have_equal_intervals_and_draws_without_a_share_are_told():
    few = [1, 1] + [0] * 18
    one, other, teacher = (tags(name, few) for name in ("distilled", "full", "teacher"))
    found = retention.retention(
        {"distilled": one, "full": other, "teacher": teacher}, "entity_f1", "full", seed=0, alpha=0.05
    )
    kept = {name: {**value, "model": ""} for name, value in found["kept"].items()}
    assert kept["distilled"] == kept["full"], "the same answers, drawn alike"
    assert kept["distilled"]["share"] == 1.0 and kept["distilled"]["low"] == kept["distilled"]["high"] == 1.0
    assert 0 < kept["distilled"]["undefined"] < 1000, "in some resamples the teacher finds nothing"
    message = retention.finding({**found, "models": {}}).message
    assert message.startswith("The student keeps 100.0 %") and "resamples have no score to take a share of" in message


def test_a_sentence_begins_with_who_it_is_about():
    alone = retention.finding(told(10, 10, kept={}))
    assert alone.message.startswith("The student is")
    nothing = {"distilled": {"share": None, "low": None, "high": None}}
    assert "no share of a score of zero. It is" in retention.finding(told(10, 10, kept=nothing)).message


@pytest.mark.parametrize(
    ("kept", "bin", "words"),
    [(None, "tip", "is not kept"), ("runs/a/models/full", "tip", "lies in runs/a/models/full")],
)
def test_a_tuned_model_that_does_not_teach_is_told(kept: str | None, bin: str, words: str):
    by = {"model": "probe", "run": "runs/a", "tuned": "full", "kept": kept}
    found = retention.who_teaches({"teacher": "runs/a", "taught_by": by})
    assert (found.code, found.bin) == ("X012", bin)
    assert "probe of runs/a" in found.message and words in found.message
    assert (f"distillation.teacher={kept}" in found.remedy) == (kept is not None)
    shipped = retention.who_teaches({"teacher": "runs/a", "taught_by": {**by, "model": "full", "tuned": None}})
    assert shipped.bin == "passed" and "full of runs/a" in shipped.message
    assert retention.who_teaches({"teacher": "somebody/else"}).message == "The teacher is somebody/else."


@pytest.mark.parametrize(
    ("seen", "bin", "words", "said"),
    [
        ({"train": 0, "validation": 0}, "passed", "none of the test rows", "90.0 % of the teacher's score (95 %"),
        (
            {"train": 3, "validation": 1},
            "tip",
            "Of 20 test rows the teacher was trained on 3, and chosen by 1: what is kept",
            "90.0 % of the teacher's score on 16 test rows that it had not seen",
        ),
        ({"train": 12, "validation": 4}, "issue", "too high to hold anything against", "is not told"),
        (None, "not_applicable", "not known here", "90.0 %"),
    ],
)
def test_what_the_teacher_saw_of_the_test_rows(seen: dict[str, int] | None, bin: str, words: str, said: str):
    known = told(10, 10, seen=seen, test_rows=20)
    if bin == "tip":
        known["unseen"] = 16
    if bin == "issue":
        known["kept"] = {}
    found = retention.seen_before(known)
    assert (found.code, found.bin) == ("X011", bin) and words in found.message
    assert said in retention.finding(known).message


def test_what_is_kept_rests_on_rows_that_the_teacher_has_not_seen():
    half = [1, 0] * 10
    one, other = tags("distilled", half), tags("full", half)
    teacher = tags("teacher", [1] * 20)
    unseen = np.asarray([True, True, *[True, False] * 9])
    models = {"distilled": one, "full": other, "teacher": teacher}
    whole = retention.retention(models, "entity_f1", "full", seed=0, alpha=0.05)
    some = retention.retention(models, "entity_f1", "full", seed=0, alpha=0.05, comparable=unseen)
    assert some["unseen"] == 11 and "unseen" not in whole
    held = {name: model.take(unseen) for name, model in models.items()}
    assert some["kept"]["distilled"]["share"] == pytest.approx(
        retention.kept(held["distilled"], held["teacher"], "entity_f1", seed=0).share
    )
    assert some["kept"]["distilled"]["share"] > whole["kept"]["distilled"]["share"]
    assert some["gain"] == whole["gain"], "student and control are held against each other on all rows"
    few = np.arange(20) < 9
    assert retention.retention(models, "entity_f1", "full", seed=0, alpha=0.05, comparable=few)["kept"] == {}
    assert retention.retention(models, "entity_f1", "full", seed=0, alpha=0.05, comparable=False)["kept"] == {}
