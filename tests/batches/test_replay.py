from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.flat import Targets
from whet.batches.replay import ReplayBatches, joined
from whet.seeds import generator


def encoded(name: str, units: int, parts: int = 1, rows: bool = False, words: bool = False) -> Encoded:
    draw = generator(0, name)
    lengths = draw.integers(2, 12, units * parts)
    total = int(lengths.sum())
    piece = Piece(
        draw.integers(0, 50, total).astype(np.uint32),
        lengths.astype(np.int64),
        rows=np.repeat(np.arange(units) // 2, parts) if rows else None,
        weights=draw.random(total).astype(np.float32),
        words=draw.integers(0, 5, total).astype(np.int32) if words else None,
    )
    return gather([piece], Counted(12), None, parts)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("on_disk", [False, True])
def test_joined_units_are_those_of_both(tmp_path: Path, parts: int, rows: bool, on_disk: bool) -> None:
    first, second = encoded("own", 7, parts, rows, words=True), encoded("general", 5, parts)
    found = joined(first, second, tmp_path / "joined" if on_disk else None)
    assert len(found) == 12 and found.parts == parts
    assert np.array_equal(found.ids, np.concatenate([first.ids, second.ids]))
    assert found.weights is not None and first.weights is not None and second.weights is not None
    assert np.array_equal(found.weights, np.concatenate([first.weights, second.weights]))
    assert found.words is not None and (found.words[first.num_tokens :] == -1).all()
    assert np.array_equal(found.lengths, np.concatenate([first.lengths, second.lengths]))
    if rows:
        assert found.rows is not None and first.rows is not None
        assert found.rows[len(first.rows)] == first.rows[-1] + 1
    else:
        assert found.rows is None


def test_units_of_another_make_cannot_be_joined() -> None:
    with pytest.raises(ValueError, match="cannot be joined"):
        joined(encoded("own", 3), encoded("general", 3, parts=2), None)


def batches(share: float, seed: int = 0) -> ReplayBatches:
    whole = joined(encoded("own", 40), encoded("general", 15), None)
    return ReplayBatches(whole, Targets(torch.zeros(len(whole), 0)), 64, seed, own=40, share=share)


@given(st.floats(0.01, 0.9), st.integers(0, 5))
def test_an_epoch_keeps_to_its_budget(share: float, epoch: int) -> None:
    found = batches(share)
    units = np.concatenate(found.rows_of(epoch))
    own, general = units[units < 40], units[units >= 40]
    assert sorted(own) == list(range(40)), "every row of the task once"
    tokens = int(found.encoded.lengths[general].sum())
    assert abs(tokens - found.budget) < 12, "to within a unit"
    assert found.budget / (found.budget + found.encoded.lengths[:40].sum()) == pytest.approx(share, abs=0.01)


def test_general_text_is_read_evenly_over_epochs() -> None:
    found = batches(0.2)
    seen = np.bincount(np.concatenate([found.drawn(epoch) for epoch in range(30)]), minlength=55)[40:]
    assert seen.min() > 0 and seen.max() - seen.min() <= 1


def test_batches_are_a_function_of_seed_and_epoch() -> None:
    first, again, other = batches(0.4), batches(0.4), batches(0.4, seed=1)
    for epoch in range(3):
        assert all(map(np.array_equal, first.rows_of(epoch), again.rows_of(epoch)))
    jump = list(first.starting_at(2, 3))
    assert [one.rows.tolist() for one in jump] == [rows.tolist() for rows in again.rows_of(2)[3:]]
    assert [rows.tolist() for rows in first.rows_of(0)] != [rows.tolist() for rows in other.rows_of(0)]
    assert first.per_epoch == len(first.rows_of(0))
