"""bf16 products with fp32 master weights, cast once a step and not once a use.

The model computes in bf16: weights, activations and gradients. The optimiser works on fp32
copies of the weights that move. After a step they are rounded into the model again. Frozen
weights are rounded once. Norm statistics and softmax accumulate in fp32 inside torch's kernels.
"""

from __future__ import annotations

import contextlib
import platform
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn


class Weights:
    """The trainable weights of a model, and the fp32 masters the optimiser moves.

    In fp32 masters are the model's own parameters and nothing is copied. Parameters named in
    ``exact`` (by prefix) always stay in fp32: the head, whose logits decide.
    """

    def __init__(self, model: nn.Module, dtype: torch.dtype, exact: Sequence[str] = ()) -> None:
        self.model = model
        self.dtype = dtype
        self.trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        self._started: set[str] = set()
        if dtype == torch.float32:
            self.masters: Mapping[str, nn.Parameter] = self.trained
            return
        self.masters = {name: nn.Parameter(p.detach().float().clone()) for name, p in self.trained.items()}
        self._sums = {name: torch.empty_like(master) for name, master in self.masters.items()}
        for parameter in not_exact(model, exact):
            parameter.data = parameter.data.to(dtype)
        for name, parameter in self.trained.items():
            # weakly: Python cannot tell that such a circle is let go of, so that every trained model would stay
            parameter.register_post_accumulate_grad_hook(partial(_collected, weakref.ref(self), name))

    def _collect(self, name: str, parameter: Tensor) -> None:
        """Add a gradient to its master's, in fp32, as soon as it is there and still in the cache.

        The sums are kept from step to step: fresh memory for every gradient would cost more than
        the additions.
        """
        total = self._sums[name]
        assert parameter.grad is not None
        if name in self._started:
            total.add_(parameter.grad)
        else:
            total.copy_(parameter.grad)
            self._started.add(name)
            self.masters[name].grad = total
        parameter.grad = None

    def scale_gradients(self, factor: float) -> None:
        """Multiply the masters' gradients by ``factor``."""
        torch._foreach_mul_([p.grad for p in self.masters.values() if p.grad is not None], factor)

    def clear_gradients(self) -> None:
        """Forget all gradients."""
        self._started.clear()
        for parameter in (*self.masters.values(), *self.trained.values()):
            parameter.grad = None

    @torch.no_grad()
    def publish(self) -> None:
        """Round the masters into the model."""
        if self.masters is not self.trained:
            torch._foreach_copy_(list(self.trained.values()), list(self.masters.values()))

    @contextlib.contextmanager
    def lent(self, values: Mapping[str, Tensor]) -> Iterator[None]:
        """Let the model compute with ``values`` (by name, fp32) in the place of some weights; masters do not change.

        ``values`` are copied, and not held.
        """
        shared, names = self.masters is self.trained, tuple(values)
        before = {name: self.masters[name].detach().clone() for name in names} if shared else {}
        with torch.no_grad():
            for name in names:
                self.trained[name].copy_(values[name])
        del values
        try:
            yield
        finally:
            with torch.no_grad():
                for name in names:
                    self.trained[name].copy_(before[name] if shared else self.masters[name])

    def state(self) -> dict[str, Tensor]:
        """The masters by name, detached but not copied."""
        return {name: p.detach() for name, p in self.masters.items()}

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take the masters from ``state`` and publish them."""
        for name, master in self.masters.items():
            master.copy_(state[name])
        self.publish()


def not_exact(model: nn.Module, exact: Sequence[str]) -> Iterator[nn.Parameter]:
    """The weights that may be rounded: all but those named in ``exact``, by prefix."""
    for name, parameter in model.named_parameters():
        if not name.startswith(tuple(exact)) and parameter.is_floating_point():
            yield parameter


def _collected(weights: weakref.ref[Weights], name: str, parameter: Tensor) -> None:
    if (known := weights()) is not None:
        known._collect(name, parameter)


def fastest_dtype(device: torch.device) -> tuple[torch.dtype, str]:
    """bf16 where the machine multiplies it faster than fp32, and the reason in words."""
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return torch.bfloat16, "the GPU multiplies bf16 natively"
        return torch.float32, "the GPU has no bf16 products"
    found = {"amx_bf16", "avx512_bf16"} & _cpu_flags()
    if found:
        return torch.bfloat16, f"the CPU multiplies bf16 natively ({', '.join(sorted(found))})"
    return torch.float32, "the CPU has no bf16 products"


def _cpu_flags() -> set[str]:
    if platform.system() != "Linux":
        return set()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return set(flags.partition(":")[2].split())
