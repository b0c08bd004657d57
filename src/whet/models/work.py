"""How much matrix work a step of training is: what MFU is counted from."""

from __future__ import annotations

from torch import nn

from whet.models.classifier import TextClassifier


def flops_per_token(model: TextClassifier, mean_length: float) -> float:
    """Of one training step, forward and backward, in products and sums counted apart.

    Linear layers: 2 forward, 2 for the gradient of the input, 2 for that of the weight where it
    moves; attention: two products of every pair of tokens, forward and twice backward. The layer
    nearest to the input needs no gradient of its input; that is neglected, as everybody does.
    """
    linear = [
        m
        for n, m in model.network.named_modules()
        if isinstance(m, nn.Linear) and "pooler" not in n and m is not model.head
    ]
    weights = sum((6.0 if m.weight.requires_grad else 4.0) * m.weight.numel() for m in linear)
    config = model.network.config
    return float(weights + 12.0 * mean_length * config.hidden_size * config.num_hidden_layers)
