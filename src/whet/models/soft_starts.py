"""Where vectors start that are learnt to be read before every text: from words that name the task, or at random."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whet.models.soft_reading import Soft
from whet.models.task_model import TaskModel
from whet.seeds import derive

WORDS = "soft.words"
"""Among the options of an adaptation: token ids of words that name the task, which vectors start from."""
_SPREAD = 0.02
"""Standard deviation of keys and values that start at random."""


def embeddings(soft: Soft, options: Mapping[str, Any]) -> Tensor | float:
    """(n, E) embeddings of words, or the spread of random ones."""
    words = words_of(soft.num, options)
    if words is None:
        return float(_sample(soft).std())
    with torch.no_grad():
        return soft.embedded(words)[0]


def words_of(num: int, options: Mapping[str, Any]) -> Tensor | None:
    """(1, n) token ids, repeated or cut to as many as there are vectors; None where they start at random."""
    found = list(options.get(WORDS) or ())
    if not found or options.get("soft.start", "words") != "words":
        return None
    return torch.tensor([(found * (num // len(found) + 1))[:num]])


@torch.no_grad()
def _sample(soft: Soft) -> Tensor:
    """Embeddings of the first words, (1, k, E)."""
    size = int(soft.adapter.word_embeddings.weight.shape[0])
    return soft.embedded(torch.arange(min(size, 1000))[None])


@torch.no_grad()
def fill(soft: Soft, rows: Tensor | float, seed: int) -> None:
    """Start from ``rows`` (n, W), or from normal numbers of such a spread, drawn from the seed."""
    table = soft.encoder.get_submodule("embedding").weight
    assert isinstance(table, Tensor)
    if isinstance(rows, float):
        table.normal_(0.0, rows, generator=torch.Generator().manual_seed(derive(seed, "soft", "start")))
    else:
        table.copy_(rows)


@torch.no_grad()
def keys_and_values(model: TaskModel, soft: Soft, options: Mapping[str, Any]) -> Tensor | float:
    """(n, 2 l W) of words, as the base itself makes them at the first n places; else the spread of random ones."""
    words = words_of(soft.num, options)
    if words is None:
        return _SPREAD
    network = model.network
    was, attention = model.training, network.config._attn_implementation
    model.eval()
    network.set_attn_implementation("eager")
    try:
        layers = _written(network, words) if model.guesses == "target" else _read(model, words)
    finally:
        network.set_attn_implementation(attention)
        model.train(was)
    parts = [part[0].transpose(0, 1).flatten(1) for pair in layers for part in pair]  # (n, heads * width) each
    table = soft.encoder.get_submodule("embedding").weight
    assert isinstance(table, Tensor)
    rows = torch.cat(parts, 1) if parts else torch.empty(0)
    return rows if rows.shape == table.shape else _SPREAD


def _written(network: Any, words: Tensor) -> list[tuple[Tensor, Tensor]]:
    found = network(input_ids=words, decoder_input_ids=words, use_cache=True).past_key_values.self_attention_cache
    return [(layer.keys, layer.values) for layer in found.layers]


def _read(model: TaskModel, words: Tensor) -> list[tuple[Tensor, Tensor]]:
    """(1, heads, n, width) keys and values of every layer."""
    if model.family is None or model.family.causal:
        found = model.trunk(input_ids=words, use_cache=True).past_key_values
        return [(layer.keys, layer.values) for layer in found.layers]
    heads = int(model.network.config.num_attention_heads)
    seen: dict[str, list[Tensor]] = {"key": [], "value": []}

    def keep(name: str, _: nn.Module, __: Any, found: Tensor) -> None:
        seen[name].append(found.unflatten(-1, (heads, -1)).transpose(1, 2))

    hooks = [
        module.register_forward_hook(partial(keep, name.rpartition(".")[2]))
        for name, module in model.trunk.named_modules()
        if isinstance(module, nn.Linear) and name.endswith((".attention.self.key", ".attention.self.value"))
    ]
    try:
        model.trunk(input_ids=words)
    finally:
        for hook in hooks:
            hook.remove()
    return list(zip(seen["key"], seen["value"], strict=True))


@torch.no_grad()
def rescale(soft: Soft) -> None:
    """Let the net of p-tuning make vectors as large as those of words."""
    share = _sample(soft).std() / soft.vectors().std()
    last = soft.encoder.get_submodule("mlp_head")[-1]  # type: ignore[index]  # a Sequential
    for parameter in last.parameters():
        parameter.mul_(share)
