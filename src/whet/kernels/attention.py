"""Attention over a flat batch.

Sequences are laid into a padded table inside attention only; with batches of nearly equal length
the table holds next to no padding. Forward and backward are two batched products and a softmax:
at lengths up to a few hundred that is 2-3 times faster on a CPU than
``scaled_dot_product_attention``, whose backward recomputes and whose dropout takes a slow path.
Of causal attention without dropout torch's own form computes half of the table only; :func:`_fused` says where
it is the faster one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from whet.kernels import attention_on_gpu
from whet.kernels import dropout as byte_dropout
from whet.kernels.flat import Layout, beyond, pad, unpad

LOG2_E = 1.4426950408889634
NARROW, LONG = 32, 512
"""Widest heads, and longest sequences, for which torch's fused attention of bf16 is slower on a CPU."""
CELLS_AT_ONCE = 1 << 19
"""Of the tables of attention, where there are more than twice as many: 2 MB in fp32, which the nearer caches hold."""
FAR_BELOW = -1e30
"""Added to scores that must not count; finite, so that a row never becomes 0 / 0."""


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    where: Layout,
    scaling: float,
    causal: bool = False,
    keep: byte_dropout.ByteStream | None = None,
    chance: float = 0.0,
    window: int | None = None,
) -> Tensor:
    """Attention of each sequence to itself.

    :param query: (T, N, D); ``key`` and ``value`` (T, M, D), M dividing N (grouped heads).
    :param window: a token sees those less than so many tokens away; None: all.
    :param keep: random bytes for dropout of attention weights, with ``chance``.
    :returns: (T, N, D).
    """
    num_heads, num_groups, width = query.shape[1], key.shape[1], query.shape[2]
    if query.device.type not in ("cpu", "meta"):
        dropped = byte_dropout.threshold(chance) / 256 if keep is not None else 0.0
        return attention_on_gpu.attend(query, key, value, where, scaling, causal, dropped, window)
    if num_groups != num_heads:
        key = key.repeat_interleave(num_heads // num_groups, dim=1)
        value = value.repeat_interleave(num_heads // num_groups, dim=1)
    size, length = where.num_sequences, where.longest
    drops = keep is not None and byte_dropout.threshold(chance) > 0
    if causal and not drops and (window is None or window >= length):
        computed = _fused(query.dtype, width, length)
        if computed is not None:
            return _fused_causal(query, key, value, where, scaling, computed)
    # (B, L, N, D) to (B * N, L, D): batched products want their operands contiguous
    q, k, v = (pad(x, where).transpose(1, 2).reshape(size * num_heads, length, width) for x in (query, key, value))
    hidden = _hidden(where, num_heads, causal, window)
    cells = len(q) * length * length
    mixed: Tensor
    if cells > 2 * CELLS_AT_ONCE:
        kept = byte_dropout.kept_bytes(cells, keep, q.device) if keep is not None and drops else None
        mixed = _MixInPieces.apply(q, k, v, hidden, kept, chance, scaling)  # type: ignore[no-untyped-call]
        return unpad(mixed.view(size, num_heads, length, width).transpose(1, 2), where)
    factors = None
    if keep is not None and drops:
        table = torch.empty(len(q), length, length, dtype=accurate(query.dtype), device=q.device)
        factors = byte_dropout.keep_scale(table, chance, keep)
    mixed = _Mix.apply(q, k, v, hidden, factors, scaling)  # type: ignore[no-untyped-call]
    return unpad(mixed.view(size, num_heads, length, width).transpose(1, 2), where)


def _fused(dtype: torch.dtype, width: int, length: int) -> torch.dtype | None:
    """The kind of numbers in which torch's fused attention is faster than ours; None where it is not.

    Milliseconds forward and backward of 4,096 tokens on one thread, ours / fused in bf16 / fused in fp32: 8 heads of
    8, length 128: 28 / 83 / 15, length 512: 194 / 85 / 39; 9 heads of 64, length 512: 161 / 222 / 230, length 1,024:
    327 / 282 / 340. Fewer tokens are kinder to ours, which stay in the cache. In fp32 the fused form is never slower.
    """
    if dtype in (torch.float32, torch.float64):
        return dtype
    if width <= NARROW:
        return torch.float32
    return dtype if length > LONG else None


def _fused_causal(
    query: Tensor, key: Tensor, value: Tensor, where: Layout, scaling: float, computed: torch.dtype
) -> Tensor:
    """(T, N, D). What pads a sequence stands behind it, where none of its tokens looks."""
    q, k, v = (pad(part.to(computed), where).transpose(1, 2) for part in (query, key, value))
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling)
    return unpad(mixed.transpose(1, 2), where).to(query.dtype)


def accurate(dtype: torch.dtype) -> torch.dtype:
    """Of the softmax: float32 at least. It is faster too; torch's softmax of short bf16 rows is slow."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def _hidden(where: Layout, num_heads: int, causal: bool, window: int | None) -> Tensor | None:
    """(B * N or 1, 1 or L, L): added to scores, far below zero where a token may not look; None: anywhere.

    What pads a sequence stands behind its tokens, where causal attention does not look: there one table serves all.
    """
    order = beyond(where.longest, causal, window, where.lengths.device)
    if where.hidden is None or causal:
        return None if order is None else order * FAR_BELOW
    padding = where.hidden[:, 0].repeat_interleave(num_heads, dim=0)
    return (padding if order is None else padding | order) * FAR_BELOW


def softmax_(*tables: Tensor) -> None:
    """Softmax over the last dimensions of tables together, in place.

    Written out since torch's own takes ten times as long on a CPU where rows are short and their
    length is not a multiple of the vector width; sums are a product with ones for the same reason. The power is of
    2, since torch's exp is thirty times slower on numbers as far below zero as those of hidden places.
    """
    highest = functools.reduce(torch.maximum, (one.amax(-1, keepdim=True) for one in tables))
    for one in tables:
        one.sub_(highest).mul_(LOG2_E).exp2_()
    total = functools.reduce(torch.add, (one @ one.new_ones(one.shape[-1], 1) for one in tables))
    for one in tables:
        one.div_(total)


class _Mix(torch.autograd.Function):
    """softmax(q k^T) v over (A, L, D) tables, with the weights of attention dropped by ``factors``.

    Written out because autograd keeps three tables of weights where one is enough, and takes the
    softmax and its derivative in bf16.
    """

    @staticmethod
    def forward(ctx, q, k, v, hidden, factors, scaling):  # type: ignore[no-untyped-def]
        weights = torch.bmm(q, k.transpose(1, 2)).to(accurate(q.dtype)).mul_(scaling)
        if hidden is not None:
            weights.add_(hidden)
        softmax_(weights)
        used = (weights if factors is None else weights * factors).to(v.dtype)
        ctx.save_for_backward(q, k, v, None if factors is None else weights, factors, used)
        ctx.scaling = scaling
        return torch.bmm(used, v)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        q, k, v, weights, factors, used = ctx.saved_tensors
        grad = grad.contiguous()
        grad_v = torch.bmm(used.transpose(1, 2), grad)
        table = used.to(accurate(used.dtype)) if weights is None else weights
        by_scores = _by_scores(grad, v, table, factors, ctx.scaling)
        return torch.bmm(by_scores, k), torch.bmm(by_scores.transpose(1, 2), q), grad_v, None, None, None


class _MixInPieces(torch.autograd.Function):
    """The same, some tables at a time: of many or large ones 1.5 to 2 times as fast on a CPU.

    What dropout keeps is (A * L * L,) random bytes, of which factors are made where they are used. Without dropout the
    weights of attention are kept as they were used, in bf16 half as large.
    """

    @staticmethod
    def forward(ctx, q, k, v, hidden, kept, chance, scaling):  # type: ignore[no-untyped-def]
        kind = v.dtype if kept is None else accurate(v.dtype)
        weights = torch.empty(len(q), q.shape[1], q.shape[1], dtype=kind, device=q.device)
        mixed = torch.empty_like(v)
        for some in _pieces(weights):
            table = torch.bmm(q[some], k[some].transpose(1, 2)).to(accurate(q.dtype)).mul_(scaling)
            if hidden is not None:
                table.add_(hidden[some] if len(hidden) > 1 else hidden)
            softmax_(table)
            weights[some] = table
            factors = _factors(kept, weights, some, chance)
            used = weights[some] if factors is None else table.mul_(factors).to(v.dtype)
            torch.bmm(used, v[some], out=mixed[some])
        ctx.save_for_backward(q, k, v, weights, kept)
        ctx.options = chance, scaling
        return mixed

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        q, k, v, weights, kept = ctx.saved_tensors
        chance, scaling = ctx.options
        grad = grad.contiguous()
        by_q, by_k, by_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for some in _pieces(weights):
            table, factors = weights[some].to(accurate(v.dtype)), _factors(kept, weights, some, chance)
            used = weights[some] if factors is None else (table * factors).to(v.dtype)
            torch.bmm(used.transpose(1, 2), grad[some], out=by_v[some])
            by_scores = _by_scores(grad[some], v[some], table, factors, scaling)
            torch.bmm(by_scores, k[some], out=by_q[some])
            torch.bmm(by_scores.transpose(1, 2), q[some], out=by_k[some])
        return by_q, by_k, by_v, None, None, None, None


def _by_scores(grad: Tensor, v: Tensor, weights: Tensor, factors: Tensor | None, scaling: float) -> Tensor:
    """(A, L, L) of the kind of ``v``: the slope by the products of queries and keys, through dropout and softmax."""
    found = torch.bmm(grad, v.transpose(1, 2)).to(weights.dtype)
    if factors is not None:
        found.mul_(factors)
    found.mul_(weights)  # softmax: w * (g - sum(w * g)) = w * g - w * sum(w * g)
    return found.addcmul_(weights, found.sum(-1, keepdim=True), value=-1).mul_(scaling).to(v.dtype)


def _pieces(weights: Tensor) -> Iterator[slice]:
    """Places of (A, L, L) tables, so many at a time that they stay in the cache."""
    each = max(1, CELLS_AT_ONCE // (weights.shape[1] * weights.shape[2]))
    for start in range(0, len(weights), each):
        yield slice(start, start + each)


def _factors(kept: Tensor | None, weights: Tensor, some: slice, chance: float) -> Tensor | None:
    """Those of dropout for some tables."""
    if kept is None:
        return None
    return byte_dropout.factors_of(kept.view(weights.shape)[some], chance, weights.dtype)


def reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    where: Layout,
    scaling: float,
    causal: bool = False,
    window: int | None = None,
) -> Tensor:
    """The same, one sequence after the other and without tricks."""
    repeat = query.shape[1] // key.shape[1]
    results = []
    for start, length in zip(where.starts.tolist(), where.lengths.tolist(), strict=True):
        q, k, v = (x[start : start + length].transpose(0, 1) for x in (query, key, value))
        k, v = k.repeat_interleave(repeat, 0), v.repeat_interleave(repeat, 0)
        weights = q @ k.transpose(1, 2) * scaling
        if causal:
            weights = weights + torch.full((length, length), -torch.inf, dtype=weights.dtype).triu(1)
        if window is not None:
            places = torch.arange(length)
            weights = weights.masked_fill((places[:, None] - places[None, :]).abs() >= window, -torch.inf)
        results.append((weights.softmax(-1) @ v).transpose(0, 1))
    return torch.cat(results)
