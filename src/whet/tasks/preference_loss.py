"""From the tokens of a batch to the loss of whole answers, without a table of logits that lasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.batches.flat import FlatBatch
from whet.engine.devices import beside
from whet.engine.protocols import StepLoss
from whet.kernels.token_loss import token_loss, token_nats
from whet.objectives.preference import Answers, Preferring
from whet.tasks.language_loss import Choose, next_tokens


@dataclass(frozen=True, slots=True)
class PreferenceLoss:
    """A loss of answers' log-probabilities.

    Targets (B, P + 1) hold the reference's log-probabilities and whether the answer is liked. The answers are first
    said without a graph, which tells how much each of them is to change; then each token is said with that weight,
    so that the gradient is that of the loss and no table of logits is kept.
    """

    how: Preferring
    paired: bool
    choose: Choose = next_tokens

    def __call__(self, model: nn.Module, batch: FlatBatch) -> StepLoss:
        """Summed over pairs or answers."""
        network: Any = model
        wanted = self.choose(batch).sharing(network)
        features = wanted.features(network)
        weight, bias, cap = network.linear_head.weight, network.logit_bias, network.logit_cap
        sequence = torch.repeat_interleave(torch.arange(batch.where.num_sequences), batch.where.lengths)[wanted.said]
        nats = token_nats(features.detach(), weight, bias, wanted.ids, cap)[0].cpu()
        zeros = torch.zeros(batch.where.num_sequences, dtype=torch.float64)
        policy = (-zeros.index_add(0, sequence, nats.double())).requires_grad_()
        tokens = zeros.index_add(0, sequence, torch.ones_like(nats, dtype=torch.float64))
        with torch.enable_grad():
            total, count = self.how(self._answers(policy, tokens, batch))
            (slope,) = torch.autograd.grad(total, policy)
        counts = -slope.float()[sequence]
        carried = token_loss(features, weight, bias, wanted.ids, counts, cap, whole=network.whole_logits)
        return StepLoss(beside(total.detach().float(), carried) + carried - carried.detach(), count)

    def _answers(self, policy: Tensor, tokens: Tensor, batch: FlatBatch) -> Answers:
        known = batch.targets
        assert known is not None
        shape = (len(batch.rows), batch.parts)
        return Answers(
            policy.view(shape),
            known[:, :-1].double(),
            tokens.view(shape).clamp(min=1),
            None if self.paired else known[:, -1].double(),
        )
