from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import tokenizer
from whet.batches import flat
from whet.batches.encoding import Cut, Encoded, encode
from whet.batches.flat import FlatBatch, Targets, TrainingBatches, collect, for_prediction

BERT = tokenizer("bert")
lengths_of_rows = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def encoded(lengths: list[int]) -> Encoded:
    """Rows of these lengths; every token is told apart by its id."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.arange(offsets[-1], dtype=np.uint32)
    return Encoded(ids, offsets, np.full(len(lengths), -1, np.int32), Cut(99, 0, 0, int(offsets[-1])))


def pieces(batch: FlatBatch) -> list[list[int]]:
    return [piece.tolist() for piece in batch.input_ids[0].split(batch.where.lengths.tolist())]


def test_a_batch_lays_its_rows_one_after_the_other():
    source = encoded([3, 1, 4])
    batch = flat.make(source, np.asarray([2, 0]), Targets(torch.tensor([7, 8, 9])))
    assert batch.input_ids.tolist() == [[4, 5, 6, 7, 0, 1, 2]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 0, 1, 2]]
    assert batch.num_tokens == 7
    assert batch.token_type_ids is None
    assert batch.targets is not None and batch.targets.tolist() == [9, 7]
    assert flat.make(source, np.asarray([1]), None).targets is None


def test_padding_gives_what_the_tokenizer_gives():
    texts = ["where is my card", "help", "i want a refund for this item"]
    seconds = ["thank you", "why was i charged", "please"]
    for pairs in (None, seconds):
        batch = flat.make(encode(BERT, [(texts, pairs)], 64, None), np.arange(3), None)
        expected = BERT(texts, pairs, padding=True, return_tensors="pt")
        found = batch.padded(BERT.pad_token_id)
        assert torch.equal(found["input_ids"], expected["input_ids"])
        assert torch.equal(found["attention_mask"], expected["attention_mask"])
        if pairs is None:
            assert "token_type_ids" not in found
        else:
            assert torch.equal(found["token_type_ids"], expected["token_type_ids"])


@given(lengths_of_rows, st.integers(1, 40))
def test_split_covers_every_row_once_and_keeps_to_the_limit(lengths: list[int], max_tokens: int):
    targets = Targets(torch.arange(len(lengths)))
    batch = flat.make(encoded(lengths), np.random.default_rng(0).permutation(len(lengths)), targets)
    parts = batch.split(max_tokens)
    assert [row for part in parts for row in part.rows.tolist()] == batch.rows.tolist()
    assert [piece for part in parts for piece in pieces(part)] == pieces(batch)
    assert sum(part.num_tokens for part in parts) == batch.num_tokens
    for part in parts:
        assert part.num_tokens <= max_tokens or len(part.rows) == 1
        assert part.targets is not None and part.targets.tolist() == part.rows.tolist()


def test_a_batch_that_fits_is_not_copied():
    batch = flat.make(encoded([2, 3]), np.arange(2), None)
    assert batch.split(5) == [batch]


def test_training_batches_can_be_entered_anywhere():
    batches = TrainingBatches(encoded([5, 3, 8, 2, 6, 4, 7, 1] * 6), Targets(torch.arange(48)), 30, seed=4)
    whole = [batch.rows.tolist() for batch in batches.starting_at(2, 0)]
    assert len(list(batches.starting_at(0, 0))) == batches.per_epoch
    for index in range(len(whole) + 1):
        assert [batch.rows.tolist() for batch in batches.starting_at(2, index)] == whole[index:]


@pytest.mark.parametrize("batch_tokens", [1, 16, 1000])
def test_prediction_sees_every_row_once(batch_tokens: int):
    source = encoded([5, 3, 8, 2, 6])
    seen = [row for batch in for_prediction(source, batch_tokens) for row in batch.rows.tolist()]
    assert sorted(seen) == list(range(5))


@pytest.mark.parametrize("per_token", [False, True])
@pytest.mark.parametrize("parts", [1, 2])
def test_what_is_collected_stands_in_the_order_of_sequences_or_tokens(per_token: bool, parts: int):
    lengths = [5, 1, 7, 3, 2, 9, 4, 6]
    source = replace(encoded(lengths), parts=parts)
    heard: list[int] = []

    def compute(batch: FlatBatch) -> torch.Tensor:
        if per_token:
            return batch.input_ids[0][:, None].float() * torch.ones(1, 2)
        return batch.where.lengths[:, None] * torch.ones(1, 2)

    found = collect(compute, source, 8, per_token, heard.append)
    assert found[:, 1].tolist() == (source.ids.tolist() if per_token else lengths)
    assert heard == sorted(heard) and heard[-1] == len(source) == len(lengths) // parts


def test_units_of_several_sequences_stay_together():
    source = replace(encoded([2, 3, 4, 1, 5, 2]), parts=2)
    assert source.lengths.tolist() == [5, 5, 7]
    batch = flat.make(source, np.asarray([2, 0]), Targets(torch.tensor([7, 8, 9])))
    assert batch.where.lengths.tolist() == [5, 2, 2, 3]
    assert batch.targets is not None and batch.targets.tolist() == [9, 7]
    assert [part.rows.tolist() for part in batch.split(7)] == [[2], [0]]
    assert len(flat.make(source, np.asarray([2, 0]), None, whole=True).split(7)) == 1


def test_targets_of_tokens_follow_their_tokens():
    source = encoded([2, 3, 4])
    targets = Targets(torch.arange(9), per_token=True)
    batch = flat.make(source, np.asarray([2, 0]), targets)
    assert batch.targets is not None and batch.targets.tolist() == [5, 6, 7, 8, 0, 1]


def test_windows_go_with_their_rows():
    source = replace(
        encoded([2, 3, 4, 1]), rows=np.asarray([0, 0, 1, 2]), places=np.arange(20, dtype=np.int32).reshape(10, 2)
    )
    part = source.of_rows(np.asarray([0, 2]))
    assert part.rows is not None and part.rows.tolist() == [0, 0, 1]
    assert part.offsets.tolist() == [0, 2, 5, 6]
    assert part.ids.tolist() == [*source.ids[:5].tolist(), int(source.ids[9])]
    assert part.places is not None and part.places[-1].tolist() == [18, 19]
