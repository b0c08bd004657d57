"""What only a CUDA device can show: its kernels against float64, and the engine on it against the processor.

    make test-gpu

Needs torch, transformers, PEFT, NumPy, pyarrow, psutil and pytest; nothing else of the project's needs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.made_models import make_base
from whet.batches import flat
from whet.batches.encoding import Counted, Encoded, Piece, gather
from whet.engine.optimisation import Group, optimiser_of
from whet.engine.precision import Weights
from whet.engine.step import gradients
from whet.generation import closed
from whet.kernels import attention_on_gpu
from whet.kernels.attention import attend, reference
from whet.kernels.flat import layout
from whet.kernels.low_rank import low_rank
from whet.kernels.low_rank import reference as in_parts
from whet.kernels.token_loss import token_loss
from whet.models import adaptations, fused_lora, loading, places
from whet.models.heads import Head
from whet.models.task_model import TaskModel
from whet.tasks.language_loss import LanguageLoss, next_tokens

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is there")
CUDA = torch.device("cuda")
LORA = {"rank": 4, "alpha": 8.0, "dropout": 0.0, "target_modules": "auto", "rank_stabilised": False, "dora": False}
STEPS = 20


# --- kernels --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [None, 40])
@pytest.mark.parametrize("causal", [False, True], ids=["both ways", "causal"])
@pytest.mark.parametrize("groups", [8, 2])
@pytest.mark.parametrize(("dtype", "near"), [(torch.bfloat16, 3e-2), (torch.float32, 1e-5)], ids=["bf16", "fp32"])
def test_attention(dtype: torch.dtype, near: float, groups: int, causal: bool, window: int | None):
    """Forward and backward, unpadded in bf16 and padded in fp32, against float64 on the processor."""
    where = layout(torch.tensor([300, 7, 128, 1]))
    random = torch.Generator().manual_seed(0)
    sizes = (8, groups, groups)
    given = [torch.randn(where.num_tokens, heads, 64, generator=random).to(dtype) for heads in sizes]
    found = []
    for device, kind in ((CUDA, dtype), (torch.device("cpu"), torch.float64)):
        parts = [part.to(device, kind).requires_grad_() for part in given]
        compute = attend if device == CUDA else reference
        said = compute(*parts, where.to(device), 0.125, causal=causal, window=window)
        slopes = torch.autograd.grad(said.float().square().sum(), parts)
        found.append([one.detach().double().cpu() for one in (said, *slopes)])
    for ours, exact in zip(*found, strict=True):
        assert float((ours - exact).abs().max()) <= near * float(exact.abs().max().clamp(min=1.0))


def test_the_kernel_without_padding_is_there():
    assert attention_on_gpu.takes(torch.zeros(1, 1, 64, dtype=torch.bfloat16, device=CUDA))


def test_token_loss():
    random = torch.Generator().manual_seed(0)
    features, weight = torch.randn(300, 64, generator=random), torch.randn(50_000, 64, generator=random)
    targets, counts = torch.randint(0, 50_000, (300,), generator=random), torch.rand(300, generator=random)
    found = []
    for device, kind in ((CUDA, torch.float32), (torch.device("cpu"), torch.float64)):
        parts = [part.to(device, kind).requires_grad_() for part in (features, weight)]
        loss = token_loss(*parts, None, targets, counts)
        found.append([one.detach().double().cpu() for one in (loss, *torch.autograd.grad(loss, parts))])
    for ours, exact in zip(*found, strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-3, atol=1e-4)


def test_low_rank():
    random = torch.Generator().manual_seed(0)
    x, a, b = (torch.randn(*size, generator=random) for size in ((200, 256), (16, 256), (512, 16)))
    weight = torch.randn(512, 256, generator=random)
    found = []
    for compute, device, kind in ((low_rank, CUDA, torch.float32), (in_parts, torch.device("cpu"), torch.float64)):
        parts = [part.to(device, kind).requires_grad_() for part in (x, a, b)]
        said = compute(parts[0], weight.to(device, kind), None, parts[1], parts[2], None, 2.0)
        found.append([one.detach().double().cpu() for one in (said, *torch.autograd.grad(said.square().mean(), parts))])
    for ours, exact in zip(*found, strict=True):
        torch.testing.assert_close(ours, exact, rtol=2e-2, atol=2e-2)  # fp32 products may be rounded to TF32


# --- the engine -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("gpu") / "llama", "llama", language=True, width=64)


def model_of(base: Path, method: str, device: torch.device) -> TaskModel:
    place = places.find(str(base))
    model = loading.load_model(place, Head("language"), loading.load_tokenizer(place), seed=0)
    model.use_flat_batches()
    if method == "lora":
        options = {f"lora.{name}": value for name, value in {**LORA, "start": "zeros"}.items()}
        adaptations.adapt(model, "lora", options, str(base), 0)
        assert fused_lora.fuse(model)
    return model.to(device)


def rows(model: TaskModel, number: int = 24, seed: int = 0) -> Encoded:
    random = np.random.default_rng(seed)
    sizes = random.integers(3, 30, number)
    ids = [random.integers(5, model.width, size) for size in sizes]
    weights = np.ones(int(sizes.sum()), np.float32)
    piece = Piece(np.concatenate(ids).astype(np.uint32), sizes.astype(np.int64), weights=weights)
    return gather(iter([piece]), Counted(64), None)


def losses(base: Path, method: str, device: torch.device, dtype: torch.dtype, prepare: Any = None) -> list[float]:
    """Of some steps on one batch."""
    torch.manual_seed(0)
    model = model_of(base, method, device)
    if prepare is not None:
        prepare(model)
    batch = flat.make(rows(model), np.arange(24), None)
    weights = Weights(model, dtype)
    model.train()
    moved = Group("all", list(weights.masters.items()), 3e-3, 0.0)
    optimiser, found = optimiser_of("adamw", [moved]), []
    for step in range(STEPS):
        weights.clear_gradients()
        result = gradients(weights, LanguageLoss(next_tokens), batch, 128, lambda _: None, 1.0, (), step)
        assert result.finite
        found.append(result.loss)
        optimiser.step()
        weights.publish()
    return found


@pytest.mark.parametrize("method", ["full", "lora"])
def test_training_goes_as_on_the_processor(base: Path, method: str):
    exact = losses(base, method, torch.device("cpu"), torch.float32)
    ours = losses(base, method, CUDA, torch.float32)
    assert ours[-1] < 0.95 * ours[0]
    np.testing.assert_allclose(ours, exact, rtol=5e-3)
    rounded = losses(base, method, CUDA, torch.bfloat16)
    np.testing.assert_allclose(rounded, exact, rtol=5e-2)


def test_the_same_step_again_is_the_same(base: Path):
    one, other = (losses(base, "full", CUDA, torch.bfloat16) for _ in range(2))
    np.testing.assert_allclose(one, other, rtol=1e-3)


def test_memory_is_saved_without_another_loss(base: Path):
    plain = losses(base, "full", CUDA, torch.float32)
    saved = losses(base, "full", CUDA, torch.float32, lambda model: pytest.fail("no") if not model.save_memory() else 0)
    np.testing.assert_allclose(saved, plain, rtol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_no_text_sees_another(base: Path, dtype: torch.dtype):
    """Another neighbour changes nothing of a text's vectors."""
    model = model_of(base, "full", CUDA).to(dtype).eval()
    encoded = rows(model)
    known = encoded.ids.copy()
    first = int(encoded.lengths[0])

    def vectors(ids: Any) -> Tensor:
        changed = flat.make(encoded, np.arange(4), None)
        tokens = torch.from_numpy(ids[: changed.num_tokens].astype(np.int64))[None]
        with torch.inference_mode():
            found: Tensor = model.features(flat.replace(changed, input_ids=tokens))
        return found[:first].float().cpu()

    plain = vectors(known)
    known[first:] = known[first:][::-1]
    torch.testing.assert_close(vectors(known), plain, atol=1e-5, rtol=1e-5)


def test_closed_answers_are_a_tree(base: Path):
    random = np.random.default_rng(0)
    prompts = [random.integers(5, 50, size) for size in (4, 11, 7)]
    labels = [np.array([7, 8, *random.integers(5, 50, size)]) for size in (1, 3, 2, 3)]
    found = []
    for device, fast in ((CUDA, True), (CUDA, False), (torch.device("cpu"), False)):
        network = model_of(base, "full", device).network
        found.append(closed.label_nats(network, prompts, labels, fast=fast))
        assert not closed.differs(network)
    np.testing.assert_allclose(found[0], found[1], rtol=5e-3)
    np.testing.assert_allclose(found[0], found[2], rtol=5e-3)
