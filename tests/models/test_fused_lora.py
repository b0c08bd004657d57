from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from whet.kernels.dropout import ByteDropout, ByteStream
from whet.models import fused_lora

pytest.importorskip("peft")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(8, 16), nn.Linear(16, 8, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.down(torch.tanh(self.up(x)))
        return found


def adapted(dropout: float = 0.0, **more: Any) -> Any:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=2, lora_alpha=8, lora_dropout=dropout, target_modules=["up", "down"], **more)
    model = get_peft_model(Net(), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.1)
    return model


def loss_and_slopes(model: nn.Module) -> list[torch.Tensor]:
    x = torch.linspace(-1, 1, 40).view(5, 8).requires_grad_()
    model.zero_grad()
    loss = model(x).square().sum()
    loss.backward()
    assert x.grad is not None
    return [loss.detach(), x.grad, *(one.grad.clone() for one in model.parameters() if one.grad is not None)]


@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_the_same_as_without(dropout: float):
    found = []
    for fused in (False, True):
        model, stream = adapted(dropout), ByteStream(3)
        for module in model.modules():
            if hasattr(module, "lora_dropout") and dropout:
                module.lora_dropout["default"] = ByteDropout(dropout, stream)
        assert fused_lora.fuse(model) == 2 if fused else True
        model.train()
        found.append(loss_and_slopes(model))
    for ours, plain in zip(*found, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-5)


def test_what_is_not_plain_goes_its_own_way():
    declined = list[str]()
    assert fused_lora.fuse(adapted(use_dora=True), declined.append) == 0
    assert fused_lora.fuse(Net(), declined.append) == 0
    assert not declined, "nothing was held against anything"
    model = adapted()
    model.base_model.model.up.base_layer.weight.requires_grad_(True)
    assert fused_lora.fuse(model) == 1, "of the layer that moves the gradient is wanted"


def test_switched_off_merged_and_saved_it_is_as_ever(tmp_path: Path):
    from peft import PeftModel

    model, x = adapted().eval(), torch.linspace(-1, 1, 40).view(5, 8)
    said = model(x)
    fused_lora.fuse(model)
    with model.disable_adapter():
        plain = model(x)
    torch.manual_seed(0)
    torch.testing.assert_close(plain, Net()(x))
    assert not torch.allclose(plain, said)
    model.save_pretrained(tmp_path)
    torch.manual_seed(0)
    again = PeftModel.from_pretrained(Net(), str(tmp_path)).eval()
    torch.testing.assert_close(again(x), said)
    torch.testing.assert_close(model.merge_and_unload()(x), said, atol=1e-5, rtol=1e-5)


def test_a_way_that_differs_is_not_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fused_lora, "low_rank", lambda x, weight, *_: x @ weight.t())
    model, declined = adapted(), list[str]()
    assert fused_lora.fuse(model, declined.append) == 0
    assert all(type(one).__name__ != "FusedLinear" for one in model.modules())
    assert len(declined) == 1 and "PEFT's are used" in declined[0]


def test_a_model_is_let_go_of_at_once():
    import gc
    import weakref

    model = adapted()
    assert fused_lora.fuse(model) == 2
    weight = weakref.ref(model.base_model.model.up.base_layer.weight)
    gc.disable()
    try:
        del model
        assert weight() is None
    finally:
        gc.enable()
