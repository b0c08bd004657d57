from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from whet.engine.events import Ended, Evaluated, Noted, Saved, Stepped
from whet.engine.optimisation import schedule
from whet.engine.protocols import StepLoss
from whet.errors import ModelTooLarge

from .regression import PER_EPOCH, TOKENS_PER_ROW, Memory, Rows, Trial, network, plan, rows, same, squares

Objective = Callable[[nn.Module, Rows], StepLoss]


def failing_at(*steps: int) -> Objective:
    """Not finite at these calls (from 0), as counted over the whole training."""
    count = iter(range(10_000))

    def objective(model: nn.Module, batch: Rows) -> StepLoss:
        loss = squares(model, batch)
        return StepLoss(loss.total * (math.nan if next(count) in steps else 1.0), loss.num_counted)

    return objective


def test_training_learns_and_says_what_it_does():
    trial = Trial(settings=plan(num_steps=20 * PER_EPOCH), dropout=0.0)
    ended = trial.run()
    looks = trial.of(Evaluated)
    assert looks[0].step == 0 and looks[0].best
    assert looks[-1].numbers["loss"] < looks[0].numbers["loss"] / 3
    assert [e.step for e in looks] == [*range(0, 20 * PER_EPOCH + 1, 4)]
    assert ended.reason == "completed"
    assert ended.steps == 20 * PER_EPOCH
    assert ended.tokens == 20 * TOKENS_PER_ROW * len(rows().inputs)
    steps = trial.of(Stepped)
    assert steps[-1].step == ended.steps and steps[-1].num_steps == ended.steps
    assert all(math.isfinite(e.loss) and e.grad_norm > 0 for e in steps)
    assert steps[-1].epoch == pytest.approx(20.0)


def test_the_same_training_twice_is_the_same():
    first, second = Trial(), Trial()
    first.run(), second.run()
    assert same(first.state(), second.state())


def test_the_best_state_is_in_the_model_at_the_end():
    trial = Trial(scores=lambda look: 10.0 if look == 3 else -float(look))
    seen = {}
    for event in trial.start():
        if isinstance(event, Evaluated):
            seen[event.step] = trial.state()
    ended = trial.of(Ended)[0]
    assert (ended.best_step, ended.best_score) == (8, 10.0)
    assert [e.step for e in trial.of(Evaluated) if e.best] == [0, 8]
    assert same(trial.state(), seen[8])
    assert not same(trial.state(), seen[18])


def test_equal_scores_are_decided_by_the_tie_break_and_then_by_who_came_first():
    trial = Trial(scores=lambda _: 1.0)
    assert trial.run().best_step == 0


@pytest.mark.parametrize("patience", [1, 2])
def test_patience_is_the_number_of_disappointments_that_end_training(patience: int):
    """Of those in the second half of the 18 steps that were planned."""
    trial = Trial(settings=plan(patience=patience, evaluate_every=2), scores=lambda look: -float(look))
    ended = trial.run()
    assert ended.reason == "patience"
    assert ended.steps == 8 + 2 * patience
    assert ended.best_step == 0


def test_what_gets_worse_before_it_gets_better_is_not_given_up():
    trial = Trial(settings=plan(patience=3, evaluate_every=2), scores=lambda look: float(look) if look > 6 else -look)
    ended = trial.run()
    assert (ended.reason, ended.best_step) == ("completed", 18)


def test_the_time_limit_ends_training_after_a_look():
    trial = Trial(settings=plan(max_seconds=1e-9))
    ended = trial.run()
    assert (ended.reason, ended.steps) == ("max_seconds", 1)
    assert [e.step for e in trial.of(Evaluated)] == [0, 1]


def test_checkpoints_come_as_often_as_asked():
    trial = Trial(settings=plan(checkpoint_seconds=-1.0))
    trial.run()
    assert [e.step for e in trial.of(Saved)] == [*range(1, plan().num_steps), plan().num_steps]
    rare = Trial()
    rare.run()
    assert [e.step for e in rare.of(Saved)] == [plan().num_steps]


# --- losses that are not finite ---------------------------------------------------------------------


def test_a_failed_step_is_skipped_and_recorded():
    trial = Trial(objective=failing_at(5))
    ended = trial.run()
    (note,) = trial.of(Noted)
    assert (note.code, note.step) == ("E001", 5)
    assert (ended.reason, ended.steps) == ("completed", plan().num_steps)
    assert all(torch.isfinite(value).all() for value in trial.state().values())


def test_a_failed_step_leaves_the_weights_alone():
    trial = Trial(objective=failing_at(1), settings=plan(checkpoint_seconds=-1.0), dropout=0.0)
    states = [trial.state() for event in trial.start() if isinstance(event, Saved)]
    assert same(states[0], states[1])
    assert not same(states[1], states[2])


def test_a_gradient_that_is_not_finite_is_skipped_too():
    def objective(model: nn.Module, batch: Rows) -> StepLoss:
        total = squares(model, batch).total
        return StepLoss(total + 0.0 * (next(model.parameters()).sum() * 0.0).sqrt(), len(batch.inputs))

    trial = Trial(objective=objective)
    trial.run()
    assert trial.of(Noted)[0].code == "E001"


