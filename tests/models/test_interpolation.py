from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from whet.engine.precision import Weights
from whet.models import adaptations, interpolation

from .ready import Ready

Made = Callable[..., Ready]


def ends(ready: Ready, method: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Weights before and after something like training."""
    if method == "lora":
        adaptations.adapt_lora(ready.model, 2, 4.0, 0.0, "auto", "base", seed=1)
    else:
        adaptations.adapt_full(ready.model)
    start = {name: one.clone() for name, one in Weights(ready.model, torch.float32).state().items()}
    random = torch.Generator().manual_seed(3)
    moved = {name: one + 0.05 * torch.randn(one.shape, generator=random) for name, one in start.items()}
    return start, moved


@pytest.mark.parametrize("pooling", [None, "mean"])
@pytest.mark.parametrize("method", ["full", "lora"])
def test_the_ends_are_the_base_and_the_tuned_model_exactly(made: Made, method: str, pooling: str | None) -> None:
    ready = made("bert", pooling)
    untouched = made("bert", pooling)
    start, tuned = ends(ready, method)
    apart = interpolation.not_of_base(ready.model)
    assert apart and all("head" in name or "classifier" in name or "pooler" in name for name in apart), apart
    weights = Weights(ready.model, torch.float32)
    weights.load(tuned)
    end = ready.logits()
    weights.load(interpolation.between(ready.model, start, tuned, 1.0))
    assert torch.equal(ready.logits(), end)
    weights.load(interpolation.between(ready.model, start, tuned, 0.0))
    with torch.no_grad():  # the base with the tuned head
        theirs = {name.rpartition(".")[2]: tuned[name] for name in apart if ready.model.pooling is not None}
        for name, value in theirs.items():
            getattr(untouched.model.linear_head, name).copy_(value)
    features, plain = ready.model.features(ready.batch()), untouched.model.features(untouched.batch())
    if pooling is not None:
        assert torch.equal(features, plain) and torch.equal(ready.logits(), untouched.logits())
    hidden, same = (one.model.trunk(**_inputs(one)).last_hidden_state for one in (ready, untouched))
    assert torch.equal(hidden, same)


def _inputs(ready: Ready) -> dict[str, torch.Tensor]:
    return ready.model.padded_inputs(ready.batch())


def test_half_of_a_low_rank_update_is_half_the_update(made: Made) -> None:
    ready = made("bert", "mean")
    start, tuned = ends(ready, "lora")
    found = interpolation.between(ready.model, start, tuned, 0.5)
    pairs = [name for name in tuned if ".lora_A." in name]
    assert len(pairs) >= 12
    for name in pairs:
        other = name.replace(".lora_A.", ".lora_B.")
        start_update, update = start[other] @ start[name], tuned[other] @ tuned[name]
        assert torch.equal(start_update, torch.zeros_like(start_update))
        assert torch.allclose(found[other] @ found[name], update / 2, atol=1e-7)


def test_full_weights_lie_on_the_line(made: Made) -> None:
    ready = made("bert", "mean")
    start, tuned = ends(ready, "full")
    apart = interpolation.not_of_base(ready.model)
    found = interpolation.between(ready.model, start, tuned, 0.3)
    for name in tuned:
        expected = tuned[name] if name in apart else 0.7 * start[name] + 0.3 * tuned[name]
        assert torch.allclose(found[name], expected, atol=1e-6), name
