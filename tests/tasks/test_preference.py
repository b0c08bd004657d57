"""Preferences from rows to a loss: prompts read once, gradients of the plain formula, lengths kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import make_base
from whet.batches import flat
from whet.batches.encoding import Encoded
from whet.batches.shared_beginnings import joined
from whet.data.chat_messages import Message
from whet.data.forms import Examples, Shape
from whet.data.preferences import MESSAGES, unrelated
from whet.errors import UserError
from whet.models import loading, places
from whet.models.heads import Head
from whet.objectives.preference import Answers
from whet.tasks.preference import REFERENCE, Preference
from whet.tasks.preference_loss import PreferenceLoss
from whet.tasks.task import Setting

FAMILIES = ("llama", "gpt2", "mistral", "gemma2")
PAIRS = [
    ("where is my card please", "the card has not arrived yet", "no"),
    ("cancel my order", "thank you", "i want a refund for this item"),
    ("phone", "please help", "no one answers please"),
    ("how do i change my password and account", "thank you please", "cancel"),
]


def message(text: str, role: str = "prompt") -> Message:
    return dict.fromkeys(("weight", "name", "tool_calls", "tool_call_id")) | {"role": role, "content": text}


def pairs(split: str = "train") -> Examples:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "text": [prompt for prompt, _, _ in PAIRS],
        "messages": [[message(prompt)] for prompt, _, _ in PAIRS],
        "chosen": [one for _, one, _ in PAIRS],
        "rejected": [other for _, _, other in PAIRS],
    }
    shape = Shape((("messages", MESSAGES), ("chosen", pa.string()), ("rejected", pa.string())))
    return Examples.of(columns, shape, split)


@pytest.fixture(scope="module", params=FAMILIES)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = make_base(tmp_path_factory.mktemp(request.param) / "base", request.param, language=True)
    place = places.find(str(folder))
    tokenizer = loading.load_tokenizer(place)
    found = loading.load_model(place, Head("language"), tokenizer, seed=0)
    found.eval()
    return found, tokenizer


def task_with(folder: Path, encoded: Encoded, **options: Any) -> Preference:
    """A task whose reference is drawn from a seed."""
    drawn = -np.random.default_rng(0).uniform(2, 30, (len(encoded), encoded.parts))
    (folder / "training").mkdir(parents=True, exist_ok=True)
    np.save(folder / "training" / "train.npy", drawn)
    named = {f"preference.{name}": value for name, value in options.items()}
    return Preference(Setting(columns=("messages", "chosen", "rejected"), options=named, settled={REFERENCE: folder}))


def encoded_of(tokenizer: Any, task: Preference, limit: int = 38) -> Encoded:
    return task.encode(tokenizer, task.blocks(pairs()), limit, None)


def plain_loss(model: Any, task: Preference, encoded: Encoded) -> torch.Tensor:
    """Each sequence by itself, its logits in full, one log-probability after the other."""
    known = task.targets(pairs(), encoded).values
    sums, counts = [], []
    for number in range(encoded.num_sequences):
        ids = torch.from_numpy(encoded.row(number).astype(np.int64))[None]
        logits = model.network(input_ids=ids).logits[0].double()
        said = logits[:-1].log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
        own = said[int(encoded.second[number]) - 1 :]
        sums.append(own.sum())
        counts.append(len(own))
    shape = (len(encoded), encoded.parts)
    policy, tokens = torch.stack(sums).view(shape), torch.tensor(counts).view(shape).double()
    return task.how(Answers(policy, known[:, :-1], tokens))[0]


@pytest.mark.parametrize("loss", ["dpo", "orpo", "kto"])
def test_loss_and_gradient_are_those_of_the_plain_formula(model: Any, tmp_path: Path, loss: str):
    network, tokenizer = model
    encoded = encoded_of(tokenizer, Preference(Setting()))
    task = task_with(tmp_path / "reference", encoded, loss=loss, normalise=loss == "orpo")
    network.use_padded_batches()
    network.zero_grad()
    wanted = plain_loss(network, task, encoded)
    wanted.backward()
    expected = {name: weight.grad.clone() for name, weight in network.named_parameters() if weight.grad is not None}
    assert network.use_flat_batches()
    network.zero_grad()
    batch = flat.make(encoded, np.arange(len(encoded)), task.targets(pairs(), encoded))
    found = task.objective()(network, batch)
    found.total.backward()
    assert float(found.total.detach()) == pytest.approx(float(wanted.detach()), rel=1e-4)
    assert found.num_counted == (2 if loss == "kto" else 1) * len(encoded)
    for name, weight in network.named_parameters():
        if name in expected:
            scale = max(1e-3, float(expected[name].abs().max()))
            assert float((weight.grad - expected[name]).abs().max()) < 2e-3 * scale, name


def test_a_prompt_that_stands_once_changes_nothing(model: Any, tmp_path: Path):
    """The plain reference form: every answer behind a prompt of its own."""
    network, tokenizer = model
    encoded = encoded_of(tokenizer, Preference(Setting()))
    task = task_with(tmp_path / "reference", encoded)
    network.use_flat_batches()
    batch = flat.make(encoded, np.arange(len(encoded)), task.targets(pairs(), encoded))
    found = joined(batch)
    assert found is not None
    assert found.batch.num_tokens <= batch.num_tokens - int(encoded.second[::2].sum())
    results = []
    for may_share in (False, True):
        network.zero_grad()
        network.may_share = may_share
        step = PreferenceLoss(task.how, True)(network, batch)
        step.total.backward()
        results.append(
            (float(step.total.detach()), [w.grad.clone() for w in network.parameters() if w.grad is not None])
        )
    (plain, first), (shared, second) = results
    assert shared == pytest.approx(plain, rel=1e-5)
    for one, other in zip(first, second, strict=True):
        assert torch.allclose(one, other, atol=1e-5, rtol=1e-4)


def test_prompts_are_shared_on_flat_batches_alone(model: Any):
    network, _ = model
    network.use_flat_batches()
    assert network.shares_beginnings
    network.use_padded_batches()
    assert not network.shares_beginnings


def test_micro_batches_give_the_same_gradient(model: Any, tmp_path: Path):
    network, tokenizer = model
    encoded = encoded_of(tokenizer, Preference(Setting()))
    task = task_with(tmp_path / "reference", encoded)
    network.use_flat_batches()
    batch = flat.make(encoded, np.arange(len(encoded)), task.targets(pairs(), encoded))
    pieces = batch.split(20)
    assert len(pieces) > 1
    whole = task.objective()(network, batch)
    parts = [task.objective()(network, piece) for piece in pieces]
    assert float(whole.total.detach()) == pytest.approx(sum(float(one.total.detach()) for one in parts), rel=1e-5)
    assert whole.num_counted == sum(part.num_counted for part in parts)


def test_answers_of_a_row_stand_behind_one_prompt_that_is_cut(tmp_path: Path):
    folder = make_base(tmp_path / "base", "llama", language=True)
    tokenizer = loading.load_tokenizer(places.find(str(folder)))
    task = Preference(Setting())
    whole, short = (encoded_of(tokenizer, task, limit) for limit in (38, 9))
    assert whole.parts == 2 and len(whole) == len(PAIRS)
    assert int(np.diff(short.offsets).max()) <= 9
    assert short.cut.rows and short.cut.tokens_cut == whole.num_tokens - short.num_tokens
    for encoded in (whole, short):
        for unit in range(len(encoded)):
            one, other = encoded.row(2 * unit), encoded.row(2 * unit + 1)
            size = encoded.second[2 * unit]
            assert size == encoded.second[2 * unit + 1] > 0
            assert np.array_equal(one[:size], other[:size])
            assert encoded.weights is not None


def embed(texts: Any) -> Any:
    return np.zeros((len(texts), 1), np.float32)


def thumbs_of(rows: list[tuple[str, str]], split: str = "train") -> Examples:
    import pyarrow as pa

    columns: dict[str, list[Any]] = {
        "text": [prompt for prompt, _ in rows],
        "messages": [[message(prompt)] for prompt, _ in rows],
        "completion": [answer for _, answer in rows],
    }
    return Examples.of(columns, Shape((("messages", MESSAGES), ("completion", pa.string()))), split)


def test_unrelated_answers_are_those_of_other_rows():
    task = Preference(Setting(options={"preference.loss": "kto"}))
    (block,) = task.blocks(pairs(), embed=embed)
    own = [one for _, one, _ in PAIRS]
    assert set(block["unrelated"]) <= set(own) and not any(map(str.__eq__, block["unrelated"], own))
    assert "unrelated" not in next(iter(task.blocks(pairs())))
    assert "unrelated" in next(iter(task.blocks(pairs("validation"), embed=embed)))
    assert "unrelated" not in next(iter(task.blocks(pairs("test"), embed=embed))), "rewards do not rest on them"
    assert task.coupled


def test_chosen_rows_before_rejected_ones_have_answers_to_other_prompts():
    """As pairs are often taken apart: half the rows away stands the other answer to the same prompt."""
    rows = [(f"where {n}", f"{kind} {n}") for kind in ("thank", "no") for n in range(20)]
    task = Preference(Setting(options={"preference.loss": "kto"}, columns=("messages", "completion")))
    said = [next(iter(task.blocks(thumbs_of(rows), embed=embed, seed=seed)))["unrelated"] for seed in (0, 0, 1)]
    assert not any(prompt.split()[1] == other.split()[1] for (prompt, _), other in zip(rows, said[0], strict=True))
    assert said[0] == said[1] != said[2]


@pytest.mark.parametrize("asked", [[0, 0, 0, 0, 1], [0, 1, 0, 1, 0, 1], [3, 3, 3, 2, 2, 1, 1, 1], [5, 5], [5]])
def test_whoever_can_gets_an_answer_to_another_prompt(asked: list[int]):
    for seed in range(20):
        found = unrelated(np.asarray(asked), seed)
        assert all(asked[other] != own for own, other in zip(asked, found, strict=True)) or len(set(asked)) == 1


def test_a_long_unrelated_answer_takes_nothing_from_the_row(tmp_path: Path):
    tokenizer = loading.load_tokenizer(places.find(str(make_base(tmp_path / "base", "llama", language=True))))
    rows = [("where is my card please", "thank you"), ("cancel", "no one answers please " * 8)]
    task = Preference(Setting(options={"preference.loss": "kto"}, columns=("messages", "completion")))
    alone = task.encode(tokenizer, task.blocks(thumbs_of(rows)), 16, None)
    both = task.encode(tokenizer, task.blocks(thumbs_of(rows), embed=embed), 16, None)
    assert both.parts == 2 and np.array_equal(alone.row(0), both.row(0)) and np.array_equal(alone.row(1), both.row(2))
    assert len(both.row(1)) == 16 and both.second[1] == both.second[0]
    assert both.cut == alone.cut, "what is cut of an unrelated answer is lost to nobody"


def test_a_reference_that_nobody_computed_is_no_number(tmp_path: Path):
    setting = Setting(settled={REFERENCE: str(tmp_path)}, options={"preference.loss": "dpo"})
    task = Preference(setting)
    encoded = Encoded(np.zeros(4, np.uint32), np.arange(5), np.zeros(4, np.int32), None, 2)  # type: ignore[arg-type]
    assert torch.isnan(task.targets(pairs().take([0, 1]), encoded).values[:, :2]).all()


def test_texts_without_answers_are_refused():
    with pytest.raises(UserError) as caught:
        list(Preference(Setting()).blocks(Examples.of({"text": ["hello"]}, Shape(()))))
    assert caught.value.problems[0].code == "D105"
