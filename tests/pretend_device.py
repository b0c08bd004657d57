"""A second device that is none: its tensors lie in the memory of the processor, and mix with no others.

What whet does on a GPU cannot be run where there is none; that nothing is left behind on the processor can. This device
computes by the processor's own operations and refuses, as CUDA does, tensors of two devices in one operation. It has no
kernel of its own for attention. To be used in a process of its own: it cannot be taken back.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

NAME = "pretend"
aten = torch.ops.aten
MAY_MIX = {aten.copy_.default, aten._to_copy.default, aten._copy_from.default}
TAKES_PLACES = {
    *(aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default),
    *(aten._unsafe_index.Tensor,),
}
"""Places may lie on the processor, as on CUDA."""


class Pretend(torch.Tensor):
    """A tensor of the device, with the one of the processor that holds its numbers."""

    raw: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw: torch.Tensor, requires_grad: bool = False) -> Pretend:
        found: Any = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=torch.device(NAME, 0),
            requires_grad=requires_grad,
        )
        found.raw = raw
        return found  # type: ignore[no-any-return]

    @property
    def data(self) -> Pretend:  # type: ignore[override]
        """As of any tensor: the same numbers, without a graph."""
        return Pretend(self.raw.detach())

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        torch.Tensor.data.__set__(self, value)  # type: ignore[attr-defined]
        self.raw = _raw(value)

    def tolist(self) -> Any:
        """As of a tensor on CUDA."""
        return self.raw.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, dict(kwargs or {}))


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    given: list[torch.Tensor] = []
    tree_map(lambda one: given.append(one) if isinstance(one, torch.Tensor) else None, (args, kwargs))
    ours = [one for one in given if isinstance(one, Pretend)]
    _refuse_mixed(func, given)
    wanted = kwargs.get("device")
    if wanted is not None:
        kwargs["device"] = torch.device("cpu")
    kwargs.pop("pin_memory", None)
    found = func(*tree_map(_raw, args), **tree_map(_raw, kwargs))
    if wanted is not None and torch.device(wanted).type == "cpu":
        return found
    if func._schema.is_mutable and isinstance(args[0] if args else None, torch.Tensor) and _writes_first(func):
        return args[0]
    return tree_map(lambda one: _wrapped(one, ours), found)


def _writes_first(func: Any) -> bool:
    first = func._schema.arguments[0]
    return first.alias_info is not None and first.alias_info.is_write


def _refuse_mixed(func: Any, given: list[torch.Tensor]) -> None:
    if func in MAY_MIX:
        return
    strange = [one for one in given if not isinstance(one, Pretend) and one.dim() > 0]
    if func in TAKES_PLACES:
        strange = [one for one in strange if one.dtype not in (torch.int64, torch.bool)]
    if strange:
        shapes = [tuple(one.shape) for one in strange]
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {shapes} of the processor")


def _raw(one: Any) -> Any:
    return one.raw if isinstance(one, Pretend) else one


def _wrapped(one: Any, ours: list[Pretend]) -> Any:
    if not isinstance(one, torch.Tensor):
        return one
    known = next((known for known in ours if known.raw is one), None)
    return Pretend(one) if known is None else known


class _Module:
    """What torch asks of the module of a device."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def manual_seed_all(self, seed: int) -> None:
        pass

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        torch.set_rng_state(state)

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def _without_gradients(mode: Any = True) -> Any:
    """Takes the place of ``inference_mode``, of which tensors of Python know nothing."""
    if callable(mode):
        return torch.no_grad()(mode)
    return torch.no_grad() if mode else torch.enable_grad()


def install() -> torch.device:
    """Make the device known to torch, for the rest of this process."""
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    library = torch.library.Library("aten", "IMPL")

    def empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> Pretend:
        return Pretend(torch.empty(size, dtype=dtype, memory_format=memory_format))

    def empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> Pretend:
        return Pretend(torch.empty_strided(size, stride, dtype=dtype))

    def made(func: Any) -> Any:
        """Of an operation that makes a tensor and finds out how large it is."""

        def make(*args: Any, device: Any = None, pin_memory: Any = None, **more: Any) -> Pretend:
            return Pretend(func(*args, device=torch.device("cpu"), **more))

        return make

    for name in ("arange", "arange.start", "arange.start_step", "eye", "eye.m", "randperm", "linspace"):
        packet, _, overload = name.partition(".")
        library.impl(name, made(getattr(getattr(aten, packet), overload or "default")), "PrivateUse1")

    def copy_from(given: Any, to: Any, non_blocking: bool = False) -> Any:
        _raw(to).copy_(_raw(given))
        return to

    library.impl("_copy_from", copy_from, "PrivateUse1")
    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    _KEPT.append(library)
    torch.inference_mode = _without_gradients  # type: ignore[misc,assignment]
    return torch.device(NAME)


_KEPT: list[Any] = []
"""Whoever lets go of a library takes its kernels back."""


def take_over() -> None:
    """As if the device were the GPU of this machine."""
    from whet.engine import devices
    from whet.kernels import bandwidth, ceiling

    device = install()
    devices.accelerator = lambda: device
    devices.free_bytes = lambda _: 1 << 33
    devices.name_of = lambda _: "no real one"
    ceiling.measure = bandwidth.measure = lambda *_, **__: 1e9
