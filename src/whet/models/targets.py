"""A model that reads a source and writes a target: how it takes flat batches, and what its class adds to its logits.

The sequences of a batch alternate: a source, then its target as the decoder reads it, with the last label at the
end. Inside they become two tables, padded on the right.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from whet.batches.flat import FlatBatch

BIAS = "final_logits_bias"
"""What BART's, mBART's and Marian's classes add to all logits."""
WHY_PADDED = "it writes one text while it looks at another, and attention between two texts is padded"


def inputs(batch: FlatBatch, pad_id: int) -> tuple[dict[str, Tensor], Tensor]:
    """What the network takes, and (B, L) which places of the table of targets hold a token.

    :raises ValueError: the sequences are no sources with their targets.
    """
    if batch.parts != 2:
        raise ValueError("a model that writes targets takes sources and targets, two sequences a unit")
    padded = batch.padded(pad_id)
    ids, mask = padded["input_ids"], padded["attention_mask"]
    lengths = batch.where.lengths
    sources, targets = int(lengths[0::2].max()), int(lengths[1::2].max())
    given = {
        "input_ids": ids[0::2, :sources],
        "attention_mask": mask[0::2, :sources],
        "decoder_input_ids": ids[1::2, :targets],
    }
    return given, mask[1::2, :targets].bool()


def features(network: Any, last: nn.Linear, batch: FlatBatch, pad_id: int) -> Tensor:
    """(T, F) what the layer ``last`` sees at each token of a target; zeros at those of sources."""
    given, real = inputs(batch, pad_id)
    return placed(reaching(network, last, given), real, batch)


def placed(seen: Tensor, real: Tensor, batch: FlatBatch) -> Tensor:
    """(T, F) the rows of the table ``seen`` (B, L, F) where ``real`` (B, L), in flat order; zeros at sources."""
    where = batch.where
    numbers = torch.arange(where.num_sequences, device=seen.device)
    of_target = torch.repeat_interleave(numbers % 2 == 1, where.lengths)
    found = seen.new_zeros(batch.num_tokens, seen.shape[-1])
    found[of_target] = seen[real]
    return found


def reaching(network: Any, last: nn.Linear, given: Mapping[str, Tensor]) -> Tensor:
    """(B, L, F) what reaches ``last`` when ``network`` runs, without the product over the vocabulary."""
    found: list[Tensor] = []

    def catch(layer: nn.Linear, seen: tuple[Tensor, ...]) -> Tensor:
        found.append(seen[0])
        return seen[0][:, :0].to(layer.weight.dtype)

    hook = last.register_forward_pre_hook(catch)
    try:
        network(**given, use_cache=False)
    finally:
        hook.remove()
    return found[0]


def keep_precision(network: Any) -> None:
    """Let tables of sines that are no parameters, as M2M100's, follow the embeddings beside them into bf16."""
    for half in (network.get_encoder(), network.get_decoder()):
        sines = getattr(half, "embed_positions", None)
        if isinstance(sines, nn.Module) and not list(sines.parameters()):
            sines.register_forward_hook(partial(_as_precise, half.get_input_embeddings()))


def _as_precise(table: Any, _: nn.Module, given: Any, found: Tensor) -> Tensor:
    return found.to(table.weight.dtype)


def bias_of(network: Any) -> Tensor | None:
    """(V,) what the class adds to all logits; None where that is nothing."""
    found = getattr(network, BIAS, None)
    if not isinstance(found, Tensor) or not bool(found.any()):
        return None
    return found.reshape(-1)
