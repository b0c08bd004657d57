from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
import torch

from whet.engine import profile


def test_time_is_added_up_by_the_innermost_mark():
    def slow() -> torch.Tensor:
        time.sleep(0.05)
        return torch.ones(2, 2)

    def around() -> torch.Tensor:
        return parts.slow() @ torch.ones(2, 2)

    parts = SimpleNamespace(slow=slow, around=around)
    marks = {profile.MASKS: ((parts, "slow"),), profile.ATTENTION: ((parts, "around"),)}
    with profile.watched(marks) as found:
        for _ in range(3):
            parts.around()
    assert parts.slow is slow and parts.around is around, "what was marked is itself again"
    assert found.seconds.keys() == set(profile.PARTS)
    assert found.seconds[profile.MASKS] >= 0.15
    assert 0 < found.seconds[profile.ATTENTION] < found.seconds[profile.MASKS]
    assert found.seconds[profile.PRODUCTS] == 0, "a product within a mark is that mark's"


def test_products_are_told_from_all_else():
    left, right = torch.randn(400, 400), torch.randn(400, 400)
    with profile.watched({}) as found:
        for _ in range(5):
            (left @ right).add_(1.0)
    assert found.seconds[profile.PRODUCTS] > 0
    assert found.seconds[profile.OTHER] > 0
    assert found.seconds[profile.ATTENTION] == 0


def test_marks_come_off_when_something_fails():
    def broken() -> None:
        raise RuntimeError("no")

    parts = SimpleNamespace(broken=broken)
    with pytest.raises(RuntimeError), profile.watched({profile.DATA: ((parts, "broken"),)}):
        parts.broken()
    assert parts.broken is broken
