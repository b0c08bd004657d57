from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from whet.report.curves import averaged, learning_curves

from .synthetic_run import events


def step(number: int, loss: float | None = 1.0, model: str = "full") -> dict[str, object]:
    return {"kind": "step", "model": model, "step": number, "loss": loss}


def evaluation(number: int, loss: float, best: bool = False) -> dict[str, object]:
    return {"kind": "evaluation", "model": "full", "step": number, "loss": loss, "accuracy": 0.5, "best": best}


def test_a_resumed_run_tells_its_repeated_steps_once() -> None:
    told = [step(1), step(2), evaluation(2, 0.9, best=True), step(3), step(4), evaluation(4, 0.8, best=True)]
    told += [step(3, 7.0), step(4, 7.0), evaluation(4, 0.85)]
    (curves,) = learning_curves(told)
    assert curves.step_loss == [(1, 1.0), (2, 1.0), (3, 7.0), (4, 7.0)]
    assert curves.measures["loss"] == [(2, 0.9), (4, 0.85)]
    assert curves.best_step is None or curves.best_step == 2


def test_a_restart_forgets_the_failed_attempt() -> None:
    told = [step(1), step(2), evaluation(2, 0.9, best=True), step(1, 3.0), step(2, 2.0)]
    (curves,) = learning_curves(told)
    assert curves.step_loss == [(1, 3.0), (2, 2.0)]
    assert curves.measures["loss"] == [] and curves.best_step is None


def test_skipped_steps_have_no_point_and_models_stay_apart() -> None:
    told = [step(1), step(2, None), step(3), step(1, 5.0, "lora"), step(2, 4.0, "lora"), {"kind": "note"}]
    full, lora = learning_curves(told)
    assert full.step_loss == [(1, 1.0), (3, 1.0)]
    assert (lora.model, lora.step_loss) == ("lora", [(1, 5.0), (2, 4.0)])


def test_the_synthetic_run_is_read_as_one_line() -> None:
    (curves,) = learning_curves(events())
    assert [number for number, _ in curves.step_loss] == list(range(1, 633))
    assert [number for number, _ in curves.measures["loss"]] == [79 * number for number in range(1, 9)]
    assert curves.best_step == 395


@given(st.lists(st.floats(-10, 10), max_size=300), st.integers(1, 50))
def test_averages_keep_the_last_step_and_the_mean(values: list[float], at_most: int) -> None:
    points = list(enumerate(values))
    short = averaged(points, at_most)
    assert len(short) <= at_most
    if points:
        assert short[-1][0] == points[-1][0]
        if len(values) % len(short) == 0:
            assert abs(sum(value for _, value in short) / len(short) - sum(values) / len(values)) < 1e-9
