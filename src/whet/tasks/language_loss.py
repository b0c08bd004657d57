"""What all tasks of language models share: tokens that are to be said, their loss, and their numbers by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whet import seeds
from whet.batches.encoding import Encoded, token_numbers
from whet.batches.flat import FlatBatch
from whet.batches.shared_beginnings import joined
from whet.engine.devices import beside
from whet.engine.protocols import StepLoss
from whet.kernels.divergence import token_divergence
from whet.kernels.token_loss import token_loss, token_nats
from whet.models import permutation


@dataclass(frozen=True, slots=True)
class Wanted:
    """k tokens that a batch of T is to say.

    - ``batch``: what the model sees, with some tokens hidden where a task hides them.
    - ``read`` (k,): the place whose vector tells of the token; ``said`` (k,): the place where it stands.
    - ``ids`` (k,): which token it is; ``weights`` (k,) float32: how much it counts.
    - ``ranks`` (T,): of a permuted language model, the order of the tokens; None for others.
    """

    batch: FlatBatch
    read: Tensor
    said: Tensor
    ids: Tensor
    weights: Tensor
    ranks: Tensor | None = None

    def features(self, model: Any) -> Tensor:
        """(k, F) what the last layer of ``model`` sees of them."""
        if self.ranks is not None:
            return permutation.features(model, self.batch, self.ranks)
        found: Tensor = model.features(self.batch)
        return found[beside(self.read, found)]

    def sharing(self, model: Any) -> Wanted:
        """The same tokens, of a batch in which beginnings stand once where ``model`` may read it so."""
        found = joined(self.batch) if self.ranks is None and model.shares_beginnings else None
        return self if found is None else replace(self, batch=found.batch, read=found.place[self.read])


Choose = Callable[[FlatBatch], Wanted]


def token_weights(batch: FlatBatch) -> NDArray[np.float32]:
    """(T,) how much each token of a batch counts."""
    weights = batch.encoded.weights
    assert weights is not None, "rows of a language model are encoded with weights"
    return np.asarray(weights[token_numbers(batch.encoded.offsets, batch.sequences)])


def next_tokens(batch: FlatBatch) -> Wanted:
    """Every token that counts, told by the vector of the one before it; the first of a sequence by none."""
    weights = torch.from_numpy(token_weights(batch).copy())
    weights[batch.where.starts] = 0.0
    said = weights.nonzero()[:, 0]
    return Wanted(batch, said - 1, said, batch.input_ids[0][said], weights[said])


PERMUTED_SHARE = 1 / 6
"""Of the tokens of a text that a permuted language model says (arXiv 1906.08237)."""


def permuted_tokens(batch: FlatBatch, drawn: Tensor) -> Wanted:
    """The last tokens of a random order, each told by those before it; one token at least is only seen.

    :param drawn: (T,) numbers of 0 to 1, whose order is the order.
    """
    weights = torch.from_numpy(token_weights(batch).copy())
    ranks = torch.full_like(weights, permutation.SEEN, dtype=torch.int64)
    for start, length in zip(batch.where.starts.tolist(), batch.where.lengths.tolist(), strict=True):
        counted = weights[start : start + length].nonzero()[:, 0] + start
        most = min(len(counted), length - 1, max(1, round(length * PERMUTED_SHARE)))
        chosen = counted[drawn[counted].argsort(descending=True)[:most]]
        ranks[chosen] = drawn[chosen].argsort().argsort()
    said = (ranks != permutation.SEEN).nonzero()[:, 0]
    return Wanted(batch, said, said, batch.input_ids[0][said], weights[said], ranks)


def drawn_anew(batch: FlatBatch) -> Tensor:
    """(T,) numbers from the stream that the engine seeds for each step."""
    return torch.rand(batch.num_tokens)


def drawn_fixed(batch: FlatBatch, seed: int, stream: str, rows: int = 1) -> Tensor:
    """(rows, T) numbers of 0 to 1 that are a sequence's own, whatever batch it is in."""
    lengths = batch.where.lengths.tolist()
    found = [
        seeds.generator(seed, stream, int(number)).random((rows, length))
        for number, length in zip(batch.sequences, lengths, strict=True)
    ]
    return torch.from_numpy(np.concatenate(found, 1).astype(np.float32))


