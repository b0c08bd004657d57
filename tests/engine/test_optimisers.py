"""Moments in 8 bits: refused where they cannot be, nearly AdamW where they can, and resumed exactly."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from whet.engine import checkpoint
from whet.engine.checkpoint import FolderKeeper
from whet.engine.optimisation import Group, adamw, optimiser_of, refuse_missing
from whet.errors import Interrupted, UserError

from .regression import Memory, Trial, plan, same
from .test_resuming import check_equal, stopping_after

pytest.importorskip("bitsandbytes")
WIDE = (96, 64)
"""Enough numbers for moments in 8 bits."""


def one_weight(start: torch.Tensor) -> tuple[nn.Parameter, list[Group]]:
    weight = nn.Parameter(start.clone())
    return weight, [Group("all", [("w", weight)], 1e-2, 0.01)]


def gradients() -> list[torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return [torch.randn(WIDE, generator=random) for _ in range(8)]


def test_eight_bits_are_nearly_thirty_two():
    start = torch.randn(WIDE, generator=torch.Generator().manual_seed(1))
    ends = []
    for name in ("adamw", "adamw_8bit"):
        weight, groups = one_weight(start)
        made = optimiser_of(name, groups)  # type: ignore[arg-type]
        for gradient in gradients():
            weight.grad = gradient.clone()
            made.step()
        ends.append(weight.detach())
        moments = {value.dtype for value in made.state[weight].values() if isinstance(value, torch.Tensor)}
        assert (torch.uint8 in moments) == (name == "adamw_8bit")
    moved = (ends[0] - start).abs().mean()
    assert float((ends[1] - ends[0]).abs().mean() / moved) < 0.05


def test_the_state_goes_through_a_file_bit_for_bit(tmp_path: Path):
    """Stopped after four steps, kept, and gone on from in a new optimiser."""
    start = torch.randn(WIDE, generator=torch.Generator().manual_seed(1))
    whole, groups = one_weight(start)
    made = optimiser_of("adamw_8bit", groups)
    for number, gradient in enumerate(gradients()):
        if number == 4:
            kept = {"w": whole.detach().clone(), **checkpoint.optimiser_tensors(made, {id(whole): "w"})}
            FolderKeeper(tmp_path).save("last", kept, {})
        whole.grad = gradient.clone()
        made.step()
    loaded = FolderKeeper(tmp_path).load("last")
    assert loaded is not None
    weight, groups = one_weight(loaded[0]["w"])
    again = optimiser_of("adamw_8bit", groups)
    checkpoint.load_optimiser(again, loaded[0], {"w": weight})
    for gradient in gradients()[4:]:
        weight.grad = gradient.clone()
        again.step()
    assert torch.equal(weight, whole)


@pytest.mark.parametrize("step", [3, 6])
def test_a_training_resumes_exactly(tmp_path: Path, step: int):
    """Small weights keep moments of 32 bits, in the library's own form."""
    settings = plan(optimiser="adamw_8bit")
    whole = Trial(Memory(), settings)
    whole.run()
    keeper = FolderKeeper(tmp_path)
    with pytest.raises(Interrupted):
        list(Trial(keeper, settings).start(stopping_after(step)))
    again = Trial(keeper, settings)
    again.run()
    check_equal(again, whole)
    assert not same(again.state(), Trial().state())


def test_pages_are_refused_where_there_are_none():
    with pytest.raises(UserError) as caught:
        refuse_missing("paged_adamw_8bit", torch.device("cpu"))
    (problem,) = caught.value.problems
    assert problem.code == "T014" and "CUDA" in problem.what and "adamw_8bit" in problem.remedy


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    refuse_missing("adamw", torch.device("cpu"))
    with pytest.raises(UserError) as caught:
        refuse_missing("adamw_8bit", torch.device("cpu"))
    assert caught.value.problems[0].code == "T014" and "not installed" in caught.value.problems[0].what


def test_the_usual_optimiser_is_torchs_own():
    _, groups = one_weight(torch.zeros(2))
    made: Any = optimiser_of("adamw", groups)
    assert type(made) is type(adamw(groups)) is torch.optim.AdamW
