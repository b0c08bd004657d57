from __future__ import annotations

import pytest
import torch
from torch import Tensor

from whet.kernels.attention import reference
from whet.kernels.behind import attend_behind
from whet.kernels.flat import Common, layout

HEADS, WIDTH = 4, 5


def common_of(beginning: int, lengths: list[int]) -> tuple[Common, Tensor]:
    """What all begin with in the middle of the batch, the rest around it; and (T',) each sequence written out."""
    num = beginning + sum(lengths)
    places = torch.arange(num).roll(3)
    first, rest = places[:beginning], places[beginning:]
    back = torch.empty(num, dtype=torch.int64)
    back[places] = torch.arange(num)
    found = Common(first, layout(torch.tensor([beginning])), rest, layout(torch.tensor(lengths)), back)
    return found, torch.cat([torch.cat((first, part)) for part in rest.split(lengths)])


def inputs(num: int, groups: int, dtype: torch.dtype) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    return [
        torch.randn(num, heads, WIDTH, generator=random, dtype=dtype).requires_grad_()
        for heads in (HEADS, groups, groups)
    ]


@pytest.mark.parametrize("groups", [HEADS, 2, 1])
@pytest.mark.parametrize(("beginning", "lengths"), [(6, [3, 1, 4]), (1, [2, 2]), (9, [5]), (4, [1, 1, 1])], ids=str)
def test_values_and_gradients_are_those_of_each_sequence_written_out(beginning: int, lengths: list[int], groups: int):
    common, written = common_of(beginning, lengths)
    where = layout(torch.tensor([beginning + length for length in lengths]))
    given = inputs(len(common.back), groups, torch.float64)
    found = attend_behind(*given, common, 0.4)
    whole = reference(*(part[written] for part in given), where, 0.4, causal=True)
    torch.testing.assert_close(found[written], whole, atol=1e-12, rtol=1e-10)
    weights = torch.linspace(-1, 2, whole.numel(), dtype=whole.dtype).view_as(whole)
    ours = torch.autograd.grad((found[written] * weights).sum(), given)
    for one, other in zip(ours, torch.autograd.grad((whole * weights).sum(), given), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-10)


def test_half_precision_is_near():
    common, written = common_of(40, [7, 12, 3])
    short = inputs(len(common.back), 2, torch.bfloat16)
    exact = [part.detach().double() for part in short]
    where = layout(torch.tensor([47, 52, 43]))
    found = attend_behind(*short, common, 0.4)[written]
    assert found.dtype == torch.bfloat16
    wanted = reference(*(part[written] for part in exact), where, 0.4, causal=True)
    torch.testing.assert_close(found.double(), wanted, atol=0.03, rtol=0.03)


def test_what_is_behind_never_reaches_a_neighbour():
    common, _ = common_of(6, [3, 1, 4])
    given = [part.detach() for part in inputs(len(common.back), HEADS, torch.float64)]
    before = attend_behind(*given, common, 0.4)
    one, others = common.rest[:3], torch.cat((common.first, common.rest[3:]))
    for part in given:
        part[one] += 1.0
    after = attend_behind(*given, common, 0.4)
    assert torch.equal(after[others], before[others])
    assert not torch.equal(after[one], before[one])
