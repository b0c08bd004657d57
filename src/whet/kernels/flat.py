"""Where the sequences of a flat batch lie.

A flat batch is one row of T tokens: sequence after sequence, no padding. Everything that works
token by token (linear layers, norms, activations) never sees a pad token. Only attention and
pooling need to know the boundaries, and take them from here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Spread:
    """How attention sees a batch in which some tokens stand once that several sequences begin with.

    - ``where``: the layout of all sequences, each written out.
    - ``into`` (T',) int64: for each token written out, where it stands in the batch; ``back`` (T,) the other way.
    - ``common``: where all sequences begin alike, the same as a beginning and what is behind it; else None.
    """

    where: Layout
    into: Tensor
    back: Tensor
    common: Common | None = None

    def to(self, device: torch.device) -> Spread:
        """The same on another device."""
        common = None if self.common is None else self.common.to(device)
        return Spread(self.where.to(device), self.into.to(device), self.back.to(device), common)


@dataclass(frozen=True, slots=True)
class Common:
    """Sequences that all begin with the same P tokens, which stand in the batch once.

    - ``first`` (P,) int64: where the beginning stands in the batch, and ``alone`` its layout as one sequence.
    - ``rest`` (R,) int64: where the tokens behind it stand, and ``behind`` the layout of them, a sequence each.
    - ``back`` (T,) int64: where each token of the batch stands among the P + R.
    """

    first: Tensor
    alone: Layout
    rest: Tensor
    behind: Layout
    back: Tensor

    def to(self, device: torch.device) -> Common:
        """The same on another device."""
        first, rest, back = (part.to(device) for part in (self.first, self.rest, self.back))
        return Common(first, self.alone.to(device), rest, self.behind.to(device), back)


@dataclass(frozen=True, slots=True)
class Layout:
    """Boundaries of B sequences in a flat batch of T tokens.

    - ``lengths`` (B,) int64, ``starts`` (B,) int64, ``longest`` the largest length.
    - ``slots`` (T,) int64: where each token goes in a padded (B * longest) table;
      None when all lengths are equal, since then the flat batch is that table.
    - ``hidden`` (B, 1, 1, longest) bool: True on the pad columns of that table; None likewise.
    - ``spread``: of a batch in which beginnings are shared, the sequences that attention is computed over.
    - ``extra``: tokens behind the last sequence that belong to none, see :func:`filled`. Nothing looks at them.
    """

    lengths: Tensor
    starts: Tensor
    longest: int
    slots: Tensor | None
    hidden: Tensor | None
    spread: Spread | None = None
    extra: int = 0

    @property
    def num_sequences(self) -> int:
        """B."""
        return int(self.lengths.shape[0])

    @property
    def num_tokens(self) -> int:
        """T."""
        return int(self.starts[-1] + self.lengths[-1])

    def positions(self) -> Tensor:
        """(1, T) int64: 0, 1, 2, ... starting again at each sequence."""
        starts = torch.repeat_interleave(self.starts, self.lengths)
        return (torch.arange(starts.shape[0], device=starts.device) - starts).unsqueeze(0)

    def bounds(self) -> Tensor:
        """(B + 1,) int32: where each sequence begins, and where the last one ends."""
        ends = (self.starts + self.lengths).to(torch.int32)
        return functional.pad(ends, (1, 0))

    def to(self, device: torch.device) -> Layout:
        """The same layout on another device."""
        if self.lengths.device == device:
            return self
        return Layout(
            self.lengths.to(device, non_blocking=True),
            self.starts.to(device, non_blocking=True),
            self.longest,
            None if self.slots is None else self.slots.to(device, non_blocking=True),
            None if self.hidden is None else self.hidden.to(device, non_blocking=True),
            None if self.spread is None else self.spread.to(device),
            self.extra,
        )


def layout(lengths: Tensor) -> Layout:
    """The layout of sequences of ``lengths`` (B,) laid one after the other.

    :raises ValueError: no sequence, or an empty one.
    """
    if lengths.numel() == 0 or int(lengths.min()) < 1:
        raise ValueError(f"a flat batch needs sequences of at least one token, got lengths {lengths.tolist()}")
    lengths = lengths.to(torch.int64)
    ends = lengths.cumsum(0)
    starts = ends - lengths
    longest = int(lengths.max())
    if int(lengths.min()) == longest:
        return Layout(lengths, starts, longest, None, None)
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    columns = torch.arange(int(ends[-1]), device=lengths.device) - starts[rows]
    hidden = torch.arange(longest, device=lengths.device)[None, :] >= lengths[:, None]
    return Layout(lengths, starts, longest, rows * longest + columns, hidden[:, None, None, :])


FINEST = 5
"""Bits of a number of tokens that count: batches of 512 to 1,023 tokens come in 16 sizes."""


def filled(where: Layout) -> Layout:
    """The same sequences, and tokens behind them that fill the batch up to one of few sizes.

    A CPU's products of bf16 are compiled for their very shape: some 30 ms for every number of tokens that was not
    there before, a fifth of the time of a training on short texts (docs/log.md). Few sizes are compiled once; what is
    filled up is 3 % on average.
    """
    step = 1 << max(0, where.num_tokens.bit_length() - FINEST)
    return replace(where, extra=-where.num_tokens % step)


def beyond(length: int, causal: bool, window: int | None, device: torch.device) -> Tensor | None:
    """(1, L, L): True where the order of tokens or their distance forbids a look; None: nowhere."""
    if window is not None and window >= length:
        window = None
    if not causal and window is None:
        return None
    anywhere = torch.ones(length, length, dtype=torch.bool, device=device)
    hidden = anywhere.triu(1) if causal else torch.zeros_like(anywhere)
    if window is not None:
        hidden = hidden | anywhere.tril(-window) | anywhere.triu(window)
    return hidden.unsqueeze(0)


class _Pad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, flat: Tensor, slots: Tensor, num_slots: int) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(slots)
        ctx.extra = len(flat) - len(slots)
        padded = flat.new_zeros((num_slots, *flat.shape[1:]))
        padded.index_copy_(0, slots, flat[: len(slots)])
        return padded

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        (slots,) = ctx.saved_tensors
        return _selected(grad, slots, ctx.extra), None, None


class _Unpad(torch.autograd.Function):
    @staticmethod
    def forward(ctx, padded: Tensor, slots: Tensor, extra: int) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(slots)
        ctx.num_slots = padded.shape[0]
        return _selected(padded, slots, extra)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        (slots,) = ctx.saved_tensors
        padded = grad.new_zeros((ctx.num_slots, *grad.shape[1:]))
        padded.index_copy_(0, slots, grad[: len(slots)])
        return padded, None, None


def _selected(table: Tensor, rows: Tensor, extra: int) -> Tensor:
    """(k + extra, ...): ``rows`` (k,) of the table, and zeros behind them."""
    if not extra:
        return table.index_select(0, rows)
    found = table.new_empty((len(rows) + extra, *table.shape[1:]))
    torch.index_select(table, 0, rows, out=found[: len(rows)])
    found[len(rows) :] = 0
    return found


def zeros_behind(flat: Tensor, extra: int) -> Tensor:
    """(T, ...) to (T + extra, ...): what fills a batch up sees nothing."""
    return torch.cat((flat, flat.new_zeros((extra, *flat.shape[1:])))) if extra else flat


def pad(flat: Tensor, where: Layout) -> Tensor:
    """(T + extra, ...) to (B, longest, ...), zeros where there is no token."""
    shape = (where.num_sequences, where.longest, *flat.shape[1:])
    if where.slots is None:
        return (flat[: -where.extra] if where.extra else flat).reshape(shape)
    padded: Tensor = _Pad.apply(flat, where.slots, shape[0] * shape[1])  # type: ignore[no-untyped-call]
    return padded.view(shape)


def unpad(padded: Tensor, where: Layout) -> Tensor:
    """(B, longest, ...) back to (T + extra, ...), zeros behind the last sequence: the inverse of :func:`pad`."""
    table = padded.reshape(where.num_sequences * where.longest, *padded.shape[2:])
    if where.slots is None:
        return zeros_behind(table, where.extra)
    flat: Tensor = _Unpad.apply(table, where.slots, where.extra)  # type: ignore[no-untyped-call]
    return flat


def mean(flat: Tensor, where: Layout) -> Tensor:
    """(T, H) to (B, H): the mean of each sequence's rows, summed in float32.

    A product with a (B, T) table of weights: one matrix product forward, one backward.
    """
    weights = torch.zeros(where.num_sequences, where.num_tokens, dtype=torch.float32, device=flat.device)
    rows = torch.repeat_interleave(torch.arange(where.num_sequences, device=flat.device), where.lengths)
    weights[rows, torch.arange(where.num_tokens, device=flat.device)] = (1.0 / where.lengths)[rows]
    return weights @ flat.float()


def first(flat: Tensor, where: Layout) -> Tensor:
    """(T, H) to (B, H): each sequence's first row ([CLS])."""
    return flat.index_select(0, where.starts)


def last(flat: Tensor, where: Layout) -> Tensor:
    """(T, H) to (B, H): each sequence's last row."""
    return flat.index_select(0, where.starts + where.lengths - 1)
