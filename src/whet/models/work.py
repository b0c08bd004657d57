"""How much matrix work a step of training is: what MFU is counted from."""

from __future__ import annotations

from whet.models.adaptations import embedding_weights
from whet.models.kept_trunk import frozen_layers
from whet.models.task_model import TaskModel


def flops_per_token(model: TaskModel, mean_length: float, share_said: float = 0.0) -> float:
    """Of one training step, forward and backward, in products and sums counted apart.

    Matrices: 2 forward, 2 for the gradient of the input, 2 for that of the weight where it
    moves; attention: two products of every pair of tokens, forward and twice backward. The layer
    nearest to the input needs no gradient of its input; that is neglected, as everybody does. Local
    attention counts as if it saw everything, since all of it is computed. The head is not counted, but for
    a language model, where it is among the largest products. Of a model that writes targets each half is counted for
    its own tokens: what is said stands for the tokens of targets. Layers below all that moves go forward alone, and
    not at all where what they give was kept.

    :param share_said: the share of tokens that go through the last layer of a language model.
    """
    config = model.network.config
    skipped = embedding_weights(model) | {id(p) for p in (model.head.parameters() if model.head is not None else ())}
    below = frozen_layers(model)
    still, forward = {id(p) for layer in below for p in layer.parameters()}, 0.0 if model.kept_trunk else 2.0
    weights = 0.0
    for name, parameter in model.network.named_parameters():
        if parameter.ndim > 1 and id(parameter) not in skipped and "pooler" not in name and "bias" not in name:
            used = _times_used(name, config) * (_share(name, share_said) if model.guesses == "target" else 1.0)
            passes = forward if id(parameter) in still else 6.0 if parameter.requires_grad else 4.0
            weights += passes * parameter.numel() * used
    if model.kind.kind == "language":
        moves = model.linear_head.weight.requires_grad
        weights += share_said * (6.0 if moves else 4.0) * model.linear_head.weight.numel()
    moving = config.num_hidden_layers - len(below)
    return float(weights + mean_length * config.hidden_size * (12.0 * moving + 2.0 * forward * len(below)))


def _share(name: str, share_said: float) -> float:
    """Of the tokens that reach a weight of an encoder-decoder; its decoder reads the source beside them, neglected."""
    return 1.0 - share_said if name.removeprefix("model.").startswith("encoder.") else share_said


def _times_used(name: str, config: object) -> float:
    """ALBERT's layers share their weights, group by group."""
    if "albert_layer_groups" not in name:
        return 1.0
    return float(getattr(config, "num_hidden_layers", 1)) / float(getattr(config, "num_hidden_groups", 1))
