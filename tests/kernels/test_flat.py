from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from whet.kernels import flat
from whet.kernels.flat import Layout, layout

LENGTHS = [[3, 1, 4, 2], [2, 2, 2], [5], [1, 1]]
lengths_of_batches = st.lists(st.integers(1, 9), min_size=1, max_size=6)


def rows(where: Layout, width: int = 3, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(where.num_tokens, width, generator=random, dtype=torch.float64)


def pieces(flat_rows: torch.Tensor, where: Layout) -> tuple[torch.Tensor, ...]:
    return flat_rows.split(where.lengths.tolist())


@given(lengths_of_batches)
def test_a_layout_knows_every_token_once(lengths: list[int]):
    where = layout(torch.tensor(lengths))
    assert where.num_sequences == len(lengths)
    assert where.num_tokens == sum(lengths)
    assert where.longest == max(lengths)
    assert where.positions().tolist() == [[i for length in lengths for i in range(length)]]
    assert (where.slots is None) == (len(set(lengths)) == 1)
    if where.slots is not None and where.hidden is not None:
        expected = [row * max(lengths) + i for row, length in enumerate(lengths) for i in range(length)]
        assert where.slots.tolist() == expected
        assert where.hidden[:, 0, 0].logical_not().sum(1).tolist() == lengths


@pytest.mark.parametrize("lengths", [[], [2, 0, 1]])
def test_a_layout_refuses_empty_sequences(lengths: list[int]):
    with pytest.raises(ValueError, match="at least one token"):
        layout(torch.tensor(lengths, dtype=torch.int64))


@given(lengths_of_batches)
def test_pad_and_unpad_are_inverse_and_pad_with_zeros(lengths: list[int]):
    where = layout(torch.tensor(lengths))
    given_rows = rows(where)
    padded = flat.pad(given_rows, where)
    assert padded.shape == (len(lengths), max(lengths), 3)
    for row, piece in zip(padded, pieces(given_rows, where), strict=True):
        assert torch.equal(row[: len(piece)], piece)
        assert not row[len(piece) :].any()
    assert torch.equal(flat.unpad(padded, where), given_rows)


@given(lengths_of_batches, st.integers(1, 4))
def test_what_fills_a_batch_up_is_nobodys(lengths: list[int], extra: int):
    where = replace(layout(torch.tensor(lengths)), extra=extra)
    given_rows = torch.cat((rows(where), torch.full((extra, 3), torch.nan, dtype=torch.float64)))
    padded = flat.pad(given_rows, where)
    assert torch.equal(padded, flat.pad(given_rows[:-extra], replace(where, extra=0)))
    back = flat.unpad(padded, where)
    assert torch.equal(back[:-extra], given_rows[:-extra])
    assert not back[-extra:].any()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40))
def test_batches_come_in_few_sizes(lengths: list[int]):
    where = layout(torch.tensor(lengths))
    found = flat.filled(where)
    size = where.num_tokens + found.extra
    assert found == replace(where, extra=found.extra)
    assert 0 <= found.extra <= where.num_tokens / 16
    assert size.bit_length() <= flat.FINEST or size % (1 << size.bit_length() - flat.FINEST - 1) == 0


@given(lengths_of_batches)
def test_pooling_equals_the_naive_form(lengths: list[int]):
    where = layout(torch.tensor(lengths))
    given_rows = rows(where)
    parts = pieces(given_rows, where)
    assert torch.equal(flat.first(given_rows, where), torch.stack([p[0] for p in parts]))
    assert torch.equal(flat.last(given_rows, where), torch.stack([p[-1] for p in parts]))
    found = flat.mean(given_rows, where)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.stack([p.mean(0) for p in parts]).float())


def test_a_mean_of_low_precision_is_summed_in_float32():
    where = layout(torch.tensor([300]))
    ones = torch.full((300, 1), 1.0078125, dtype=torch.bfloat16)  # the next above 1: a bf16 sum would stall at 256
    assert flat.mean(ones, where).item() == pytest.approx(1.0078125, abs=1e-6)


@pytest.mark.parametrize("extra", [0, 3])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_gradients_are_exact(lengths: list[int], extra: int):
    where = replace(layout(torch.tensor(lengths)), extra=extra)
    given_rows = torch.cat((rows(where), torch.ones(extra, 3, dtype=torch.float64))).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: flat.pad(x, where), given_rows)
    padded = flat.pad(given_rows.detach(), where).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: flat.unpad(x, where), padded)
    assert torch.autograd.gradcheck(lambda x: flat.first(x, where), given_rows)
    assert torch.autograd.gradcheck(lambda x: flat.last(x, where), given_rows)


@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_the_gradient_of_a_mean_is_an_even_share(lengths: list[int]):
    where = layout(torch.tensor(lengths))
    given_rows = rows(where).float().requires_grad_()
    flat.mean(given_rows, where).sum().backward()
    expected = torch.tensor([1 / length for length in lengths for _ in range(length)])
    assert given_rows.grad is not None
    torch.testing.assert_close(given_rows.grad, expected[:, None].expand(-1, 3))


def test_a_layout_stays_itself_on_its_own_device():
    where = layout(torch.tensor([2, 3]))
    assert where.to(torch.device("cpu")) is where
    moved = where.to(torch.device("meta"))
    assert {moved.lengths.device.type, moved.starts.device.type} == {"meta"}
    assert moved.slots is not None and moved.slots.device.type == "meta"
