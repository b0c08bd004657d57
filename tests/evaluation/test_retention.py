"""What X010 and X011 say: steps of student and control, and a teacher that knows the test rows."""

from __future__ import annotations

from typing import Any

import pytest

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


@pytest.mark.parametrize(
    ("seen", "bin", "words"),
    [
        ({"train": 0, "validation": 0}, "passed", "none of the test rows"),
        ({"train": 3, "validation": 1}, "issue", "Of 20 test rows the teacher was trained on 3, and chosen by 1"),
        (None, "not_applicable", "not known here"),
    ],
)
def test_what_the_teacher_saw_of_the_test_rows(seen: dict[str, int] | None, bin: str, words: str):
    known = told(10, 10, seen=seen, test_rows=20)
    found = retention.seen_before(known)
    assert (found.code, found.bin) == ("X011", bin) and words in found.message
    assert ("is not told" in retention.finding(known).message) == (bin == "issue")
