"""Permuted language modelling: a token is said from those before it in the order, and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import transformers
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.models import adaptations, parity, permutation, saving
from whet.models.permutation import SEEN

from .kinds import EIGHT
from .ready import Ready
from .speaking import speaker

Bases = Callable[..., Path]
TEXTS = ("where is my card", "i want a refund for this item it was broken", "help me")


def ranks_of(batch: FlatBatch, every: int = 2, seed: int = 3) -> Tensor:
    """(T,) every second token of a sequence is said, in an order drawn at random; the frame is seen."""
    random = torch.Generator().manual_seed(seed)
    found = torch.full((batch.num_tokens,), SEEN)
    for start, length in zip(batch.where.starts.tolist(), batch.where.lengths.tolist(), strict=True):
        places = torch.arange(start, start + length - 2, every)
        found[places] = torch.randperm(len(places), generator=random)
    return found


def said(ready: Ready, batch: FlatBatch, ranks: Tensor) -> Tensor:
    with torch.inference_mode():
        return ready.model.logits(permutation.features(ready.model, batch, ranks))


def test_it_is_what_transformers_gives_for_each_text_alone(bases: Bases):
    ready = speaker(bases("xlnet", language=True))
    assert ready.model.guesses == "permuted"
    plain = transformers.XLNetLMHeadModel.from_pretrained(ready.place.folder).eval()
    batch = ready.batch(TEXTS)
    ranks = ranks_of(batch)
    rows = []
    for text, own in zip(TEXTS, ranks.split(batch.where.lengths.tolist()), strict=True):
        inputs = ready.tokenizer(text, return_tensors="pt")
        length = len(own)
        mask, places = torch.zeros(1, length, length), (own != SEEN).nonzero()[:, 0]
        for i in range(length):
            for j in range(length):
                mask[0, i, j] = float(own[j] != SEEN and own[j] >= own[i])
        mapping = torch.zeros(1, len(places), length)
        mapping[0, torch.arange(len(places)), places] = 1.0
        with torch.inference_mode():
            rows.append(plain(**inputs, perm_mask=mask, target_mapping=mapping).logits[0])
    found = said(ready, batch, ranks)
    assert found.shape == (int((ranks != SEEN).sum()), ready.model.width)
    assert float(found.std(0).mean()) > 0.02
    torch.testing.assert_close(found, torch.cat(rows), atol=1e-4, rtol=1e-4)


def test_a_token_is_not_seen_where_it_is_said_nor_before_its_turn(bases: Bases):
    ready = speaker(bases("xlnet", language=True))
    batch = ready.batch(TEXTS[1:2])
    ranks = ranks_of(batch)
    numbers = (ranks != SEEN).nonzero()[:, 0].tolist()
    before = said(ready, batch, ranks)
    for row, place in enumerate(numbers):
        ids = batch.input_ids.clone()
        ids[0, place] = (int(ids[0, place]) - 4 + 1) % 20 + 4
        after = said(ready, replace(batch, input_ids=ids), ranks)
        for other, there in enumerate(numbers):
            told = ranks[there] > ranks[place]
            same = torch.allclose(after[other], before[other], atol=1e-6)
            assert same != bool(told), (row, other)


def test_a_token_that_would_be_said_from_nothing_is_refused(bases: Bases):
    ready = speaker(bases("xlnet", language=True))
    batch = ready.batch(TEXTS[:1])
    with pytest.raises(ValueError, match="said from nothing"):
        permutation.features(ready.model, batch, torch.arange(batch.num_tokens))


def test_no_order_is_refused_and_an_order_for_another_model_too(bases: Bases, tmp_path: Path):
    ready = speaker(bases("xlnet", language=True))
    with pytest.raises(ValueError, match="the order of its tokens"):
        ready.model(ready.batch())
    other = speaker(bases("bert", language=True))
    batch = other.batch()
    with pytest.raises(ValueError, match="only a permuted"):
        permutation.features(other.model, batch, torch.zeros(batch.num_tokens, dtype=torch.int64))
    saving.save(ready.model, None, ready.tokenizer, ready.about(), tmp_path / "model")
    encoded = ready.batch().encoded
    with pytest.raises(ValueError, match="the order of its tokens"):
        parity.nats(tmp_path / "model", ready.about(), "", encoded, encoded.ids.astype("int64"))


def test_it_learns_eight_texts_and_comes_through_its_files(bases: Bases, tmp_path: Path):
    ready = speaker(bases("xlnet", language=True))
    model = ready.model
    assert not model.use_flat_batches()
    adaptations.adapt_full(model)
    batch = ready.batch(EIGHT)
    ranks = ranks_of(batch, every=3)
    wanted = batch.input_ids[0][ranks != SEEN]
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    value = float("inf")
    for _ in range(150):
        found = F.cross_entropy(model.logits(permutation.features(model, batch, ranks)), wanted)
        value = float(found.detach())
        if value < 0.1:
            break
        optimiser.zero_grad()
        found.backward()
        optimiser.step()
    assert value < 0.1
    assert model.shares_embedding
    before = said(ready, batch, ranks)
    saving.save(model, None, ready.tokenizer, ready.about(), tmp_path / "model")
    loaded, words, _ = saving.load(tmp_path / "model")
    assert loaded.shares_embedding
    torch.testing.assert_close(
        said(replace(ready, model=loaded, tokenizer=words), batch, ranks), before, atol=1e-5, rtol=1e-5
    )
