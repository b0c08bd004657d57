from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import Tensor, nn

from tests.data.made_entities import examples_of
from tests.made_models import make_base
from whet.batches.encoding import Encoded
from whet.batches.flat import FlatBatch, Targets, TrainingBatches, collect, make
from whet.data.forms import Examples, Shape
from whet.data.predictions import SpanPredictions, load, save
from whet.models import loading, places
from whet.registry import load as load_named
from whet.tasks import TASKS
from whet.tasks.task import Setting
from whet.tasks.token_classification import UNCOUNTED, TaggingLoss, TokenClassification

LABELS = ("object", "way")
EIGHT = [
    ("where is my card", [(12, 16, "object")]),
    ("i want a refund for this item it was broken", [(9, 15, "way"), (20, 29, "object")]),
    ("help me", []),
    ("no one answers the phone", [(15, 24, "object")]),
    ("how do i change my password", [(9, 27, "way")]),
    ("thank you please cancel my order", [(17, 23, "way"), (24, 32, "object")]),
    ("account password", [(0, 7, "object"), (8, 16, "object")]),
    ("", []),
]


def task(**options: object) -> TokenClassification:
    return TokenClassification(Setting(labels=LABELS, options=options))


def test_it_is_the_task_of_its_name() -> None:
    found = load_named(TASKS, "token-classification", "task")
    assert found is TokenClassification
    assert (found.name, found.score, found.coupled) == ("token-classification", "entity_f1", False)
    head = task().head(None)
    assert (head.kind, head.level) == ("tokens", "token")
    assert tuple(head.labels) == ("O", "B-object", "I-object", "B-way", "I-way")
    assert task().head_kind == "tokens"


# --- the loss ---------------------------------------------------------------------------------------------

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.5, 0.6, 0.7], [-3.0, 1.0, 4.0], [0.0, 0.0, 0.0]])
TARGETS = torch.tensor([0, UNCOUNTED, 2, 1])


def test_the_loss_is_a_sum_over_words_in_nats() -> None:
    counted = TARGETS != UNCOUNTED
    expected = 3 * log_loss(TARGETS[counted], LOGITS[counted].double().softmax(1), labels=[0, 1, 2])
    assert float(TaggingLoss().of(LOGITS, TARGETS)) == pytest.approx(expected, rel=1e-6)


def test_smoothing_spreads_a_share_evenly() -> None:
    logs = LOGITS[TARGETS != UNCOUNTED].log_softmax(1)
    true = TARGETS[TARGETS != UNCOUNTED]
    expected = -0.9 * logs[torch.arange(3), true].sum() - 0.1 * logs.mean(1).sum()
    assert float(TaggingLoss(0.1).of(LOGITS, TARGETS)) == pytest.approx(float(expected), rel=1e-6)


