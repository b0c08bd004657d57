"""PEFT's LoRA layers, computed by :mod:`whet.kernels.low_rank`; modules, names and files stay PEFT's.

Only plain ones: a frozen layer of ``nn.Linear`` in whole numbers, one adapter, no DoRA. Whatever else a layer is asked
for (an adapter switched off or merged, several at once) goes PEFT's own way.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whet.kernels import dropout as byte_dropout
from whet.kernels.low_rank import low_rank

TOLERANCE = 1e-4
"""Largest difference, beside the largest number there is, at which the two ways count as the same in fp32."""


def fuse(model: nn.Module) -> int:
    """Have the LoRA layers below ``model`` computed in one function each; returns how many are.

    The first one is held against PEFT's own way before; where they differ, none is.
    """
    from peft.tuners.lora import Linear

    layers = [one for one in model.modules() if type(one) is Linear and _is_plain(one)]
    if not layers or not _is_the_same(layers[0]):
        return 0
    for layer in layers:
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    return len(layers)


def _is_plain(layer: Any) -> bool:
    base = layer.get_base_layer()
    frozen = type(base) is nn.Linear and not any(one.requires_grad for one in base.parameters())
    one = list(layer.lora_A) == ["default"] and not layer.lora_variant and not layer.fan_in_fan_out
    return frozen and one and layer.lora_B["default"].bias is None


def _forward(layer: Any, x: Tensor, *args: Any, **more: Any) -> Any:
    """Takes the place of ``lora.Linear.forward``."""
    down, up, base = layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.base_layer
    usual = layer.active_adapters == ["default"] and not layer.disable_adapters and not layer.merged
    if args or more or not usual or not x.dtype == down.dtype == up.dtype == base.weight.dtype:
        return type(layer).forward(layer, x, *args, **more)
    factors, drop = None, layer.lora_dropout["default"]
    if drop.training and getattr(drop, "p", 0.0):
        if not isinstance(drop, byte_dropout.ByteDropout):
            return type(layer).forward(layer, x)
        if byte_dropout.threshold(drop.p):
            factors = byte_dropout.keep_scale(x, drop.p, drop.stream)
    return low_rank(x, base.weight, base.bias, down, up, factors, float(layer.scaling["default"]))


@torch.no_grad()
def _is_the_same(layer: Any) -> bool:
    """Whether both ways answer alike; draws from no generator that training draws from."""
    base, training = layer.get_base_layer(), layer.training
    if base.weight.is_meta:
        return True
    x = torch.linspace(-1, 1, 3 * base.in_features, dtype=base.weight.dtype).view(3, -1).to(base.weight.device)
    layer.eval()
    before = layer.lora_B["default"].weight.clone()
    layer.lora_B["default"].weight.fill_(0.01)  # zeros would show nothing
    try:
        ours, theirs = _forward(layer, x), type(layer).forward(layer, x)
    except RuntimeError:
        return False
    finally:
        layer.lora_B["default"].weight.copy_(before)
        layer.train(training)
    return bool((ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max().clamp(min=1.0))
