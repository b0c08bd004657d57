"""Permuted language modelling, XLNet's own (arXiv 1906.08237): tokens are said in any order, each from those before it.

A token that is to be said must not be seen where it is said. So a second stream runs beside the first: it
knows the place of a token and what comes before it in the order, and its output is what the last layer reads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whet.batches.flat import FlatBatch
from whet.models.task_model import TaskModel

SEEN = -1
"""The rank of a token that every other may see, and that is not said."""


def features(model: TaskModel, batch: FlatBatch, ranks: Tensor) -> Tensor:
    """What the last layer sees of the tokens that are to be said.

    :param ranks: (T,) int64, of each token its number in the order of its sequence, or :data:`SEEN`; tokens of
        one rank do not see each other.
    :returns: (k, F) in the order of the batch, one row for every token whose rank is not :data:`SEEN`.
    :raises ValueError: the model is no permuted language model; or a token is said from nothing, in which case
        transformers would show it everything.
    """
    if model.guesses != "permuted":
        raise ValueError("only a permuted language model takes an order of its tokens")
    batch, ranks = batch.to(model.device), ranks.to(model.device)
    inputs = model.padded_inputs(batch)
    real = inputs["attention_mask"].bool()
    table = torch.full(real.shape, SEEN, dtype=torch.int64, device=real.device)
    table[real] = ranks
    said = table != SEEN
    # (B, L, L): 1 where the token of a row must not see that of a column; the first stream keeps itself
    hidden = said[:, None, :] & (table[:, None, :] >= table[:, :, None])
    if not (~hidden & real[:, None, :]).any(2)[said].all():
        raise ValueError("a token is said from nothing: its sequence needs one that is seen")
    most = int(said.sum(1).amax())
    # (B, P): the places to be said, filled up with places that are not
    order = torch.argsort(said.long(), dim=1, descending=True, stable=True)[:, :most]
    mapping = torch.nn.functional.one_hot(order, real.shape[1]).float()
    vectors: Tensor = model.trunk(
        **inputs, perm_mask=hidden.float(), target_mapping=mapping.to(model.linear_head.weight.dtype)
    ).last_hidden_state
    return vectors[said.gather(1, order)]
