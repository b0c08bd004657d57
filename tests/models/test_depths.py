"""Where layers lie, and where dropout is kept, in every family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.made_models import make_base
from whet.models import adaptations
from whet.models.depths import depths
from whet.models.dropouts import drops_anything, set_dropout
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import find
from whet.models.task_model import TaskModel

from .ready import ready

FAMILIES = [
    "bert",
    "distilbert",
    "roberta",
    "deberta-v2",
    "xlnet",
    "gpt2",
    "llama",
    "modernbert",
    "t5",
    "bart",
    "mpnet",
]


def model_of(folder: Path, family: str, kind: str = "classes") -> TaskModel:
    if kind == "classes":
        return ready(make_base(folder, family), None if family not in ("t5", "mpnet") else "mean").model
    place = find(str(make_base(folder, family)))
    return load_model(place, Head("language"), load_tokenizer(place), seed=5)


@pytest.mark.parametrize("family", FAMILIES)
def test_layers_are_counted_from_the_top(tmp_path: Path, family: str):
    model = model_of(tmp_path / "base", family)
    adaptations.adapt_full(model)
    found = depths(model)
    layers = int(model.network.config.num_hidden_layers)
    assert found.number == layers + 1
    assert set(found.of) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(found.of.values()) == set(range(layers + 2))
    word_table = id(model.trunk.get_input_embeddings().weight)
    names = {name: id(p) for name, p in model.named_parameters()}
    assert [found.of[name] for name in found.of if names[name] == word_table] == [layers + 1]
    head = {id(p) for p in model.linear_head.parameters()}
    assert {found.of[name] for name in found.of if names[name] in head} == {0}
    numbered = [(name, depth) for name, depth in found.of.items() if 1 <= depth <= layers]
    for name, depth in numbered:
        assert f".{layers - depth}." in name, name


@pytest.mark.parametrize(("family", "part"), [("opt", "project_in"), ("xlnet", "mask_emb")])
def test_what_comes_before_all_layers_lies_below_them(tmp_path: Path, family: str, part: str):
    model = model_of(tmp_path / "base", family)
    adaptations.adapt_full(model)
    found = depths(model)
    assert {depth for name, depth in found.of.items() if part in name} == {found.number}


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_both_halves_are_counted_from_their_top(tmp_path: Path, family: str):
    model = model_of(tmp_path / "base", family, "language")
    adaptations.adapt_full(model)
    found = depths(model)
    for half in ("encoder", "decoder"):
        assert {depth for name, depth in found.of.items() if f"{half}." in name} >= {1, 2}


def test_what_is_frozen_has_no_depth(tmp_path: Path):
    model = model_of(tmp_path / "base", "bert")
    adaptations.freeze(model)
    assert set(depths(model).of.values()) == {0}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("fast", [True, False], ids=["flat", "padded"])
def test_dropout_is_set_wherever_it_is_kept(tmp_path: Path, family: str, fast: bool):
    known = ready(make_base(tmp_path / "base", family), None if family not in ("t5", "mpnet") else "mean")
    model, batch = known.model, known.batch()
    if fast:
        model.use_flat_batches()
    assert set_dropout(model, 0.0) > 0
    assert not drops_anything(model)
    model.train()

    def two() -> list[Any]:
        found = []
        for seed in (1, 2):
            model.reseed(seed)
            found.append(model(batch).detach())
        return found

    assert torch.equal(*two())
    set_dropout(model, 0.5)
    assert drops_anything(model)
    assert not torch.equal(*two())
    stated = [v for k, v in model.network.config.to_dict().items() if "dropout" in k and isinstance(v, float)]
    assert stated and set(stated) <= {0.5}