def test_three_in_a_row_go_back_to_the_best_state_with_half_the_rate():
    keeper = Memory()
    trial = Trial(keeper, objective=failing_at(9, 10, 11), settings=plan(checkpoint_seconds=-1.0), dropout=0.0)
    rates, states = {}, {}
    for event in trial.start():
        if isinstance(event, Saved):
            kept = keeper.load("last")
            assert kept is not None
            rates[event.step] = kept[1]["rate_factor"]
            states[event.step] = trial.state()
    notes = trial.of(Noted)
    assert [(n.code, n.step) for n in notes] == [("E001", 9), ("E001", 10), ("E001", 11), ("E002", 11)]
    best = max((e for e in trial.of(Evaluated) if e.step <= 9), key=lambda e: e.best * e.step)
    assert f"step {best.step}," in notes[-1].message
    assert (rates[11], rates[12], rates[18]) == (1.0, 0.5, 0.5)
    assert same(states[12], states[best.step])
    assert trial.of(Ended)[0].reason == "completed"


def test_failures_without_end_give_up():
    trial = Trial(objective=failing_at(*range(2, 1000)))
    ended = trial.run()
    assert ended.reason == "diverged"
    assert ended.steps == 2 + 3 * 3
    assert [n.code for n in trial.of(Noted)].count("E002") == 2
    assert all(torch.isfinite(value).all() for value in trial.state().values())


def test_two_in_a_row_are_borne():
    trial = Trial(objective=failing_at(2, 3, 5, 6))
    assert trial.run().reason == "completed"
    assert [n.code for n in trial.of(Noted)] == ["E001"] * 4


# --- memory --------------------------------------------------------------------------------------


class Small:
    """A machine that computes so many rows at once and no more."""

    def __init__(self, num_rows: int, error: Exception) -> None:
        self.num_rows, self.error = num_rows, error
        self.sizes: list[int] = []

    def __call__(self, model: nn.Module, batch: Rows) -> StepLoss:
        if len(batch.inputs) > self.num_rows:
            raise self.error
        self.sizes.append(len(batch.inputs))
        return squares(model, batch)


ERRORS = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried to"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_when_memory_runs_out_micro_batches_are_halved_and_the_result_stays(error: Exception):
    plenty = Trial(dropout=0.0, dtype=torch.float64)
    plenty.run()
    small = Small(1, error)
    trial = Trial(objective=small, dropout=0.0, dtype=torch.float64)
    trial.run()
    assert [n.code for n in trial.of(Noted)] == ["E004", "E004"], "4 rows, then 2, then 1; once and for all"
    assert set(small.sizes) == {1}
    for name, value in plenty.state().items():
        torch.testing.assert_close(trial.state()[name], value, atol=1e-10, rtol=1e-8)


def test_one_row_that_does_not_fit_ends_training():
    with pytest.raises(ModelTooLarge):
        Trial(objective=Small(0, MemoryError())).run()


def test_a_model_that_knows_how_keeps_less_before_training_is_given_up():
    """Once; what does not suffice then is too large."""

    class Saving(Small):
        saved = 0

        def __call__(self, model: nn.Module, batch: Rows) -> StepLoss:
            if self.saved:
                return squares(model, batch)
            return super().__call__(model, batch)

    objective = Saving(0, MemoryError())

    def save_memory() -> bool:
        objective.saved += 1
        return objective.saved == 1

    trial = Trial(objective=objective)
    trial.weights.model.save_memory = save_memory  # type: ignore[assignment]
    trial.run()
    notes = [note.message for note in trial.of(Noted)]
    assert objective.saved == 1 and "micro-batches of" in notes[0] and "on the way back" in notes[-1]


def test_other_errors_are_not_taken_for_memory():
    with pytest.raises(RuntimeError, match="shape"):
        Trial(objective=Small(0, RuntimeError("shape mismatch"))).run()


# --- micro-batches and the schedule ----------------------------------------------------------------


@pytest.mark.parametrize("micro_batch_tokens", [TOKENS_PER_ROW, 2 * TOKENS_PER_ROW, 3 * TOKENS_PER_ROW])
def test_the_result_does_not_depend_on_how_a_batch_is_cut(micro_batch_tokens: int):
    whole = Trial(dropout=0.0, dtype=torch.float64)
    cut = Trial(dropout=0.0, dtype=torch.float64, settings=plan(micro_batch_tokens=micro_batch_tokens))
    assert cut.run().best_step == whole.run().best_step
    for name, value in whole.state().items():
        torch.testing.assert_close(cut.state()[name], value, atol=1e-11, rtol=1e-9)


def test_warm_up_and_decay_by_hand():
    factor = schedule(num_steps=10, warmup_share=0.2)
    assert [factor(step) for step in range(11)] == pytest.approx(
        [0.5, 1.0, 1.0, 7 / 8, 6 / 8, 5 / 8, 4 / 8, 3 / 8, 2 / 8, 1 / 8, 0.0]
    )


@pytest.mark.parametrize("share", [0.0, 0.06, 0.5, 0.99])
@pytest.mark.parametrize("num_steps", [1, 2, 7, 100])
def test_every_step_moves_and_none_exceeds_the_peak(num_steps: int, share: float):
    factors = [schedule(num_steps, share)(step) for step in range(num_steps)]
    assert all(0 < f <= 1 for f in factors)
    assert max(factors) == 1.0
    peak = factors.index(1.0)
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


def test_the_network_of_these_tests_has_dropout():
    model = network().train()
    torch.manual_seed(0)
    one = model(rows().inputs)
    assert not torch.equal(one, model(rows().inputs))
