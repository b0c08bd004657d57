"""A training step without numbers: how much memory it would take and how many operations it is.

The real code runs on the meta device, which knows shapes and no values. Every tensor that comes into being is
counted until it is let go, so that the peak is that of the very step that will be taken: what autograd keeps for
the backward pass, gradients, moments and what is there for a moment only. Nothing is written down twice, and a
family, a head or an adaptation that is added is known at once. :mod:`whet.models.footprint` puts a model's parts
together; tests compare both with sums worked out by hand.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

META = torch.device("meta")


class Rehearsal(TorchDispatchMode):
    """Counts bytes and operations of what runs inside it on the meta device.

    Tensors on the CPU, such as token ids and where sequences lie, keep their values, so that whatever the code
    decides by them is decided. A number that is read off a meta tensor is 1.

    - ``held``: bytes there now; ``peak``: most of them at one time.
    - ``flops``: of products of matrices, sums and products counted apart.
    - ``moved``: bytes that operations read and wrote, whatever a cache kept of them.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.held = self.peak = 0
        self.flops = self.moved = 0
        self._sizes: dict[int, int] = {}
        self._watchers: dict[int, Any] = {}
        self._fused = _FusedAttention()

    def __enter__(self) -> Rehearsal:
        self._fused.__enter__()  # type: ignore[no-untyped-call]
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._fused.__exit__(*error)  # type: ignore[no-untyped-call]

    def hold(self, tensors: Iterable[Tensor]) -> None:
        """Count tensors that were there before."""
        for tensor in tensors:
            self._see(tensor)

    def start_anew(self) -> None:
        """Forget the peak but for what is there now, and what was counted."""
        self.peak = self.held
        self.flops = self.moved = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        leaves, _ = tree_flatten((args, kwargs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if not any(one.is_meta for one in tensors):
            if func is _TO_COPY and tensors[0].dtype in _PLACES:
                kwargs = {**kwargs, "device": tensors[0].device}  # its values are asked for later
            if func._overloadpacket in _MADE and kwargs.get("device") == META and _says_places(func, args, kwargs):
                kwargs = {**kwargs, "device": torch.device("cpu")}
            found = func(*args, **kwargs)
        elif func is torch.ops.aten._local_scalar_dense.default:
            return 1.0 if tensors[0].is_floating_point() else 1
        else:
            if func in _INDEXED:
                args = (args[0], [place for one in args[1] for place in _numbers(one)], *args[2:])
            if not all(one.is_meta for one in tensors):
                args, kwargs = tree_map(_without_values, (args, kwargs))
            if func is _TO_COPY:
                kwargs = {**kwargs, "device": META}  # there is nothing that could be brought to another device
            found = func(*args, **kwargs)
            self.flops += _flops(func, args, kwargs, found)
            if not func.is_view:
                self.moved += sum(one.nbytes for one in tensors) + _nbytes(found)
        for leaf in tree_flatten(found)[0]:
            if isinstance(leaf, Tensor):
                self._see(leaf)
        return found

    def _see(self, tensor: Tensor) -> None:
        if not tensor.is_meta:
            return
        storage = tensor.untyped_storage()
        key = id(storage)
        if key in self._watchers and self._watchers[key]() is storage:
            return
        size = storage.nbytes()
        self._sizes[key] = size
        self._watchers[key] = weakref.ref(storage, lambda _, key=key: self._gone(key))  # type: ignore[misc]
        self.held += size
        self.peak = max(self.peak, self.held)

    def _gone(self, key: int) -> None:
        self.held -= self._sizes.pop(key)
        del self._watchers[key]


class _FusedAttention(TorchFunctionMode):
    """Attention as a CPU or a GPU takes it: without the table of weights, where nothing of it is dropped."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention:
            found = _fused(*args, **kwargs)
            if found is not None:
                return found
        return func(*args, **kwargs)


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor | None:
    wanted = attn_mask is not None and attn_mask.requires_grad
    if query.device != META or dropout_p or wanted or query.shape[-1] != value.shape[-1]:
        return None
    if enable_gqa and query.shape[1] != key.shape[1]:
        key, value = (part.repeat_interleave(query.shape[1] // part.shape[1], 1) for part in (key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros(attn_mask.shape, dtype=query.dtype, device=META)
    attend = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return attend(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]  # type: ignore[no-any-return]


_TO_COPY = torch.ops.aten._to_copy.default
_PLACES = (torch.bool, torch.int32, torch.int64)
"""Kinds of numbers that say where something stands."""
_MADE = (
    torch.ops.aten.arange,
    torch.ops.aten.zeros,
    torch.ops.aten.ones,
    torch.ops.aten.full,
    torch.ops.aten.empty,
)
"""What makes tensors out of nothing."""
_INDEXED = (
    torch.ops.aten.index.Tensor,
    torch.ops.aten.index_put.default,
    torch.ops.aten.index_put_.default,
    torch.ops.aten._index_put_impl_.default,
)


def _numbers(index: Any) -> list[Any]:
    """Places of a mask whose values are known, since how many there are decides the shape of what follows."""
    if isinstance(index, Tensor) and index.device != META and index.dtype == torch.bool:
        return list(index.nonzero().t())
    return [index]


def _says_places(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether what is made are whole numbers or truths, which keep their values."""
    if kwargs.get("dtype") is not None:
        return kwargs["dtype"] in _PLACES
    given = args if func._overloadpacket is torch.ops.aten.arange else args[1:2]
    return bool(given) and all(isinstance(one, int) for one in given)


def _without_values(leaf: Any) -> Any:
    return leaf.to(META) if isinstance(leaf, Tensor) and leaf.device != META and leaf.ndim else leaf


def _flops(func: Any, args: Any, kwargs: Any, out: Any) -> int:
    from torch.utils.flop_counter import flop_registry

    count = flop_registry.get(func._overloadpacket)
    return 0 if count is None else int(count(*args, **kwargs, out_val=out))


def _nbytes(found: Any) -> int:
    return sum(leaf.nbytes for leaf in tree_flatten(found)[0] if isinstance(leaf, Tensor))
