"""Tokens left out and exchanged: never what frames a text, never across texts, always the same for a seed."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import tokenizer
from whet.batches import flat
from whet.batches.encoding import Encoded, encode
from whet.batches.flat import FlatBatch, Targets, TrainingBatches
from whet.batches.noise import NoisyBatches, changed, texts_of

BERT = tokenizer("bert")
FIXED = np.asarray(sorted(BERT.all_special_ids), np.int64)
SEPARATOR = BERT.convert_tokens_to_ids("[SEP]")
TEXTS = ["where is my card", "help", "i want a refund for this item", "the order has not yet arrived"]
SECONDS = ["thank you", "why was i charged", "please", "it came broken"]


def single() -> Encoded:
    return encode(BERT, [(TEXTS, None)], 64, None)


def paired() -> Encoded:
    return encode(BERT, [(TEXTS, SECONDS)], 64, None)


def whole(encoded: Encoded) -> FlatBatch:
    return flat.make(encoded, np.arange(len(encoded))[::-1].copy(), Targets(torch.arange(len(encoded))))


def words_of(batch: FlatBatch) -> list[list[int]]:
    """The words of every text, in order."""
    text, ids = texts_of(batch.encoded), batch.input_ids[0].numpy()
    assert np.array_equal(batch.rows, np.arange(len(batch.rows)))
    found = [ids[text == number] for number in np.unique(text)]
    return [[int(one) for one in some if one not in FIXED] for some in found]


@pytest.mark.parametrize("encoded", [single(), paired()], ids=["single", "pairs"])
@given(deletion=st.floats(0, 0.99), swap=st.floats(0, 0.99), seed=st.integers(0, 2**31))
def test_what_frames_texts_stays_and_no_word_leaves_its_text(encoded: Encoded, deletion: float, swap: float, seed: int):
    before = whole(encoded)
    after = changed(before, deletion, swap, FIXED, np.random.default_rng(seed))
    assert after.targets is not None and before.targets is not None
    assert torch.equal(after.targets, before.targets)
    plain = changed(before, 0.0, 0.0, FIXED, np.random.default_rng(0))
    for had, has in zip(words_of(plain), words_of(after), strict=True):
        assert (len(has) >= 1) == (len(had) >= 1)
        assert not Counter(has) - Counter(had)
    frames = [int(one) for one in before.input_ids[0] if int(one) in FIXED]
    assert [int(one) for one in after.input_ids[0] if int(one) in FIXED] == frames
    if encoded.second[0] >= 0:
        assert after.token_type_ids is not None
        ids, types = after.input_ids[0].numpy(), after.token_type_ids[0].numpy()
        for start, length in zip(after.where.starts.tolist(), after.where.lengths.tolist(), strict=True):
            some, kinds = ids[start : start + length], types[start : start + length]
            border = int(np.flatnonzero(some == SEPARATOR)[0]) + 1
            assert kinds.tolist() == [0] * border + [1] * (length - border)


@pytest.mark.parametrize("encoded", [single(), paired()], ids=["single", "pairs"])
def test_without_noise_the_batch_is_the_same(encoded: Encoded):
    before = whole(encoded)
    after = changed(before, 0.0, 0.0, FIXED, np.random.default_rng(0))
    assert torch.equal(before.input_ids, after.input_ids)
    assert torch.equal(before.position_ids, after.position_ids)
    assert after.num_tokens == before.num_tokens


def test_chances_are_kept():
    many = encode(BERT, [([" ".join(["where is my card"] * 50)] * 8, None)], 500, None)
    before = whole(many)
    after = changed(before, 0.2, 0.0, FIXED, np.random.default_rng(1))
    assert after.num_tokens / before.num_tokens == pytest.approx(0.8, abs=0.03)
    swapped = changed(before, 0.0, 0.1, FIXED, np.random.default_rng(1))
    moved = float((swapped.input_ids != before.input_ids).float().mean())
    assert 0.12 < moved < 0.21  # two tokens each; of neighbours that both want to, one does
    assert Counter(swapped.input_ids[0].tolist()) == Counter(before.input_ids[0].tolist())


def test_batches_are_a_function_of_seed_epoch_and_place():
    encoded = single()
    plain = TrainingBatches(encoded, Targets(torch.arange(4)), 16, 5)
    noisy = NoisyBatches(plain, 0.3, 0.3, FIXED)
    assert noisy.per_epoch == plain.per_epoch > 1

    def ids(epoch: int, index: int) -> list[list[int]]:
        return [batch.input_ids[0].tolist() for batch in noisy.starting_at(epoch, index)]

    assert ids(2, 1) == ids(2, 0)[1:]
    assert ids(0, 0) != ids(1, 0)
    targets = [batch.targets.tolist() for batch in noisy.starting_at(1, 0) if batch.targets is not None]
    assert targets == [batch.targets.tolist() for batch in plain.starting_at(1, 0) if batch.targets is not None]


def test_micro_batches_hold_the_changed_rows():
    after = changed(whole(single()), 0.3, 0.3, FIXED, np.random.default_rng(3))
    pieces = after.split(6)
    assert len(pieces) > 1
    assert torch.equal(torch.cat([piece.input_ids for piece in pieces], 1), after.input_ids)
    assert after.targets is not None
    assert torch.equal(torch.cat([p.targets for p in pieces if p.targets is not None]), after.targets)
