"""Labels as trees: the same nats as side by side, fewer tokens."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.generation.made_language_models import SHAPES, VOCABULARY, network, prompts
from whet.generation import closed
from whet.generation.label_tree import trees
from whet.generation.reading_prompts import branches_off, in_use, read

LABELS = [np.array(one) for one in ([7], [8, 9], [7, 10, 11, 3], [7, 10], [30, 31], [7, 10, 12], [8, 9], [8, 9, 3])]
some_labels = st.lists(
    st.lists(st.integers(4, 7), min_size=1, max_size=6).map(lambda one: np.array(one, np.int64)), min_size=1, max_size=9
)


@pytest.fixture(autouse=True)
def _unknown():
    closed._proven.clear()


@given(labels=some_labels, most=st.integers(0, 12))
def test_trees_hold_every_label_once_and_every_beginning_once(labels, most):
    found = trees(labels, most)
    assert sorted(number for tree in found for number in tree.labels.tolist()) == list(range(len(labels)))
    for tree in found:
        longest = max(len(labels[number]) for number in tree.labels)
        assert len(tree.tokens) <= max(most, longest - 1)
        paths = [tuple(tree.tokens[tree.sees[node]].tolist()) for node in range(len(tree.tokens))]
        inner = {
            tuple(labels[number][:size].tolist())
            for number in tree.labels
            for size in range(1, longest)
            if size < len(labels[number])
        }
        assert sorted(paths) == sorted(inner)
        for place, number in enumerate(tree.labels):
            mine = tree.of == place
            assert tree.said[mine].tolist() == labels[number].tolist()
            above = [() if node < 0 else paths[node] for node in tree.behind[mine]]
            assert above == [tuple(labels[number][:size].tolist()) for size in range(len(labels[number]))]


def test_no_labels_are_no_trees():
    assert trees([], 5) == []


@pytest.mark.parametrize("batch_tokens", [1, 20, 60, 8192])
@pytest.mark.parametrize("family", SHAPES)
def test_a_tree_says_what_rows_side_by_side_say(family, batch_tokens):
    asked = prompts(7, shared=9)
    fast = closed.label_nats(network(family), asked, LABELS, batch_tokens=batch_tokens)
    plain = closed.label_nats(network(family), asked, LABELS, batch_tokens=batch_tokens, fast=False)
    np.testing.assert_allclose(fast, plain, atol=1e-4)
    with in_use(network(family)):
        able = branches_off(network(family))
    assert able == (family not in ("mistral", "gemma2"))  # which see some tokens back only
    assert closed._proven.get(network(family)) == (True if able else None)
    assert not closed.differs(network(family))


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_with_either_attention_of_transformers(attention):
    model = copy.deepcopy(network("llama"))
    model.set_attn_implementation(attention)
    asked = prompts(4)
    fast, plain = (closed.label_nats(model, asked, LABELS, fast=fast) for fast in (True, False))
    assert closed._proven[model]
    np.testing.assert_allclose(fast, plain, atol=1e-4)


def test_in_16_bits():
    model = copy.deepcopy(network("llama")).to(torch.bfloat16)
    asked = prompts(4)
    fast, plain = (closed.label_nats(model, asked, LABELS, fast=fast) for fast in (True, False))
    assert closed._proven[model]
    np.testing.assert_allclose(fast, plain, rtol=closed.TOLERANCE_IN_16_BITS)


def test_a_reading_stays_as_it_is():
    with in_use(network("llama")):
        reading = read(network("llama"), prompts(3))
        kept = reading.mask.clone(), reading.logits.clone(), reading.cache.get_seq_length()
        first, again = (trees(LABELS, 50)[0].nats(reading) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert torch.equal(reading.mask, kept[0]) and torch.equal(reading.logits, kept[1])
    assert reading.cache.get_seq_length() == kept[2]


def test_labels_do_not_see_one_another():
    """The nats of a label are the same whatever other labels are asked for with it."""
    draw = np.random.default_rng(3)
    others = [[*LABELS, *(draw.integers(4, VOCABULARY, 4) for _ in range(3))] for _ in range(2)]
    found = [closed.label_nats(network("llama"), prompts(3), one)[:, : len(LABELS)] for one in others]
    np.testing.assert_allclose(*found, atol=1e-5)


@pytest.mark.parametrize("how", ["differs", "fails"])
def test_where_a_tree_is_not_the_same_labels_are_side_by_side(monkeypatch, how):
    def branches(self, tokens, sees):
        if how == "fails":
            raise ValueError("a mask of two dimensions is wanted")
        return torch.zeros(len(self.lengths), len(tokens), VOCABULARY)

    expected = closed.label_nats(network("llama"), prompts(3), LABELS, fast=False)
    assert not closed.differs(network("llama"))
    monkeypatch.setattr(closed.Reading, "branches", branches)
    found = closed.label_nats(network("llama"), prompts(3), LABELS)
    np.testing.assert_array_equal(found, expected)
    assert closed.differs(network("llama"))


def test_what_labels_begin_with_alike_is_read_once(monkeypatch):
    seen = []
    real = closed.Reading.branches
    monkeypatch.setattr(
        closed.Reading, "branches", lambda self, tokens, sees: seen.append(len(tokens)) or real(self, tokens, sees)
    )
    labels = [np.array([5, 6, 7, 8, last]) for last in range(9, 29)]
    closed.label_nats(network("llama"), prompts(3), labels)
    assert seen == [4, 4]  # once to prove it, once for all three prompts
