"""Dropout whose masks cost next to nothing on a CPU.

``bernoulli_`` draws element after element: 10 % of a training step. Here one call of a
counter-free generator fills a pool with random bytes, and a mask is a comparison with a
threshold. The chance to drop is therefore a multiple of 1/256 (0.1 becomes 26/256 = 0.1016) and
the survivors are scaled by exactly that chance, so the expectation is unchanged.

The pool belongs to a step, not to a layer: its seed is (seed, step), and a resumed run draws the
same masks without saving any generator state.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

_CHUNK_BYTES = 1 << 20


class ByteStream:
    """An endless stream of random bytes, reseeded at every micro-batch."""

    def __init__(self, seed: int = 0) -> None:
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the stream of ``seed`` (63 bits) from its beginning."""
        self._bits = np.random.SFC64(seed)
        self._pool = torch.empty(0, dtype=torch.uint8)
        self._used = 0

    def take(self, num_bytes: int) -> Tensor:
        """(num_bytes,) uint8."""
        if self._used + num_bytes > self._pool.numel():
            size = max(num_bytes, _CHUNK_BYTES)
            self._pool = torch.from_numpy(self._bits.random_raw((size + 7) // 8).view(np.uint8))
            self._used = 0
        start, self._used = self._used, self._used + num_bytes
        return self._pool[start : self._used]


def threshold(chance: float) -> int:
    """The byte value below which an element is dropped: ``chance`` in 256ths, never all of them."""
    return min(255, round(chance * 256))


def keep_scale(like: Tensor, chance: float, stream: ByteStream) -> Tensor:
    """A tensor shaped as ``like``: 0 where dropped, 1 / (1 - chance) where kept.

    On a CPU the factors are made by NumPy out of bit patterns: torch compares bytes and converts
    booleans one by one, which took ten times as long (docs/log.md).
    """
    if like.device.type != "cpu":
        return _kept_elsewhere(like, chance).to(like.dtype).mul_(kept_scale(chance))
    ones = _drawn_ones(stream.take(like.numel()), chance).reshape(like.shape)
    return _factors(ones, chance, like.dtype)


def kept_scale(chance: float) -> float:
    """What those that are kept are multiplied by."""
    return 256 / (256 - threshold(chance))


def kept_ones(like: Tensor, chance: float, stream: ByteStream) -> Tensor:
    """int8 shaped as ``like``: 1 where an element is kept, 0 where it is dropped.

    Another form of :func:`keep_scale`, without the scale: with the bits of an element as a whole number, a product
    with them drops it, in less than half the time of a product in bf16.
    """
    if like.device.type != "cpu":
        return _kept_elsewhere(like, chance).to(torch.int8)
    return torch.from_numpy(_drawn_ones(stream.take(like.numel()), chance)).view(like.shape)


def only(kept: Tensor, values: Tensor) -> Tensor:
    """``values`` where ``kept`` (of :func:`kept_ones`) says so, else 0; of bits, so that 0 is left of infinity too."""
    return values.view(_INTEGERS[values.element_size()]).mul(kept).view(values.dtype)


def only_(kept: Tensor, values: Tensor) -> Tensor:
    """:func:`only` in place: ``values`` are nobody else's."""
    values.view(_INTEGERS[values.element_size()]).mul_(kept)
    return values


def packed(kept: Tensor) -> Tensor:
    """(n / 8,) uint8: what :func:`kept_ones` made, a bit for each on a CPU, to be kept for a backward pass.

    Elsewhere it stays as it is, and a rehearsal, which does not know for whom it is, counts bytes.
    """
    return torch.from_numpy(np.packbits(kept.numpy())) if kept.device.type == "cpu" else kept


def unpacked(kept: Tensor, like: Tensor) -> Tensor:
    """What :func:`packed` was made of, shaped as ``like``."""
    if kept.device.type != "cpu":
        return kept
    return torch.from_numpy(np.unpackbits(kept.numpy(), count=like.numel()).view(np.int8)).view(like.shape)


def kept_bytes(number: int, stream: ByteStream, device: torch.device) -> Tensor:
    """(number,) uint8, of which :func:`factors_of` makes factors; on the meta device without values."""
    return stream.take(number) if device.type == "cpu" else torch.empty(number, dtype=torch.uint8, device=device)


def factors_of(drawn: Tensor, chance: float, dtype: torch.dtype) -> Tensor:
    """Factors of dropout out of random bytes of the same shape: 0 where dropped, 1 / (1 - chance) where kept."""
    if drawn.device.type != "cpu":
        return (drawn >= threshold(chance)).to(dtype).mul_(kept_scale(chance))
    return _factors((drawn.numpy() >= threshold(chance)).view(np.int8), chance, dtype)


def _factors(ones: NDArray[np.int8], chance: float, dtype: torch.dtype) -> Tensor:
    pattern = _pattern(chance, dtype)
    return torch.from_numpy(np.multiply(ones, pattern, dtype=pattern.dtype)).view(dtype)


@functools.cache
def _pattern(chance: float, dtype: torch.dtype) -> NDArray[Any]:
    """The bits of the factor of those that are kept, as one whole number."""
    found: NDArray[Any] = torch.tensor(kept_scale(chance), dtype=dtype).view(_INTEGERS[dtype.itemsize]).numpy()
    return found


def _drawn_ones(drawn: Tensor, chance: float) -> NDArray[np.int8]:
    """1 where random bytes say that an element is kept, else 0, in the place of the bytes: each is taken once."""
    found = drawn.numpy()
    np.greater_equal(found, threshold(chance), out=found.view(np.bool_))
    return found.view(np.int8)


def _kept_elsewhere(like: Tensor, chance: float) -> Tensor:
    """Booleans shaped as ``like``, drawn by its device, which is no CPU."""
    return torch.rand_like(like, dtype=torch.float32) >= threshold(chance) / 256


_INTEGERS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""As wide as floats of so many bytes: 0 is the bit pattern of 0.0 in all."""


class ByteDropout(nn.Module):
    """Takes the place of ``nn.Dropout`` in a model on the CPU."""

    def __init__(self, chance: float, stream: ByteStream) -> None:
        super().__init__()
        self.p = chance  # the name under which attention modules of transformers read it
        self.stream = stream

    def forward(self, inputs: Tensor) -> Tensor:
        """Same shape; unchanged outside training."""
        if not self.training or threshold(self.p) == 0:
            return inputs
        if inputs.device.type not in ("cpu", "meta"):  # a GPU draws as it multiplies
            return functional.dropout(inputs, threshold(self.p) / 256)
        return inputs * keep_scale(inputs, self.p, self.stream)


def install(model: nn.Module, stream: ByteStream) -> int:
    """Replace every ``nn.Dropout`` below ``model``; returns how many."""
    count = 0
    for parent in model.modules():
        for name, child in parent.named_children():
            if type(child) is nn.Dropout:
                setattr(parent, name, ByteDropout(child.p, stream).train(child.training))
                count += 1
    return count