@dataclass(frozen=True, slots=True)
class LanguageLoss:
    """Cross-entropy of the wanted tokens; no other token goes through the last layer.

    The methods are those of :class:`whet.objectives.two_passes.Distributed`.
    """

    choose: Choose
    label_smoothing: float = 0.0

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """Summed over weighted tokens, in nats."""
        wanted = self.known(model, batch).sharing(model)
        return self.loss(model, wanted, self.said(model, wanted))

    def known(self, model: Any, batch: FlatBatch) -> Wanted:
        """Which tokens are to be said, drawn anew where a task draws them."""
        anew = model.guesses == "permuted"
        return permuted_tokens(batch, drawn_anew(batch)) if anew else self.choose(batch)

    def said(self, model: Any, wanted: Wanted) -> Tensor:
        """(k, F) what the last layer sees of them."""
        return wanted.features(model)

    def loss(self, model: Any, wanted: Wanted, features: Tensor) -> StepLoss:
        """Summed over weighted tokens, in nats."""
        weight, bias, cap = model.linear_head.weight, model.logit_bias, model.logit_cap
        smoothing, whole = self.label_smoothing, model.whole_logits
        total = token_loss(features, weight, bias, wanted.ids, wanted.weights, cap, smoothing, whole)
        return StepLoss(total, float(wanted.weights.sum()))

    def divergence(self, model: Any, wanted: Wanted, one: Tensor, other: Tensor) -> Tensor:
        """Of two passes, summed over weighted tokens."""
        weight, bias, cap = model.linear_head.weight, model.logit_bias, model.logit_cap
        return token_divergence(one, other, weight, bias, wanted.weights, cap)


def read_nats(model: Any, batch: FlatBatch, choose: Choose) -> Tensor:
    """(T, 3) at the place of every wanted token 1, its nats, and whether it was the likeliest; 0 elsewhere."""
    wanted = choose(batch).sharing(model)
    features = wanted.features(model)
    nats, right = token_nats(features, model.linear_head.weight, model.logit_bias, wanted.ids, model.logit_cap)
    found = torch.zeros(batch.num_tokens, 3)
    found[wanted.said] = torch.stack([torch.ones_like(nats), nats, right.float()], 1).cpu()
    return found


def rows_of(encoded: Encoded) -> NDArray[np.int64]:
    """(S,) the row that each sequence came from."""
    return np.arange(encoded.num_sequences) // encoded.parts if encoded.rows is None else np.asarray(encoded.rows)


def sums_by_row(outputs: Tensor, encoded: Encoded, num_rows: int) -> NDArray[np.float64]:
    """(n, W) sums of what was read of every token (N, W), by row."""
    of_token = np.repeat(rows_of(encoded), np.diff(encoded.offsets))
    found = np.zeros((num_rows, outputs.shape[1]))
    for column in range(outputs.shape[1]):
        found[:, column] = np.bincount(of_token, outputs[:, column].double().numpy(), minlength=num_rows)
    return found


def quick_numbers(outputs: Tensor) -> dict[str, float]:
    """Loss (nats per token), its negative as the score to be large, and the share of right tokens."""
    count, nats, right = (float(value) for value in outputs.double().sum(0))
    loss = nats / max(1.0, count)
    return {"loss": loss, "likelihood": -loss, "token_accuracy": right / max(1.0, count)}


def hidden(batch: FlatBatch, ids: Tensor) -> FlatBatch:
    """The batch with other token ids."""
    return replace(batch, input_ids=ids)
