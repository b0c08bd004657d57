"""Causal attention of sequences that all begin with the same tokens, which are there once.

The beginning looks at itself once, and each sequence behind it at the beginning and at itself: P (P + R) pairs of
tokens and those within the sequences, in the place of (P + L)^2 for each of them. Keys and values of the beginning
are multiplied with the queries of all sequences in one product a head, forward and backward.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whet.kernels.attention import FAR_BELOW, accurate, attend, softmax_
from whet.kernels.flat import Common, pad, unpad


def attend_behind(query: Tensor, key: Tensor, value: Tensor, common: Common, scaling: float) -> Tensor:
    """As :func:`whet.kernels.attention.attend` of every sequence written out, causal and without dropout.

    :param query: (T, N, D); ``key`` and ``value`` (T, M, D), M dividing N (grouped heads), of the T tokens that are
        there.
    :returns: (T, N, D).
    """
    first = [part.index_select(0, common.first) for part in (query, key, value)]
    begun = attend(first[0], first[1], first[2], common.alone, scaling, causal=True)
    repeat = query.shape[1] // key.shape[1]
    rest = [part.index_select(0, common.rest) for part in (query, key, value)]
    if repeat > 1:
        first[1:], rest[1:] = ([part.repeat_interleave(repeat, 1) for part in some[1:]] for some in (first, rest))
    # (B, L, N, D) to (N, B, L, D): a head's sequences lie one behind the other
    q, k, v = (pad(part, common.behind).permute(2, 0, 1, 3).contiguous() for part in rest)
    early = (part.transpose(0, 1).contiguous() for part in first[1:])
    mixed: Tensor = _Behind.apply(q, k, v, *early, scaling)  # type: ignore[no-untyped-call]
    behind = unpad(mixed.permute(1, 2, 0, 3), common.behind)
    return torch.cat((begun, behind)).index_select(0, common.back)


class _Behind(torch.autograd.Function):
    """softmax(q [early, own]^T) [early, own] of queries (N, B, L, D); own keys (N, B, L, D), early ones (N, P, D).

    What pads a sequence stands behind it, where none of its tokens looks.
    """

    @staticmethod
    def forward(ctx, q, k, v, early_k, early_v, scaling):  # type: ignore[no-untyped-def]
        heads, size, length, width = q.shape
        one_by_one, together = (heads * size, length, width), (heads, size * length, width)
        dtype = accurate(q.dtype)
        own = torch.bmm(q.view(one_by_one), k.view(one_by_one).transpose(1, 2)).to(dtype).mul_(scaling)
        own.add_(torch.full((length, length), FAR_BELOW, dtype=dtype, device=q.device).triu_(1))
        early = torch.bmm(q.view(together), early_k.transpose(1, 2)).to(dtype).mul_(scaling)
        softmax_(own.view(heads, size * length, length), early)
        used = own.to(q.dtype), early.to(q.dtype)
        ctx.save_for_backward(q, k, v, early_k, early_v, own, early, *used)
        ctx.scaling = scaling
        mixed = torch.bmm(used[1], early_v)
        mixed.add_(torch.bmm(used[0], v.view(one_by_one)).view(together))
        return mixed.view(q.shape)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        q, k, v, early_k, early_v, own, early, used_own, used_early = ctx.saved_tensors
        heads, size, length, width = q.shape
        one_by_one, together = (heads * size, length, width), (heads, size * length, width)
        grad = grad.contiguous()
        grad_v = torch.bmm(used_own.transpose(1, 2), grad.view(one_by_one)).view(v.shape)
        grad_early_v = torch.bmm(used_early.transpose(1, 2), grad.view(together))
        by_own = torch.bmm(grad.view(one_by_one), v.view(one_by_one).transpose(1, 2)).to(own.dtype).mul_(own)
        by_early = torch.bmm(grad.view(together), early_v.transpose(1, 2)).to(early.dtype).mul_(early)
        # softmax: w * (g - sum(w * g)), the sum being over both
        sums = by_own.sum(-1, keepdim=True).view(heads, size * length, 1) + by_early.sum(-1, keepdim=True)
        by_own.addcmul_(own, sums.view(heads * size, length, 1), value=-1).mul_(ctx.scaling)
        by_early.addcmul_(early, sums, value=-1).mul_(ctx.scaling)
        own_scores, early_scores = by_own.to(q.dtype), by_early.to(q.dtype)
        grad_q = torch.bmm(early_scores, early_k)
        grad_q.add_(torch.bmm(own_scores, k.view(one_by_one)).view(together))
        grad_k = torch.bmm(own_scores.transpose(1, 2), q.view(one_by_one)).view(k.shape)
        grad_early_k = torch.bmm(early_scores.transpose(1, 2), q.view(together))
        return grad_q.view(q.shape), grad_k, grad_v, grad_early_k, grad_early_v, None
