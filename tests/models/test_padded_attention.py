from __future__ import annotations

import pytest
import torch
from torch import nn

from whet.models import padded_attention


@pytest.mark.parametrize("masked", [None, "shown", "added"])
@pytest.mark.parametrize("biased", [False, True])
def test_it_is_plain_attention_in_the_numbers_of_the_query(masked: str | None, biased: bool) -> None:
    random = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 8, generator=random).bfloat16() for _ in range(3))
    shown = torch.ones(2, 1, 5, 5, dtype=torch.bool).tril()
    scores = query.double() @ key.double().transpose(2, 3) * 0.3
    bias = torch.randn(1, 3, 5, 5, generator=random).bfloat16() if biased else None
    if masked:
        scores = scores.masked_fill(~shown, -torch.inf)
    if bias is not None:
        scores = scores + bias.double()
    wanted = (scores.softmax(-1) @ value.double()).transpose(1, 2)
    mask = {None: None, "shown": shown, "added": torch.zeros(2, 1, 5, 5).masked_fill(~shown, -1e30).bfloat16()}[masked]
    more = {} if bias is None else {"position_bias": bias}
    layer = nn.Module()
    layer.is_causal = False  # type: ignore[assignment]
    found, _ = padded_attention.for_transformers(layer, query, key, value, mask, scaling=0.3, **more)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, atol=0.02, rtol=0.02)