class _Fixed(nn.Module):
    """Answers a batch with rows of a table, whichever tokens it holds."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)

    def forward(self, batch: FlatBatch) -> Tensor:
        return self.table[batch.input_ids[0]]


def test_it_does_not_matter_how_a_batch_is_cut(base: tuple[Path, object]) -> None:
    how, examples = task(), examples_of(EIGHT)
    encoded = how.encode(base[1], examples.column_blocks(("text", "words")), 12, None)
    model = _Fixed(torch.randn(200, 5, generator=torch.Generator().manual_seed(0)))
    batch = make(encoded, np.arange(len(encoded)), how.targets(examples, encoded))
    whole = how.objective()(model, batch)
    parts = [how.objective()(model, part) for part in batch.split(8)]
    assert len(parts) > 1
    assert whole.num_counted == sum(len(text.split()) for text, _ in EIGHT)
    assert sum(part.num_counted for part in parts) == whole.num_counted
    assert sum(float(part.total.detach()) for part in parts) == pytest.approx(float(whole.total.detach()), rel=1e-5)
    nothing = how.objective()(model, make(encoded, np.asarray([len(encoded) - 1]), batch.all_targets))
    assert (float(nothing.total.detach()), nothing.num_counted) == (0.0, 0)
    nothing.total.backward()


# --- from rows to answers ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    folder = make_base(tmp_path_factory.mktemp("base"), "bert")
    return folder, loading.load_tokenizer(places.find(str(folder)))


def learnt(
    folder: Path, tokenizer: object, examples: Examples, limit: int
) -> tuple[TokenClassification, Encoded, Tensor]:
    how = task(**{"data.stride": 3})
    how.learn(examples)
    model = loading.load_model(places.find(str(folder)), how.head(None), tokenizer, seed=0)
    encoded = how.encode(tokenizer, examples.column_blocks(("text", "words")), limit, None)
    batches = TrainingBatches(encoded, how.targets(examples, encoded), 40, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    objective = how.objective()
    model.eval()  # no dropout: by heart
    for epoch in range(80):
        for batch in batches.starting_at(epoch, 0):
            loss = objective(model, batch)
            (loss.total / loss.num_counted).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()
    return how, encoded, collect(model, encoded, 200, per_token=True)


@pytest.mark.parametrize("limit", [30, 7])
def test_eight_rows_are_learnt_by_heart(base: tuple[Path, object], limit: int) -> None:
    examples = examples_of(EIGHT)
    how, encoded, outputs = learnt(*base, examples, limit)
    assert (len(encoded) > len(examples)) == (limit == 7)
    found = how.predictions("full", outputs, encoded, examples)
    for row, (_, spans) in enumerate(EIGHT):
        assert found.said.row(row) == [(a, b, LABELS.index(label)) for a, b, label in spans]
    assert found.correct.all()
    assert found.confidence.min() > 0.5
    assert found.seen is not None and found.seen.all()
    look = how.look(outputs, encoded, examples)
    assert look["entity_f1"] == 1.0 > how.floor(examples)
    assert look["loss"] < 0.2
    alone = how.predictions("full", outputs, encoded, examples.take(np.arange(len(examples))))
    np.testing.assert_array_equal(alone.said.starts, found.said.starts)


def test_answers_without_truth_and_to_a_file(base: tuple[Path, object], tmp_path: Path) -> None:
    how, examples = task(), examples_of(EIGHT)
    encoded = how.encode(base[1], examples.column_blocks(("text", "words")), 30, None)
    outputs = torch.randn(encoded.num_tokens, 5, generator=torch.Generator().manual_seed(1))
    known = how.predictions("full", outputs, encoded, examples)
    assert known.seen is None, "nobody said what stood in training"
    assert known.groups is None
    columns = {name: examples.column(name) for name in ("text", "words")}
    bare = Examples.of(columns, Shape(examples.shape.more[:1]))
    unknown = how.predictions("full", outputs, encoded, bare)
    assert unknown.gold is None
    for name in ("starts", "ends", "types"):
        np.testing.assert_array_equal(getattr(unknown.said, name), getattr(known.said, name))
    plain = Examples.of({"text": examples.column("text")}, Shape(()))
    np.testing.assert_array_equal(how.encode(base[1], how.blocks(plain), 30, None).ids, encoded.ids)
    np.testing.assert_array_equal(how.predictions("full", outputs, encoded, plain).said.starts, known.said.starts)
    save(known, tmp_path / "a.parquet")
    again = load(tmp_path / "a.parquet")
    assert isinstance(again, SpanPredictions)
    assert again.said.row(1) == known.said.row(1)
    assert again.labels == LABELS


def test_what_stood_in_training_is_told(base: tuple[Path, object]) -> None:
    how = task()
    how.learn(examples_of([("my CARD", [(3, 7, "object")])]))
    examples = examples_of([("card phone", [(0, 4, "object"), (5, 10, "object")]), ("card", [(0, 4, "way")])])
    encoded = how.encode(base[1], examples.column_blocks(("text", "words")), 30, None)
    found = how.predictions("full", torch.zeros(encoded.num_tokens, 5), encoded, examples)
    assert found.seen is not None
    assert found.seen.tolist() == [True, False, False]
    assert found.said.starts.tolist() == []


def test_the_loss_of_a_look_is_the_mean_over_words(base: tuple[Path, object]) -> None:
    how, examples = task(), examples_of(EIGHT)
    encoded = how.encode(base[1], examples.column_blocks(("text", "words")), 7, None)
    outputs = torch.randn(encoded.num_tokens, 5, generator=torch.Generator().manual_seed(1))
    targets = how.targets(examples, encoded).values
    expected = float(TaggingLoss().of(outputs, targets)) / int((targets != UNCOUNTED).sum())
    assert how.look(outputs, encoded, examples)["loss"] == pytest.approx(expected, rel=1e-5)


# --- the probe ---------------------------------------------------------------------------------------------


def separable(count: int, seed: int) -> tuple[Tensor, Targets]:
    """Features in which the first five numbers say the tag; two of three tokens carry no loss."""
    draw = torch.Generator().manual_seed(seed)
    tags = torch.randint(0, 5, (count,), generator=draw)
    features = torch.nn.functional.one_hot(tags, 8).float() + 0.1 * torch.randn(count, 8, generator=draw)
    features[torch.arange(count) % 3 > 0] = 100.0  # would spoil everything, were they looked at
    return features, Targets(torch.where(torch.arange(count) % 3 == 0, tags, UNCOUNTED), per_token=True)


@pytest.mark.parametrize("intercept", [True, False])
def test_the_probe_is_fitted_on_the_tokens_that_stand_for_words(intercept: bool) -> None:
    told: list[tuple[int, int]] = []
    found = task().fit_head(separable(600, 0), separable(300, 1), intercept, lambda a, b: told.append((a, b)))
    assert found.weight.shape == (5, 8)
    assert (found.bias is None) == (not intercept)
    features, targets = separable(300, 2)
    logits = features @ found.weight.T + (found.bias if found.bias is not None else 0.0)
    counted = targets.values != UNCOUNTED
    assert (logits.argmax(1) == targets.values)[counted].all()
    assert told[-1][0] == told[-1][1]


def test_of_many_tokens_a_sample_is_drawn_by_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    from whet.tasks import token_classification

    monkeypatch.setattr(token_classification, "MOST_TOKENS", 50)
    fits = [
        task(seed=seed).fit_head(separable(600, 0), separable(300, 1), True, lambda a, b: None) for seed in (0, 0, 1)
    ]
    torch.testing.assert_close(fits[0].weight, fits[1].weight)
    assert not torch.equal(fits[0].weight, fits[2].weight)
