from __future__ import annotations

import pytest

from whet.evaluation.curves import diagnose_curves, read_curves


def curve(seen, own, best=None):
    kept = min(range(len(seen)), key=seen.__getitem__) if best is None else best
    return [
        {"kind": "evaluation", "step": 100 * (place + 1), "loss": loss, "train_loss": train, "best": place <= kept}
        for place, (loss, train) in enumerate(zip(seen, own, strict=True))
    ]


def gravest(points, model=""):
    """What the sum of them stands for."""
    one = read_curves(points, model)
    (found,) = (told for told in diagnose_curves(points, model) if told.bin == one.bin and told.code in one.message)
    assert (one.code, one.place, one.evidence) == ("V005", model, found.evidence)
    return found


def test_overfits_and_the_best_state_is_kept():
    one = gravest(curve([0.9, 0.5, 0.45, 0.6, 0.8], [0.8, 0.4, 0.2, 0.1, 0.05]), "full")
    assert (one.code, one.bin, one.place) == ("W001", "tip", "full")
    assert one.message.startswith("Overfits from step 300 on: validation loss rises from 0.45 to 0.8")
    assert "The best state, of step 300, was kept." in one.message
    assert one.evidence["lowest_at"] == one.evidence["kept"] == 300


def test_overfits_in_probabilities_while_decisions_get_better():
    one = gravest(curve([0.9, 0.45, 0.6], [0.8, 0.3, 0.1], best=2))
    assert one.bin == "tip" and "too sure" in one.message


def test_overfits_and_nothing_was_kept():
    points = [point | {"best": False} for point in curve([0.4, 0.5, 0.9], [0.5, 0.2, 0.1])]
    assert read_curves(points).bin == "issue"


def test_still_falling():
    one = gravest(curve([0.9, 0.7, 0.55], [0.9, 0.7, 0.5]))
    assert one.bin == "tip" and one.message.startswith("Underfits") and "epochs" in one.remedy


def test_fine():
    one = read_curves(curve([0.9, 0.5, 0.46, 0.455], [0.9, 0.4, 0.35, 0.33]))
    assert one.bin == "passed" and "settled at 0.455" in one.message
    assert read_curves(curve([0.9, 0.46, 0.465], [0.9, 0.4, 0.35])).bin == "passed"


def test_nothing_learnt():
    one = gravest(curve([0.69, 0.69, 0.688], [0.69, 0.691, 0.689]))
    assert one.bin == "tip" and "Nothing more was learnt" in one.message


@pytest.mark.parametrize("points", [[], curve([0.5, 0.4], [0.5, 0.4]), [{"step": 1, "loss": None}] * 5])
def test_too_few(points):
    assert read_curves(points).bin == "not_applicable"


def test_points_without_finite_losses_and_out_of_order():
    points = curve([0.9, 0.5, 0.46, 0.455], [0.9, 0.4, 0.35, 0.33])
    broken = [{"step": 5, "loss": float("nan"), "train_loss": 0.1}, {"step": 6, "loss": 0.1}]
    assert read_curves(points[::-1] + broken) == read_curves(points)
