"""Students: layers that are kept, narrower vectors, and what a base cannot lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests import made_models
from whet.data import general
from whet.errors import UserError
from whet.evaluation.retention import layers_in_words
from whet.models import loading, places, shrinking
from whet.models.insides import counterparts
from whet.models.shrinking import shrink, spread

PROSE = general.prose()[:8]
POOLED = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


def made(folder: Path, family: str, layers: Any, width: int | None, **settings: Any) -> tuple[dict[str, Any], Path]:
    base = made_models.make_base(folder / "base", family, **settings)
    place = places.find(str(base))
    return shrink(place, layers, width, loading.load_tokenizer(place), PROSE, folder / "student"), folder / "student"


def network(folder: Path) -> Any:
    from transformers import AutoModel

    from whet.models.networks import quiet

    with quiet():
        return AutoModel.from_pretrained(folder)


def test_layers_are_spread_evenly_from_the_first_to_the_last():
    assert spread(3, 6) == [0, 2, 5] and spread(2, 12) == [0, 11] and spread(1, 6) == [0]
    assert spread(6, 6) == [0, 1, 2, 3, 4, 5]
    assert counterparts(3, 6) == [1, 3, 5] and counterparts(2, 5) == [2, 4], "halves are rounded up"
    assert counterparts(12, 6) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("family", ["bert", "modernbert", "xlnet", "t5", "gpt2", "gemma2"])
def test_the_layers_that_are_kept_are_those_of_the_base(tmp_path: Path, family: str):
    record, folder = made(tmp_path, family, [0], None, num_hidden_layers=2)
    assert record["layers"] == [0] and record["parameters"] < record["parameters_before"]
    whole, small = network(tmp_path / "base"), network(folder)
    kept = dict(small.named_parameters())
    known = dict(whole.named_parameters())
    assert kept.keys() < known.keys()
    assert all(torch.equal(weight, known[name]) for name, weight in kept.items())


def test_each_half_of_an_encoder_decoder_loses_layers_of_its_own(tmp_path: Path):
    record, folder = made(tmp_path, "bart", 2, None, encoder_layers=5, decoder_layers=3)
    assert sorted(record["stacks"].values()) == [[0, 2], [0, 4]]
    assert layers_in_words(record) == "layers 0, 4 of the encoder and layers 0, 2 of the decoder"
    whole, small = network(tmp_path / "base"), network(folder)
    for half, last in (("encoder", 4), ("decoder", 2)):
        one, other = getattr(small, half).layers, getattr(whole, half).layers
        assert len(one) == 2
        assert torch.equal(one[1].fc1.weight, other[last].fc1.weight)


def test_a_later_layer_is_counted_anew(tmp_path: Path):
    _, folder = made(tmp_path, "bert", [1], None)
    whole, small = network(tmp_path / "base"), network(folder)
    ids = torch.tensor([[2, 5, 6, 3]])
    with torch.inference_mode():
        first = whole.embeddings(ids)
        assert torch.allclose(
            small(ids).last_hidden_state,
            whole.encoder.layer[1](first)[0]
            if isinstance(whole.encoder.layer[1](first), tuple)
            else whole.encoder.layer[1](first),
            atol=1e-5,
        )


@pytest.mark.parametrize(
    ("family", "width"), [("bert", 8), ("roberta", 12), ("distilbert", 4), ("llama", 8), ("qwen3", 8)]
)
def test_a_narrower_model_keeps_whole_heads(tmp_path: Path, family: str, width: int):
    record, folder = made(tmp_path, family, None, width)
    config = network(folder).config
    assert config.hidden_size == width == len(record["dimensions"])
    assert record["heads"] == config.num_attention_heads == made_models.HEADS * width // made_models.WIDTH
    whole, small = network(tmp_path / "base"), network(folder)
    table = whole.get_input_embeddings().weight[:, record["dimensions"]]
    assert torch.equal(small.get_input_embeddings().weight, table)


def test_what_a_dimension_holds_decides(tmp_path: Path):
    """A dimension that is the same for every token goes first."""
    base = made_models.make_base(tmp_path / "base", "llama")
    place = places.find(str(base))
    whole = network(base)
    with torch.no_grad():
        whole.embed_tokens.weight[:, 3] = 1.0
        for layer in whole.layers:
            layer.self_attn.o_proj.weight[3] = 0.0
            layer.mlp.down_proj.weight[3] = 0.0
    whole.save_pretrained(base)
    record = shrink(place, None, 8, loading.load_tokenizer(place), PROSE, tmp_path / "student")
    assert 3 not in record["dimensions"]


def test_a_declared_pooling_stays_and_nothing_is_half_written(tmp_path: Path):
    _, folder = made(tmp_path, "bert", 1, None, pooling=POOLED)
    assert loading.choose_pooling(places.find(str(folder)), "auto")[0] == "mean"
    assert (folder / shrinking.ABOUT).exists()
    with pytest.raises(UserError, match="T030"):
        place = places.find(str(tmp_path / "base"))
        shrink(place, 3, None, loading.load_tokenizer(place), PROSE, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("family", "layers", "width", "words"),
    [
        ("bert", [2], None, "T030.*has 2 layers"),
        ("modernbert", [1], None, "T030.*no whole model.*Keep layer 0"),
        ("bert", None, 5, "T031.*stay whole.*4, 8, 12"),
        ("gpt2", None, 8, "T031.*'gpt2' cannot be narrowed"),
        ("electra", None, 8, "T031.*other parts"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, family: str, layers: Any, width: int | None, words: str):
    with pytest.raises(UserError, match=words):
        made(tmp_path, family, layers, width)
