"""Weights in few bits: which layers, how far from what they were, and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.made_models import make_base
from whet.errors import UserError
from whet.models import quantising
from whet.models.linear_layers import linear_layers
from whet.models.quantising import Scheme

from .kinds import EIGHT, ready_kind
from .ready import Ready

NF4 = Scheme(4, "nf4", True)
Wide = Callable[[str], Ready]


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Wide:
    root = tmp_path_factory.mktemp("wide")

    def make(family: str) -> Ready:
        folder: Path = root / family
        return ready_kind(folder if folder.exists() else make_base(folder, family, width=64), "vectors")

    return make


def by_hand(weight: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
    """Blocks of 64 by their largest number, each weight the nearest of 16."""
    blocks = weight.reshape(-1, 64)
    largest = blocks.abs().amax(1, keepdim=True)
    nearest = ((blocks / largest)[..., None] - code).abs().argmin(-1)
    return (code[nearest] * largest).reshape(weight.shape)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_four_bits_are_the_nearest_of_sixteen(wide: Wide, family: str, kind: str):
    from bitsandbytes import functional

    ready = wide(family)
    names = linear_layers(ready.model)
    before = {name: ready.model.network.get_submodule(name).weight.detach().clone() for name in names}
    found = quantising.quantise(ready.model, Scheme(4, kind, False))
    code = functional.get_4bit_type(kind, device="cpu")
    for name, layer in quantising.quantised_layers(ready.model.network):
        own = before[name].t() if layer.was_turned else before[name]
        torch.testing.assert_close(quantising.dequantised(layer), by_hand(own.contiguous(), code), atol=1e-5, rtol=0)
        error = next(one for one in found.errors if one.name == name)
        gone = own - quantising.dequantised(layer)
        assert error.relative == pytest.approx(float(gone.norm() / own.norm()), rel=1e-5)
        assert error.largest == pytest.approx(float(gone.abs().max()), rel=1e-5)
    assert 0.05 < found.mean < 0.15


def test_layers_whose_blocks_would_cross_rows_stay(wide: Wide):
    """The second half of these feed-forward parts has 24 inputs."""
    ready = wide("bert")
    before = linear_layers(ready.model)
    found = quantising.quantise(ready.model, NF4)
    kept = [name for name in before if name.endswith(".output.dense") and "attention" not in name]
    assert found.left == len(kept) == 2
    assert set(kept) <= set(found.scheme.kept)
    eight = wide("bert")
    assert quantising.quantise(eight.model, Scheme(8, "nf4", True)).left == 0


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_restored_weights_are_what_was_multiplied_by(wide: Wide, family: str, bits: int):
    ready = wide(family)
    kinds = {name: type(module) for name, module in ready.model.network.named_modules()}
    quantising.quantise(ready.model, Scheme(bits, "nf4", True))
    said = ready.logits(ready.batch(EIGHT))
    quantising.restore(ready.model)
    assert {name: type(module) for name, module in ready.model.network.named_modules()} == kinds
    torch.testing.assert_close(ready.logits(ready.batch(EIGHT)), said, atol=1e-5 if bits == 4 else 2e-2, rtol=0)


def test_quantising_draws_nothing(wide: Wide):
    states = []
    for _ in range(2):
        ready = wide("bert")
        torch.rand(3)
        quantising.quantise(ready.model, NF4)
        states.append({n: quantising.dequantised(m) for n, m in quantising.quantised_layers(ready.model.network)})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_t5_keeps_what_it_computes_in_full(wide: Wide):
    ready = wide("t5")
    quantising.quantise(ready.model, Scheme(8, "nf4", True))
    assert not any(name.endswith("wo") for name, _ in quantising.quantised_layers(ready.model.network))


def test_a_base_too_narrow_is_refused(tmp_path: Path):
    ready = ready_kind(make_base(tmp_path / "base", "bert", width=32), "vectors")
    with pytest.raises(UserError) as caught:
        quantising.quantise(ready.model, NF4)
    (problem,) = caught.value.problems
    assert problem.code == "M066"
    assert "64" in problem.what


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**16), st.sampled_from([0.5, 1.0, 2.0]))
def test_low_rank_is_the_nearest_of_its_rank(rank: int, seed: int, scale: float):
    matrix = torch.randn(12, 8, generator=torch.Generator().manual_seed(seed))
    first, second = quantising.low_rank(matrix, rank, scale)
    assert (first.shape, second.shape) == ((rank, 8), (12, rank))
    gap = torch.linalg.norm(matrix - scale * second @ first)
    lost = torch.linalg.svdvals(matrix)[rank:].square().sum().sqrt()
    torch.testing.assert_close(gap, lost, atol=1e-4, rtol=1e-3)


def test_the_finding_names_the_worst_layers():
    errors = [quantising.LayerError("a", 0.09, 0.1), quantising.LayerError("b", 0.3, 0.4)]
    found = quantising.finding(quantising.Quantised(NF4, errors).to_json(), "qlora")
    assert (found.code, found.bin) == ("E009", "tip")
    assert "most b (30.0%)" in found.message
    assert list(found.evidence["worst"]) == ["b", "a"]
    calm = quantising.finding(quantising.Quantised(NF4, errors[:1]).to_json(), "qlora")
    assert calm.bin == "passed"


def test_a_scheme_comes_back_from_json():
    scheme = Scheme(4, "fp4", False, ("pooler.dense",))
    assert Scheme.from_json(scheme.to_json()) == scheme
    assert scheme.in_words == "4 bits (FP4)"
