"""Stopped or killed at any step and gone on from the checkpoint: bit for bit as if never stopped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whet import files
from whet.engine import loop
from whet.engine.checkpoint import FolderKeeper
from whet.engine.events import Ended, Evaluated, Noted
from whet.engine.protocols import StepLoss
from whet.errors import Interrupted, UserError
from whet.files import sweep

from .regression import Memory, Rows, Trial, plan, same, squares

STEPS = plan().num_steps


class Killed(BaseException):
    """The process is gone; nothing is caught, nothing is tidied up."""


def stopping_after(steps: int) -> Callable[[], bool]:
    count = itertools.count(1)
    return lambda: next(count) >= steps


def comparable(ended: Ended) -> dict[str, Any]:
    """How training ended, times left out."""
    return {name: value for name, value in asdict(ended).items() if "seconds" not in name}


def check_equal(trial: Trial, whole: Trial) -> None:
    assert comparable(trial.of(Ended)[-1]) == comparable(whole.of(Ended)[-1])
    assert same(trial.state(), whole.state())
    for name in ("last", "best"):
        ours, theirs = trial.keeper.load(name), whole.keeper.load(name)
        assert ours is not None and theirs is not None
        assert same(ours[0], theirs[0]), name
        times = ("train_seconds", "wall_seconds")
        assert {k: v for k, v in ours[1].items() if k not in times} == {
            k: v for k, v in theirs[1].items() if k not in times
        }


@pytest.fixture(scope="module")
def uninterrupted() -> Trial:
    trial = Trial()
    trial.run()
    assert trial.of(Ended)[0].reason == "completed"
    return trial


# evaluations come after steps 4, 8, 12, 16 and 18, epochs end after 6, 12 and 18
@pytest.mark.parametrize("step", [1, 3, 4, 5, 6, 7, 12, 16, 17])
def test_stopped_and_resumed(uninterrupted: Trial, tmp_path: Path, step: int):
    keeper = FolderKeeper(tmp_path)
    first = Trial(keeper)
    with pytest.raises(Interrupted):
        list(first.start(stopping_after(step)))
    second = Trial(keeper)
    second.run()
    assert second.of(Evaluated)[:1] == [] or second.of(Evaluated)[0].step > step
    check_equal(second, uninterrupted)
    together = [e.to_json() for trial in (first, second) for e in trial.of(Evaluated)]
    assert together == [e.to_json() for e in uninterrupted.of(Evaluated)]


def test_stopped_after_every_step(uninterrupted: Trial):
    keeper = Memory()
    for _ in range(STEPS - 1):
        with pytest.raises(Interrupted):
            list(Trial(keeper).start(stopping_after(1)))
    last = Trial(keeper)
    last.run()
    check_equal(last, uninterrupted)


@pytest.mark.parametrize("saves", range(1, 24))
def test_killed_while_saving(uninterrupted: Trial, saves: int):
    """A checkpoint after every step; the process dies as it begins its n-th save, or right after it."""

    class Fragile(Memory):
        def save(self, name: str, tensors: Mapping[str, Tensor], progress: Mapping[str, Any]) -> None:
            if self.dies_before and len(self.saves) == saves - 1:
                raise Killed
            super().save(name, tensors, progress)
            if not self.dies_before and len(self.saves) == saves:
                raise Killed

        dies_before = True

    settings = plan(checkpoint_seconds=-1.0)
    for dies_before in (True, False):
        keeper = Fragile()
        keeper.dies_before = dies_before
        with pytest.raises(Killed):
            list(Trial(keeper, settings).start())
        survivor = Trial(Memory(dict(keeper.states)), settings)
        survivor.run()
        check_equal(survivor, uninterrupted)


@pytest.mark.parametrize("step", [2, 4, 9])
def test_killed_between_the_two_renames_of_a_save(
    uninterrupted: Trial, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
):
    """The old state has been moved aside and the new one is not yet in place: sweeping puts it back."""
    keeper = FolderKeeper(tmp_path)
    with pytest.raises(Interrupted):
        list(Trial(keeper).start(stopping_after(step)))
    kept = keeper.load("best")
    assert kept is not None
    with monkeypatch.context() as patch:
        patch.setattr(files, "_put_in_place", _die_halfway)
        for name in ("last", "best"):
            with pytest.raises(Killed):
                keeper.save(name, {"wrong": torch.zeros(1)}, {})
    assert keeper.load("best") is None
    sweep(tmp_path)
    again = Trial(keeper)
    again.run()
    check_equal(again, uninterrupted)


def _die_halfway(new: Path, path: Path) -> None:
    """What a process does that is killed between the two renames."""
    path.rename(path.parent / f"{files.REPLACED}{path.name}")
    raise Killed


@pytest.mark.parametrize("reason", ["patience", "diverged"])
def test_killed_after_the_end_was_saved(reason: str):
    """Training was over and nobody wrote that down: going on ends at once, for the same reason."""

    def broken(model: nn.Module, batch: Rows) -> StepLoss:
        loss = squares(model, batch)
        return StepLoss(loss.total * float("nan"), loss.num_counted)

    settings = plan(patience=1, evaluate_every=2) if reason == "patience" else plan()
    worse = (lambda look: -float(look)) if reason == "patience" else None
    keeper = Memory()
    trials = []
    for objective in (squares if reason == "patience" else broken, squares):
        trial = Trial(keeper, settings, objective, scores=worse)
        trials.append((trial.run(), trial.state()))
    (first, state), (second, again) = trials
    assert first.reason == second.reason == reason
    assert comparable(first) == comparable(second)
    assert same(state, again)


def test_killed_after_a_rollback_and_a_better_evaluation():
    """A replay of the rollback must not find the later best state."""
    calls: list[int] = []

    def failing(bad: range) -> Callable[[nn.Module, Rows], StepLoss]:
        def objective(model: nn.Module, batch: Rows) -> StepLoss:
            calls.append(1)
            loss = squares(model, batch)
            return StepLoss(loss.total * (float("nan") if len(calls) - 1 in bad else 1.0), loss.num_counted)

        return objective

    whole = Trial(objective=failing(range(5, 8)))
    whole.run()
    assert [e.code for e in whole.of(Noted)] == ["E001", "E001", "E001", "E002"]

    calls.clear()
    keeper = Memory()
    killed = Trial(keeper, objective=failing(range(5, 8)))
    for event in killed.start():
        if isinstance(event, Evaluated) and event.step == 12:
            break  # the generator is dropped: nothing more is saved
    last = keeper.load("last")
    assert last is not None and last[1]["rollbacks"] == 1 and last[1]["step"] == 8
    after = Trial(keeper)  # the failure does not come again
    after.run()
    check_equal(after, whole)


def bf16_squares(model: nn.Module, batch: Rows) -> StepLoss:
    """The summed squared error of a model in bf16."""
    return StepLoss((model(batch.inputs.bfloat16()).float() - batch.targets).square().sum(), len(batch.inputs))


def test_bf16_resumes_exactly_too():
    whole = Trial(objective=bf16_squares, precision=torch.bfloat16)
    whole.run()
    assert next(whole.model.parameters()).dtype == torch.bfloat16
    keeper = Memory()
    with pytest.raises(Interrupted):
        list(Trial(keeper, objective=bf16_squares, precision=torch.bfloat16).start(stopping_after(7)))
    again = Trial(keeper, objective=bf16_squares, precision=torch.bfloat16)
    again.run()
    check_equal(again, whole)


def test_checkpoints_are_safetensors_and_json(tmp_path: Path):
    Trial(FolderKeeper(tmp_path)).run()
    names = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert names == {f"{state}/{file}" for state in ("best", "last") for file in ("state.safetensors", "progress.json")}


@pytest.mark.parametrize("file", ["state.safetensors", "progress.json"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, file: str):
    keeper = FolderKeeper(tmp_path)
    keeper.save("last", {"a": torch.zeros(50)}, {"step": 1})
    path = tmp_path / "last" / file
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError) as caught:
        keeper.load("last")
    (problem,) = caught.value.problems
    assert (problem.code, problem.where) == ("T010", str(tmp_path / "last"))
    assert keeper.load("best") is None


def test_the_constants_are_as_documented():
    assert (loop.FAILED_STEPS_IN_A_ROW, loop.MAX_ROLLBACKS) == (3, 2)
