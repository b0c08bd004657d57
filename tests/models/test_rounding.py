"""Whole models in few bits: as files of transformers, read again, and as a base of other models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.made_models import make_base
from whet.errors import UserError
from whet.models import adaptations, loading, parity, places, quantising, rounding, saving
from whet.models.heads import Head
from whet.models.linear_layers import linear_layers

from .kinds import EIGHT, head_of
from .ready import Ready, stir

Wide = Callable[..., Path]
MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


def options(bits: int) -> dict[str, Any]:
    return {"quantisation.bits": bits, "quantisation.kind": "nf4", "quantisation.double": True}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Wide:
    """Bases whose layers come in blocks of 64 inputs, but for the second half of feed-forward parts."""
    root = tmp_path_factory.mktemp("rounding")

    def make(family: str, language: bool = False, pooling: dict[str, bool] | None = None) -> Path:
        folder = root / f"{family}-{language}-{pooling is not None}"
        return folder if folder.exists() else make_base(folder, family, pooling, width=64, language=language)

    return make


def made(folder: Path, head: Head) -> Ready:
    place = places.find(str(folder))
    tokenizer = loading.load_tokenizer(place)
    model = loading.load_model(place, head, tokenizer, seed=5).eval()
    if model.head is not None and head.kind != "language":
        stir(model.head)
    return Ready(model, tokenizer, place)


def saved(ready: Ready, folder: Path, bits: int) -> tuple[torch.Tensor, saving.About]:
    """What a model says once it is rounded, and what is said of it; its files lie in ``folder``."""
    assert adaptations.adapt(ready.model, "quantised", options(bits), "base", 0) is None
    assert ready.model.quantised is not None and not any(p.requires_grad for p in ready.model.parameters())
    about = ready.about(quantisation=ready.model.quantised.scheme.to_json())
    ready.model.use_flat_batches()
    said = ready.logits(ready.batch(EIGHT))
    saving.save(ready.model, None, ready.tokenizer, about, folder)
    return said, about


CASES = [
    ("bert", "classes", None),
    ("bert", "classes", MEAN),  # one more layer, which averages
    ("bert", "tokens", None),
    ("bert", "span", None),
    ("distilbert", "classes", MEAN),  # a folder of sentence-transformers
    ("gpt2", "classes", None),
    ("modernbert", "classes", None),
    ("llama", "language", None),
    ("gpt2", "language", None),
    ("bert", "language", None),
]


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("family", "kind", "pooling"), CASES)
def test_what_was_saved_says_the_same(
    wide: Wide, tmp_path: Path, family: str, kind: Any, pooling: dict[str, bool] | None, bits: int
):
    base = wide(family, kind == "language", pooling)
    ready = made(base, head_of(kind, base))
    said, about = saved(ready, tmp_path / "model", bits)
    configs = [json.loads(one.read_text()) for one in tmp_path.rglob("config.json")]
    (kept,) = [one["quantization_config"] for one in configs if "quantization_config" in one]
    assert kept[f"load_in_{bits}bit"] and kept["quant_method"] == "bitsandbytes"
    assert not hasattr(ready.model.network.config, rounding.CONFIG), "nothing is left behind in the model in use"
    model, tokenizer, again = saving.load(tmp_path / "model")
    assert again == about and model.quantised is not None
    model.use_flat_batches()
    loaded = Ready(model, tokenizer, ready.place)
    tolerance = 0.1 if bits == 8 else 1e-4  # inputs of 8 bits are rounded, too
    assert torch.allclose(loaded.logits(ready.batch(EIGHT)), said, atol=tolerance * float(said.abs().max()))
    if kind not in ("language",):
        encoded = ready.batch(EIGHT).encoded
        plain = parity.outputs(tmp_path / "model", about, str(base), encoded)
        assert torch.allclose(torch.from_numpy(plain), said, atol=tolerance * float(said.abs().max()))


def weights(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.rglob("*.safetensors"))


def test_files_are_smaller_by_what_the_bits_save(wide: Wide, tmp_path: Path):
    base = wide("bert")
    ready = made(base, head_of("classes", base))
    layers = linear_layers(ready.model)
    count = sum(ready.model.network.get_submodule(name).weight.numel() for name in layers)
    saving.save(ready.model, None, ready.tokenizer, ready.about(), tmp_path / "whole")
    saved(ready, tmp_path / "eight", 8)
    gone = weights(tmp_path / "whole") - weights(tmp_path / "eight")
    assert gone == pytest.approx(3 * count, rel=0.15)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize(("family", "pooling"), [("bert", None), ("bert", MEAN), ("gpt2", None)])
def test_a_rounded_model_is_a_base_of_whole_weights(
    wide: Wide, tmp_path: Path, family: str, pooling: dict[str, bool] | None, bits: int
):
    """Those that rounding left; its head goes with it, and shapes are told without loading it."""
    base = wide(family, False, pooling)
    ready = made(base, head_of("classes", base))
    saved(ready, tmp_path / "model", bits)
    quantising.restore(ready.model)
    expected = ready.logits(ready.batch(EIGHT))
    again = loading.load_model(places.find(str(tmp_path / "model")), ready.model.kind, ready.tokenizer, seed=9).eval()
    assert again.origin.kept_labels == ready.model.kind.labels and not again.origin.fresh
    assert again.quantised is None and not list(quantising.quantised_layers(again.network))
    again.use_flat_batches()
    found = Ready(again, ready.tokenizer, ready.place).logits(ready.batch(EIGHT))
    assert torch.allclose(found, expected, atol=1e-5)
    place = places.find(str(tmp_path / "model"))
    if pooling is None:
        assert sorted(loading.linear_shapes(place)) == sorted(_shapes_of(ready))
    again.network.save_pretrained(tmp_path / "whole")
    assert "quantization_config" not in (tmp_path / "whole" / "config.json").read_text()


def _shapes_of(ready: Ready) -> list[tuple[int, int]]:
    """As they lie in files: GPT-2's are turned when it is whole, and not when they are rounded."""
    found = []
    rounded = set(ready.model.quantised.scheme.kept) if ready.model.quantised else set()
    for name, module in ready.model.network.named_modules():
        if rounding.is_linear(module):
            shape = tuple(module.weight.shape)
            found.append(shape if name in rounded or isinstance(module, torch.nn.Linear) else shape[::-1])
    return found


def test_another_head_is_put_on_a_rounded_model(wide: Wide, tmp_path: Path):
    """A class of transformers with names and layers that the files know nothing of."""
    base = wide("llama", True)
    ready = made(base, Head("language"))
    saved(ready, tmp_path / "model", 4)
    again = loading.load_model(places.find(str(tmp_path / "model")), Head("classes", ("a", "b")), ready.tokenizer, 0)
    quantising.restore(ready.model)
    name = "model.layers.0.self_attn.q_proj.weight"
    assert torch.equal(again.network.state_dict()[name], ready.model.network.state_dict()[name])
    assert again.head is not None and again.head.weight.dtype == torch.float32 and again.origin.fresh


def test_without_the_library_it_is_said_what_to_install(wide: Wide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    base = wide("bert")
    ready = made(base, head_of("classes", base))
    saved(ready, tmp_path / "model", 8)
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes", None)
    with pytest.raises(UserError, match=r"M065.*pip install"):
        saving.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({}, ""),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
    ],
)
def test_who_quantised_a_base_is_read_off_its_configuration(config: dict[str, Any], found: str):
    assert rounding.packed_by(config) == found
    assert replace(quantising.Scheme(8, "nf4", True)).in_words == "8 bits"
