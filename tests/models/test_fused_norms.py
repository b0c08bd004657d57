"""Norms in one function each: of which modules, and that a model learns the same."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from whet.models import fused_norms


class TinyRMSNorm(nn.Module):
    """Of Llama's form."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 2, 8))
        self.variance_epsilon = 1e-5

    def forward(self, hidden_states: Tensor) -> Tensor:
        wide = hidden_states.float()
        scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * (wide * scale).to(hidden_states.dtype)


class OtherRMSNorm(TinyRMSNorm):
    """Of another form under a like name."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        return super().forward(hidden_states) * 1.0001


def test_one_that_answers_otherwise_stays_as_it_is():
    model = nn.Sequential(TinyRMSNorm(), OtherRMSNorm(), nn.LayerNorm(8), TinyRMSNorm())
    declined = list[str]()
    assert fused_norms.fuse(model, declined.append) == 2
    assert declined == ["OtherRMSNorm in one function answers otherwise than by itself, so its own way is used"]
    assert [type(one).__name__ for one in model] == ["FusedNorm", "OtherRMSNorm", "LayerNorm", "FusedNorm"]
    assert fused_norms.fuse(model) == 0, "a second time there is nothing left"


@pytest.mark.parametrize("family", ["Llama", "Qwen3", "Mistral"])
def test_a_model_of_transformers_learns_the_same(family: str):
    import transformers

    config = getattr(transformers, f"{family}Config")(
        vocab_size=50,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
    )
    found, said = [], []
    for fused in (False, True):
        torch.manual_seed(0)
        model = getattr(transformers, f"{family}ForCausalLM")(config)
        names = list(model.state_dict())
        assert not fused or fused_norms.fuse(model) >= 5
        assert list(model.state_dict()) == names
        ids = torch.arange(22).view(2, 11)
        out = model(input_ids=ids, labels=ids)
        out.loss.backward()
        said.append(out.logits.detach())
        found.append({name: weight.grad for name, weight in model.named_parameters()})
    assert torch.equal(*said)
    for name, plain in found[0].items():
        torch.testing.assert_close(found[1][name], plain, atol=1e-6, rtol=1e-4, msg=lambda text, name=name: name + text)
