"""Architectures without weights: their published sizes, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from whet.errors import UserError
from whet.models.heads import Head
from whet.models.places import Place
from whet.models.shapes import SHAPES, count, named, without_weights


def weights(name: str) -> int:
    place = Place(name, Path(name), "")
    model = without_weights(named(name).config, Head("language"), place)
    assert all(parameter.device.type == "meta" for parameter in model.parameters())
    return count(model)


@pytest.mark.parametrize(
    ("name", "published"),
    [("gpt3", 174.6e9), ("opt-175b", 174.6e9), ("opt-66b", 65.7e9), ("llama2-7b", 6.74e9), ("llama2-70b", 68.98e9)],
)
def test_published_counts(name: str, published: float):
    assert weights(name) == pytest.approx(published, rel=1e-3)


def test_gpt3_by_hand():
    width, layers, words, places = 12288, 96, 50257, 2048
    a_layer = 12 * width**2 + 13 * width  # four and eight squares; biases and two norms
    assert weights("gpt3") == words * width + places * width + layers * a_layer + 2 * width


def test_small_shapes():
    assert weights("llama-135m") == pytest.approx(134.5e6, rel=2e-3)
    assert weights("bert-base") == pytest.approx(109.5e6, rel=1e-2)
    assert set(SHAPES) >= {"gpt3", "opt-175b"}


def test_a_file_or_a_folder(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 2}))
    assert named(str(tmp_path)).config.n_embd == 64
    assert named(str(tmp_path / "config.json")).positions == 1024


def test_unknown_names(tmp_path: Path):
    with pytest.raises(UserError, match=r"L001.*Did you mean 'opt-175b'"):
        named("opt-175")
    for text in ("not json", "{}", '{"model_type": "no-such-thing"}', "[1]"):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(UserError, match="L002"):
            named(str(tmp_path))


def test_no_memory_is_taken():
    before = torch.empty(0).untyped_storage().nbytes()
    model = without_weights(named("opt-6.7b").config, Head("language"), Place("opt", Path("opt"), ""))
    assert before == 0
    assert all(parameter.untyped_storage().data_ptr() == 0 for parameter in model.parameters())
