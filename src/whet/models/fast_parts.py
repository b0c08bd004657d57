"""Parts of a model that have a faster form while it learns, each held against its own way before it is taken."""

from __future__ import annotations

import torch

from whet.kernels.token_loss import token_loss
from whet.models import fused_lora, fused_norms
from whet.models.task_model import TaskModel

TOLERANCE = 1e-4
"""Largest difference, beside the largest number there is, at which a loss and its slopes count as the same in fp32."""


def take(model: TaskModel, adapter: bool) -> None:
    """Have norms, and the layers of an ``adapter``, computed in one function each, and a loss without all logits.

    ``model.declined`` says which answered otherwise, and stay as they are.
    """
    declined = list[str]()
    if adapter:
        fused_lora.fuse(model, declined.append)
    fused_norms.fuse(model, declined.append)
    if model.guesses is not None and not _loss_is_the_same(model):
        declined.append("a loss without the table of all logits differs from the one with it, which is used")
        model.whole_logits = True
    model.declined = tuple(declined)


def _loss_is_the_same(model: TaskModel) -> bool:
    """Whether both forms give the same loss of three tokens, and the same slopes of what the last layer sees."""
    weight, bias = model.linear_head.weight.detach(), model.logit_bias
    if weight.is_meta:
        return True
    seen = torch.linspace(-1, 1, 3 * weight.shape[1], device=weight.device).view(3, -1)
    targets, counts = torch.arange(3, device=weight.device) % len(weight), torch.tensor([1.0, 0.5, 2.0])
    found = []
    for whole in (False, True):
        features = seen.clone().requires_grad_()
        shift = None if bias is None else bias.detach()
        loss = token_loss(features, weight, shift, targets, counts, model.logit_cap, whole=whole)
        (slopes,) = torch.autograd.grad(loss, features)
        found.append(torch.cat((loss.detach().view(1), slopes.flatten())))
    ours, plain = found
    return bool((ours - plain).abs().max() <= TOLERANCE * plain.abs().max().clamp(min=1.0))
