"""PEFT's LoRA layers, computed by :mod:`whet.kernels.low_rank`; modules, names and files stay PEFT's.

Only plain ones: a frozen layer of ``nn.Linear`` in whole numbers, one adapter, no DoRA. Whatever else a layer is asked
for (an adapter switched off or merged, several at once) goes PEFT's own way.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from whet.kernels import dropout as byte_dropout
from whet.kernels.low_rank import low_rank

TOLERANCE = 1e-4
"""Largest difference, beside the largest number there is, at which the two ways count as the same in fp32."""


def fuse(model: nn.Module, declined: Callable[[str], None] = lambda words: None) -> int:
    """Have the LoRA layers below ``model`` computed in one function each; returns how many are.

    The first one is held against PEFT's own way before; where they differ, none is.

    :param declined: told so then.
    """
    from peft.tuners.lora import Linear

    layers = [one for one in model.modules() if type(one) is Linear and _is_plain(one)]
    if not layers:
        return 0
    if not _is_the_same(layers[0]):
        declined("LoRA layers in one function each answer otherwise than PEFT's own, so PEFT's are used")
        return 0
    for layer in layers:
        layer.__class__ = _fused()  # a function put into the layer would hold it in a circle, and the base with it
    return len(layers)


@functools.cache
def _fused() -> Any:
    """PEFT's class with a forward pass of its own; made when PEFT is loaded."""
    from peft.tuners.lora import Linear

    class FusedLinear(Linear):
        def forward(self, x: Tensor, *args: Any, **more: Any) -> Any:
            return _answer(self, x, super().forward, *args, **more)

    return FusedLinear


def _is_plain(layer: Any) -> bool:
    base = layer.get_base_layer()
    one = list(layer.lora_A) == ["default"] and not layer.lora_variant and not layer.fan_in_fan_out
    return type(base) is nn.Linear and _is_frozen(base) and one and layer.lora_B["default"].bias is None


def _is_frozen(base: nn.Linear) -> bool:
    return not base.weight.requires_grad and (base.bias is None or not base.bias.requires_grad)


def _answer(layer: Any, x: Tensor, usual: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """In one function where nothing unusual is asked for; else as ``usual``, PEFT's own way."""
    alone = layer.active_adapters == ["default"] and "default" in layer.lora_A
    if args or more or not alone or layer.disable_adapters or layer.merged or not _is_frozen(layer.base_layer):
        return usual(x, *args, **more)
    down, up, base = layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.base_layer
    kept, drop, scale = None, layer.lora_dropout["default"], float(layer.scaling["default"])
    drops = drop.training and getattr(drop, "p", 0.0)
    ours = isinstance(drop, byte_dropout.ByteDropout)
    if not x.dtype == down.dtype == up.dtype == base.weight.dtype or (drops and not ours):
        return usual(x)
    if drops and byte_dropout.threshold(drop.p):
        kept, scale = byte_dropout.kept_ones(x, drop.p, drop.stream), scale * byte_dropout.kept_scale(drop.p)
    return low_rank(x, base.weight, base.bias, down, up, kept, scale)


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
        theirs = layer(x)
        ours = _answer(layer, x, layer.forward)
    except RuntimeError:
        return False
    finally:
        layer.lora_B["default"].weight.copy_(before)
        layer.train(training)
    return bool((ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max().clamp(min=1.0))
