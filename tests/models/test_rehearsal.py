"""Counting bytes and operations of what has no values: held against sums worked out by hand."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from whet.kernels import flat
from whet.kernels.attention import attend
from whet.kernels.dropout import ByteStream
from whet.models.rehearsal import META, Rehearsal

ROWS, WIDE, NARROW = 32, 64, 16


def test_a_layer_forward_and_backward():
    with META:
        layer, given = nn.Linear(WIDE, NARROW), torch.empty(ROWS, WIDE, requires_grad=True)
    with Rehearsal() as found:
        found.hold([*layer.parameters(), given])
        assert found.held == 4 * (WIDE * NARROW + NARROW + ROWS * WIDE)
        before = found.held
        layer(given).sum().backward()
    assert found.flops == 3 * 2 * ROWS * WIDE * NARROW
    assert found.held == before + 4 * (WIDE * NARROW + NARROW + ROWS * WIDE)  # gradients stay, all else is gone
    assert found.peak >= found.held
    assert found.moved > 3 * 4 * ROWS * WIDE


def test_what_is_let_go_is_not_held():
    with Rehearsal() as found:
        one = torch.empty(1000, device=META)
        view = one[:10]
        del one
        assert found.held == 4000  # a view holds all of it
        del view
        assert found.held == 0
        assert found.peak == 4000
        found.start_anew()
        assert found.peak == 0


def test_the_peak_is_what_is_there_at_one_time():
    with Rehearsal() as found:
        held = torch.empty(100, device=META)
        for _ in range(5):
            held + 1
        assert found.peak == 800
    assert held.shape == (100,)


def test_places_keep_their_values():
    mask = torch.tensor([[True, False, True], [False, False, True]])
    with Rehearsal() as found:
        table = torch.empty(2, 3, 5, device=META)
        assert table[mask].shape == (3, 5)
        assert table[mask[:, 0]].shape == (1, 3, 5)
        table[mask] = torch.empty(3, 5, device=META)
        assert functional.embedding(torch.tensor([1, 0]), torch.empty(4, 7, device=META)).shape == (2, 7)
        assert float(table.sum()) == 1.0  # a number that nobody knows
    assert found.flops == 0


def test_fused_attention_has_no_table_and_dropped_attention_has_one():
    where = flat.layout(torch.tensor([200, 200]))
    table = 4 * 2 * 3 * 200 * 200  # two sequences, three heads

    def held(chance: float) -> int:
        query, key, value = (torch.empty(400, 3, 8, device=META, requires_grad=True) for _ in range(3))
        with Rehearsal() as found:
            attend(query, key, value, where, 0.3, causal=True, keep=ByteStream(), chance=chance).sum().backward()
        return found.peak

    assert held(0.0) < table
    assert held(0.1) > 2 * table  # the weights, and the factors that drop some of them


def test_tensors_with_values_are_left_alone():
    with Rehearsal() as found:
        assert (torch.ones(3) * 2).tolist() == [2.0, 2.0, 2.0]
    assert (found.held, found.peak, found.moved) == (0, 0, 0)


def test_places_made_of_nothing_keep_their_values():
    with Rehearsal():
        numbers = torch.arange(6, device=META)
        assert (numbers % 2 == 1).sum().item() == 3
        assert torch.empty(6, 4, device=META)[numbers % 2 == 1].shape == (3, 4)
        assert torch.zeros(3, dtype=torch.bool, device=META).any().item() is False
        assert torch.full((3,), 0.5, device=META).is_meta
        assert torch.arange(0.0, 1.0, 0.5, device=META).is_meta
