from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import WORDS, make_base
from whet.batches.encoding import Cut, Encoded
from whet.batches.flat import make
from whet.data.forms import Examples, Shape
from whet.data.predictions import TextPredictions
from whet.errors import UserError
from whet.models.changes import Changes
from whet.models.loading import load_model, load_tokenizer
from whet.models.networks import read_config
from whet.models.places import find
from whet.tasks.language_modeling import LanguageModeling, known_of
from whet.tasks.span_corruption import Spans, refuse_without, sentinels_of, spans_of
from whet.tasks.task import Setting

SENTINELS = list(range(1000, 1008))
SPANS = Spans(SENTINELS, begins=[0], ends=[1])


def windows(lengths: list[int]) -> Encoded:
    ids = np.arange(10, 10 + sum(lengths), dtype=np.uint32)
    return Encoded(
        ids,
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.full(len(lengths), -1, np.int32),
        Cut(0, 0, 0, 0),
        weights=np.ones(len(ids), np.float32),
    )


@given(st.integers(1, 200), st.floats(0.05, 0.9), st.integers(1, 20), st.integers(0, 10_000))
def test_spans_lie_apart_and_hold_the_share(length: int, share: float, most: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).random((2, length)).astype(np.float32)
    spans = spans_of(length, drawn, share, most)
    assert 1 <= len(spans) <= most
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert spans[0][0] >= 0 and spans[-1][1] <= length
    taken = sum(end - start for start, end in spans)
    assert taken == min(max(1, round(length * share)), max(1, length - 1))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 1000))
def test_source_and_target_give_the_window_back(lengths: list[int], seed: int) -> None:
    encoded = windows(lengths)
    batch = make(encoded, np.arange(len(encoded)), None)
    drawn = torch.from_numpy(np.random.default_rng(seed).random((2, batch.num_tokens)).astype(np.float32))
    wanted = SPANS.corrupt(batch, drawn, True)
    pairs = wanted.batch.encoded
    for number in range(len(lengths)):
        source, target = pairs.row(2 * number).tolist(), pairs.row(2 * number + 1).tolist()
        assert source[-1] == 1 and target[0] == 0 and target[-1] == 1
        said: dict[int, list[int]] = {}
        for token in target[1:-1]:
            if token in SENTINELS:
                said[token] = []
            else:
                said[list(said)[-1]].append(token)
        assert said[list(said)[-1]] == []  # the last sentinel closes the last span
        whole = [one for token in source[:-1] for one in said.get(token, [token])]
        assert whole == encoded.row(number).tolist()
    assert (wanted.batch.input_ids[0][wanted.read + 1] == wanted.ids).all()


def test_a_look_counts_the_tokens_of_the_text_alone() -> None:
    encoded = windows([20, 7])
    batch = make(encoded, np.arange(2), None)
    drawn = torch.from_numpy(np.random.default_rng(0).random((2, batch.num_tokens)).astype(np.float32))
    every, counted = SPANS.corrupt(batch, drawn, True), SPANS.corrupt(batch, drawn, False)
    assert (batch.input_ids[0][counted.said] == counted.ids).all()
    assert len(counted.ids) == 3 + 1 and len(every.ids) > len(counted.ids)
    assert not set(counted.ids.tolist()) & {*SENTINELS, 0, 1}


class Words:
    unk_token_id = 3

    def __init__(self, known: int) -> None:
        self.known = known

    def convert_tokens_to_ids(self, token: str) -> int:
        number = int(token.removeprefix("<extra_id_").removesuffix(">"))
        return 100 - number if number < self.known else self.unk_token_id


def test_sentinels_are_found_in_their_order() -> None:
    assert sentinels_of(Words(3)) == [100, 99, 98]
    with pytest.raises(UserError, match="no tokens that stand for spans"):
        refuse_without(sentinels_of(Words(0)))


def test_a_t5_learns_spans_of_a_few_texts(tmp_path: Path) -> None:
    place = find(str(make_base(tmp_path / "base", "t5", language=True)))
    changes = Changes(add_tokens=tuple(f"<extra_id_{number}>" for number in range(6)))
    tokenizer = load_tokenizer(place, changes.add_tokens)
    task = LanguageModeling(Setting(settled=known_of(tokenizer, read_config(place))))
    model = load_model(place, task.head(None), tokenizer, 3, changes)
    texts = [" ".join(WORDS[(5 * row + step) % len(WORDS)] for step in range(14)) for row in range(8)]
    examples = Examples.of({"text": texts}, Shape(()), "train")
    encoded = task.encode(tokenizer, task.blocks(examples), 16, None)

    def nats() -> TextPredictions:
        model.eval()
        found = task.predictions("m", task.outputs(model, encoded), encoded, examples)
        assert isinstance(found, TextPredictions)
        return found

    before = nats()
    assert before.tokens is not None and (before.tokens >= 2).all() and before.num_bytes is None
    assert nats().nats.tolist() == before.nats.tolist()  # type: ignore[union-attr]  (the same spans at every look)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(300):
        torch.manual_seed(step)
        model.train()
        found = task.objective()(model, make(encoded, np.arange(8), None))
        optimiser.zero_grad()
        (found.total / found.num_counted).backward()
        optimiser.step()
    assert nats().nats.sum() < 0.4 * before.nats.sum()  # type: ignore[union-attr]
    asked = task.asked(encoded, 8)
    assert [len(one) for one in asked] == before.tokens.tolist()
    shown, wanted = task.shown(encoded)
    assert shown.parts == 2 and (wanted >= 0).sum() == before.tokens.sum()


def test_a_base_without_sentinels_is_refused(tmp_path: Path) -> None:
    place = find(str(make_base(tmp_path / "base", "marian", language=True)))
    tokenizer = load_tokenizer(place)
    task = LanguageModeling(Setting(settled=known_of(tokenizer, read_config(place))))
    examples = Examples.of({"text": [WORDS[0]]}, Shape(()), "train")
    with pytest.raises(UserError, match="M014"):
        task.encode(tokenizer, task.blocks(examples), 16, None)
