from __future__ import annotations

import torch
from torch import Tensor, nn

from whet.kernels.embedding import CompactEmbedding

VOCABULARY, WIDTH = 20, 6
TOUCHED = torch.tensor([2, 3, 7, 11, 19])


def table() -> Tensor:
    return torch.randn(VOCABULARY, WIDTH, generator=torch.Generator().manual_seed(0))


def trained(embedding: nn.Module, steps: int) -> None:
    """AdamW without decay on ``embedding``; every batch has some of the touched tokens, some twice."""
    optimiser = torch.optim.AdamW([p for p in embedding.parameters() if p.requires_grad], lr=0.01, weight_decay=0.0)
    random = torch.Generator().manual_seed(1)
    mix = torch.randn(WIDTH, 3, generator=random)
    for _ in range(steps):
        ids = TOUCHED[torch.randint(0, len(TOUCHED), (4, 5), generator=random)]
        optimiser.zero_grad()
        (embedding(ids) @ mix).tanh().square().sum().backward()
        optimiser.step()


def test_steps_of_adamw_equal_those_of_the_dense_table():
    weight = table()
    compact, dense = CompactEmbedding(weight.clone(), TOUCHED), nn.Embedding.from_pretrained(weight.clone(), False)
    for embedding in (compact, dense):
        trained(embedding, steps=25)
    found, expected = compact.dense(), dense.weight.detach()
    untouched = torch.ones(VOCABULARY, dtype=torch.bool)
    untouched[TOUCHED] = False
    assert torch.equal(found[untouched], weight[untouched])
    assert torch.equal(found, expected)
    assert (found[TOUCHED] != weight[TOUCHED]).all()


def test_only_the_touched_rows_are_a_trained_parameter():
    compact = CompactEmbedding(table(), TOUCHED)
    assert {n: tuple(p.shape) for n, p in compact.named_parameters() if p.requires_grad} == {"rows": (5, WIDTH)}
    assert set(compact.state_dict()) == {"rows", "table"}


def test_evaluation_looks_up_every_row():
    weight = table()
    compact = CompactEmbedding(weight, TOUCHED)
    ids = torch.arange(VOCABULARY).view(4, 5)
    assert torch.equal(compact.eval()(ids), weight[ids])
    trained(compact.train(), steps=3)
    assert torch.equal(compact.eval()(ids), compact.dense()[ids])
    assert torch.equal(compact.train()(TOUCHED), compact.rows)


def test_the_pretrained_table_is_not_written_to():
    weight = table()
    compact = CompactEmbedding(weight, TOUCHED)
    trained(compact, steps=2)
    compact.dense()
    assert torch.equal(weight, table())
