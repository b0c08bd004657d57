"""An embedding that trains only the rows its data can touch; the result is the same.

A dense embedding zero-fills a gradient of the whole table and updates all of it at every step,
though a batch holds a few hundred distinct tokens: for a small model half of a step. AdamW
leaves a row alone as long as its gradient has always been zero and it is not decayed. The rows
that the training data mentions are known before the first step, so only they become a
parameter. Their updates, and the table at the end, equal those of the dense embedding exactly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CompactEmbedding(nn.Module):
    """Takes the place of ``nn.Embedding``: ``rows`` is trained, ``table`` holds all other rows.

    :param weight: (V, H) the pretrained table.
    :param touched: (R,) int64, distinct token ids that occur in training.
    """

    def __init__(self, weight: Tensor, touched: Tensor) -> None:
        super().__init__()
        self.rows = nn.Parameter(weight.detach()[touched].clone())
        self.table = nn.Parameter(weight.detach(), requires_grad=False)
        self.place: Tensor
        self.touched: Tensor
        self.register_buffer("touched", touched, persistent=False)
        place = torch.full((weight.shape[0],), -1, dtype=torch.int64, device=weight.device)
        place[touched] = torch.arange(len(touched), device=weight.device)
        self.register_buffer("place", place, persistent=False)

    def forward(self, ids: Tensor) -> Tensor:
        """(...) token ids to (..., H)."""
        place = self.place[ids]
        found = F.embedding(place.clamp(min=0), self.rows)
        if self.training:
            return found
        missing = place < 0
        return torch.where(missing.unsqueeze(-1), F.embedding(ids, self.table).to(found.dtype), found)

    def dense(self) -> Tensor:
        """(V, H): the whole table with the trained rows in their places."""
        whole = self.table.float().clone()
        whole[self.touched] = self.rows.detach().float()
        return whole
