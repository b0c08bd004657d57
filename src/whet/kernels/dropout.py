"""Dropout whose masks cost next to nothing on a CPU.

``bernoulli_`` draws element after element: 10 % of a training step. Here one call of a
counter-free generator fills a pool with random bytes, and a mask is a comparison with a
threshold. The chance to drop is therefore a multiple of 1/256 (0.1 becomes 26/256 = 0.1016) and
the survivors are scaled by exactly that chance, so the expectation is unchanged.

The pool belongs to a step, not to a layer: its seed is (seed, step), and a resumed run draws the
same masks without saving any generator state.
"""

from __future__ import annotations

import numpy as np
import torch
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
    cut = threshold(chance)
    scale = 256 / (256 - cut)
    if like.device.type != "cpu":
        return (torch.rand_like(like, dtype=torch.float32) >= cut / 256).to(like.dtype).mul_(scale)
    kept = stream.take(like.numel()).numpy() >= cut
    bits = _BITS.get(like.dtype)
    if bits is None:
        return torch.from_numpy(kept).view(like.shape).to(like.dtype).mul_(scale)
    pattern = torch.tensor(scale, dtype=like.dtype).view(bits[0]).numpy().astype(bits[1])
    factors = np.multiply(kept.view(np.uint8), pattern, dtype=bits[1])
    return torch.from_numpy(factors).view(like.dtype).view(like.shape)


_BITS: dict[torch.dtype, tuple[torch.dtype, type[np.unsignedinteger]]] = {
    torch.bfloat16: (torch.int16, np.uint16),
    torch.float32: (torch.int32, np.uint32),
}
"""Integers as wide as a float: 0 is the bit pattern of 0.0 in both."""


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
