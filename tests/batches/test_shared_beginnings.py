from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import make_base
from whet.batches import flat
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.batches.flat import FlatBatch
from whet.batches.shared_beginnings import LONG, joined
from whet.models import loading, places
from whet.models.heads import Head
from whet.tasks.language_loss import LanguageLoss, next_tokens, read_nats


def encoded_of(rows: list[list[int]]) -> Encoded:
    """Every token counts but the first three of a row."""
    weights = [np.r_[np.zeros(min(3, len(row))), np.ones(max(0, len(row) - 3))] for row in rows]
    piece = Piece(
        np.concatenate(rows).astype(np.uint32),
        np.asarray([len(row) for row in rows], np.int64),
        weights=np.concatenate(weights).astype(np.float32),
    )
    return gather(iter([piece]), Counted(512), None)


def batch_of(rows: list[list[int]]) -> FlatBatch:
    return flat.make(encoded_of(rows), np.arange(len(rows)), None)


rows_of_few_tokens = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=2, max_size=8)


@given(rows_of_few_tokens)
def test_every_beginning_stands_once(rows: list[list[int]]):
    batch = batch_of(rows)
    beginnings = {tuple(row[: end + 1]) for row in rows for end in range(len(row))}
    found = joined(batch, worth=0.0)
    assert found is not None
    assert found.batch.num_tokens == len(beginnings)
    assert torch.equal(found.batch.input_ids[0][found.place], batch.input_ids[0])
    assert torch.equal(found.batch.position_ids[0][found.place], batch.position_ids[0])
    spread = found.batch.where.spread
    assert spread is not None
    assert torch.equal(found.place[spread.back], torch.arange(len(beginnings)))


def test_a_beginning_of_all_is_known_as_one():
    start = list(range(3, 3 + LONG))
    found = joined(batch_of([[*start, 1, 2], [*start, 1, 1, 1], start]))
    assert found is not None
    spread = found.batch.where.spread
    assert spread is not None
    assert spread.common is None, "one row is nothing but the beginning, of which its last token stands behind"
    found = joined(batch_of([[*start, 1, 2], [*start, 1, 1, 1], [*start, 2]]))
    assert found is not None
    common = found.batch.where.spread.common
    assert common is not None
    assert found.batch.input_ids[0][common.first].tolist() == start
    assert found.batch.input_ids[0][common.rest].tolist() == [1, 2, 1, 1, 1, 2]
    assert common.behind.lengths.tolist() == [2, 3, 1]


def test_little_that_is_shared_is_not_worth_it():
    rows = [[1, *range(2, 40)], [1, *range(40, 80)]]
    assert joined(batch_of(rows)) is None
    assert joined(batch_of([[1, 2, 3]])) is None


@pytest.mark.parametrize(
    ("family", "beginning"), [("llama", 5), ("llama", LONG + 3), ("mistral", LONG + 3), ("gpt2", 5)]
)
def test_the_loss_and_its_gradient_are_the_same(tmp_path: Path, family: str, beginning: int):
    folder = make_base(tmp_path / family, family, language=True)
    place = places.find(str(folder))
    model = loading.load_model(place, Head("language"), loading.load_tokenizer(place), seed=0)
    assert model.use_flat_batches()
    assert model.shares_beginnings
    random, words = np.random.default_rng(0), model.width
    start = random.integers(5, words, beginning).tolist()
    rows = [[*start, *random.integers(5, words, size).tolist()] for size in (4, 2, 7, 1, 5)]
    batch = batch_of(rows)
    assert joined(batch) is not None
    results = []
    for model.may_share in (False, True):
        model.zero_grad()
        loss = LanguageLoss(next_tokens)(model, batch)
        loss.total.backward()
        gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
        with torch.inference_mode():
            results.append((float(loss.total.detach()), gradients, read_nats(model, batch, next_tokens)))
    (plain, wanted, nats), (shared, found, same) = results
    assert shared == pytest.approx(plain, rel=1e-6)
    torch.testing.assert_close(same, nats, atol=1e-5, rtol=1e-5)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-5, rtol=1e-4, msg=lambda m, name=name: f"{name}: {m}")


def test_a_neighbour_changes_nothing_behind_a_shared_beginning(tmp_path: Path):
    folder = make_base(tmp_path / "llama", "llama", language=True)
    place = places.find(str(folder))
    model = loading.load_model(place, Head("language"), loading.load_tokenizer(place), seed=0)
    model.use_flat_batches()
    start = [5 + number % 30 for number in range(LONG + 5)]
    first, second = batch_of([[*start, 7, 8, 9], [*start, 10, 11]]), batch_of([[*start, 7, 8, 9], [*start, 12, 13]])
    with torch.inference_mode():
        one, other = (read_nats(model, batch, next_tokens)[: len(start) + 3] for batch in (first, second))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)
