from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.made_models import make_base
from tests.models.ready import LIMIT, TEXTS, stir
from tests.models.told import TOLD
from whet.batches import flat
from whet.batches.encoding import encode
from whet.batches.flat import FlatBatch
from whet.errors import UserError
from whet.models.adaptations import adapt
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import Place, find
from whet.models.sharing import Shared, tie
from whet.models.task_model import TaskModel

HEADS = {"intent": Head("classes", ("a", "b", "c"), pooling="mean"), "names": Head("tokens", ("O", "B-x", "I-x"))}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return find(str(make_base(tmp_path_factory.mktemp("shared") / "bert", "bert")))


def models(place: Place, method: str = "full") -> dict[str, TaskModel]:
    words, found = load_tokenizer(place), {}
    for seed, (task, head) in enumerate(HEADS.items()):
        model = load_model(place, head, words, seed=seed)
        stir(model.linear_head)
        adapt(model, method, TOLD, "somewhere", seed)
        model.use_flat_batches()
        model.eval()
        found[task] = model
    return found


def batch(place: Place) -> FlatBatch:
    encoded = encode(load_tokenizer(place), [(TEXTS, None)], LIMIT, into=None)
    return flat.make(encoded, np.arange(len(TEXTS)), None)


@pytest.mark.parametrize("method", ["full", "lora", "bitfit"])
def test_what_one_task_learns_the_other_has(place: Place, method: str) -> None:
    apart = models(place, method)
    before = {task: model(batch(place)).detach() for task, model in apart.items()}
    shared = Shared(apart)
    for task, said in before.items():
        assert torch.equal(shared.of(task)(batch(place)), said), "tying alone changes nothing"
    moved = [one for one in shared.of("intent").trunk.parameters() if one.requires_grad]
    with torch.no_grad():
        for weight in moved:
            weight.add_(0.1 * torch.randn_like(weight))
    now = {task: shared.of(task)(batch(place)) for task in HEADS}
    assert not any(torch.allclose(now[task], before[task], atol=1e-3) for task in HEADS)
    shared.of("names")(batch(place)).square().sum().backward()
    assert all(weight.grad is not None for weight in moved if weight.ndim > 1 and weight.shape[0] > 1)


def test_every_weight_is_there_once_and_comes_back_by_its_own_name(place: Place) -> None:
    shared = Shared(models(place))
    names = [name for name, _ in shared.named_parameters()]
    assert len(names) == len({id(one) for one in shared.parameters()})
    assert not any("word_embeddings" in name for name in names if name.startswith("models.names"))
    state = {name: torch.randn_like(weight) for name, weight in shared.named_parameters()}
    for task in HEADS:
        found = shared.state_of(task, state)
        assert set(found) == {name for name, _ in shared.of(task).named_parameters()}
    one, other = (shared.state_of(task, state) for task in HEADS)
    common = [name for name in one if "word_embeddings" in name or "query" in name]
    for name in common:
        twin = next(mine for mine in other if mine.endswith(name.split("encoder.")[-1].split("embeddings.")[-1]))
        assert torch.equal(one[name], other[twin])


def test_trunks_of_another_shape_have_nothing_in_common(place: Place, tmp_path: Path) -> None:
    other = find(str(make_base(tmp_path / "llama", "llama")))
    stranger = load_model(other, Head("classes", ("a", "b")), load_tokenizer(other), seed=0)
    with pytest.raises(UserError, match="no weight that both"):
        tie(models(place)["intent"], stranger)


def test_spread_is_learnt_only_where_it_is_asked_for(place: Place) -> None:
    assert not any("spread" in name for name in trained(Shared(models(place))))
    asked = Shared(models(place), by_spread=True)
    assert "spread" in trained(asked) and asked.log_variance("names").item() == 0


def trained(module: Any) -> Iterator[str]:
    return (name for name, weight in module.named_parameters() if weight.requires_grad)
