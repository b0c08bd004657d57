"""Sources and targets for encoder-decoders, and which token of a target is to be said where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.batches import flat
from whet.batches.encoding import Counted, Piece, gather
from whet.batches.flat import FlatBatch
from whet.models import sequences

from .ready import LIMIT, Ready
from .speaking import speaker

SOURCES = (
    "where is my card",
    "i want a refund for this item it was broken when it came",
    "help",
    "no one answers the phone and why was i charged twice",
)
TARGETS = ("the card has not arrived yet", "refund", "please cancel my order and my account", "thank you")
NAMED = {"mbart": "de_DE", "m2m_100": "__de__"}
"""The language of the targets, where a family wants one."""


def writer(folder: Path, **changes: Any) -> Ready:
    """A model that writes targets on the base in ``folder``, in evaluation mode."""
    return speaker(folder, **changes)


def begins(ready: Ready) -> list[int]:
    config = ready.model.network.config
    return sequences.prefix(ready.tokenizer, config, NAMED.get(config.model_type))


def rows(
    ready: Ready, sources: tuple[str, ...] = SOURCES, targets: tuple[str, ...] = TARGETS
) -> tuple[list[list[int]], list[list[int]]]:
    """Token ids of sources, and of targets as the decoder reads them with the last label behind."""
    ends = sequences.suffix(ready.tokenizer)
    bare = sequences.target_ids(ready.tokenizer, targets)
    first = begins(ready)
    return sequences.source_ids(ready.tokenizer, sources), [[*first, *one, *ends] for one in bare]


def batch_of(
    ready: Ready, sources: tuple[str, ...] = SOURCES, targets: tuple[str, ...] = TARGETS
) -> tuple[FlatBatch, NDArray[np.int64]]:
    """A batch, and for each of its tokens the one to be said there; below zero at sources and at what is given."""
    pairs = [one for pair in zip(*rows(ready, sources, targets), strict=True) for one in pair]
    lengths = np.array([len(one) for one in pairs], np.int64)
    ids = np.concatenate([np.array(one, np.uint32) for one in pairs])
    encoded = gather([Piece(ids, lengths)], Counted(LIMIT), None, parts=2)
    wanted = np.full(len(ids), -1)
    given = len(begins(ready))
    for number in range(1, len(pairs), 2):
        start, end = encoded.offsets[number : number + 2]
        wanted[start + given - 1 : end - 1] = ids[start + given : end]
    return flat.make(encoded, np.arange(len(encoded)), None), wanted


def of_target(batch: FlatBatch, number: int) -> slice:
    """Where the tokens of a unit's target stand in the batch."""
    start = int(batch.where.starts[2 * number + 1])
    return slice(start, start + int(batch.where.lengths[2 * number + 1]))


def plain_logits(network: Any, source: list[int], target: list[int]) -> torch.Tensor:
    """(len(target), V) of one pair alone, by a class of transformers."""
    with torch.no_grad():
        found = network(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([target]))
    logits: torch.Tensor = found.logits[0]
    return logits
