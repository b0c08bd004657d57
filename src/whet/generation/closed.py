"""How likely each of a few answers is behind a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.errors import Problem, UserError
from whet.generation.reading_prompts import Reading, alone, batches, in_use, read, read_shared, refuse_long, room
from whet.generation.reading_sources import answer_room, checked, read_sources, refuse_long_sources

BATCH_TOKENS = 8192
"""Tokens of prompts and labels that are held at once."""
CELLS = 1 << 26
"""Logits of labels that are held at once, some 20 bytes each on the way: a large vocabulary takes fewer tokens."""


def label_nats(
    network: Any,
    tokenizer: Any,
    prompts: Sequence[NDArray[np.int64]],
    labels: Sequence[NDArray[np.int64]],
    *,
    begins: NDArray[np.int64] | None = None,
    batch_tokens: int = BATCH_TOKENS,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """(n, L) nats of each label behind each prompt: the smaller, the likelier. A prompt is read once.

    :param prompts: token ids; of an encoder-decoder the sources.
    :param labels: token ids, one or more each, with the token that ends an answer where it is to count.
    :param begins: what every answer of an encoder-decoder begins with; None for a decoder.
    :raises UserError: C010, a prompt leaves no room for the longest label; C012, a label has no tokens.
    """
    if any(len(one) == 0 for one in labels):
        raise UserError(Problem("C012", "the labels", "one of them has no tokens.", "Name every label."))
    longest = max((len(one) for one in labels), default=0)
    if checked(network, begins) is None:
        limit = room(network)
        refuse_long(prompts, None if limit is None else limit - longest + 1)
    else:
        refuse_long_sources(network, prompts)
        _refuse_long_labels(network, begins, longest)
    found = np.zeros((len(prompts), len(labels)))
    if not labels:
        return found
    finished = 0
    batch_tokens = min(batch_tokens, max(1, CELLS // int(network.config.get_text_config(decoder=True).vocab_size)))
    batch_tokens = 1 if begins is None and alone(network) else batch_tokens
    with in_use(network):
        shared = read_shared(network, prompts) if begins is None else None
        for rows in _batches([len(one) for one in prompts], longest, len(labels), batch_tokens):
            some_prompts = [prompts[row] for row in rows]
            if begins is None:
                reading = read(network, some_prompts, shared)
            else:
                reading = read_sources(network, some_prompts, begins)
            for some in _parts(labels, len(rows) * (reading.width + longest), batch_tokens):
                found[np.ix_(rows, some)] = _nats(reading, [labels[number] for number in some])
            finished += len(rows)
            if progress:
                progress(finished)
    return found


def _refuse_long_labels(network: Any, begins: Any, longest: int) -> None:
    limit = answer_room(network, begins)
    if limit is not None and longest > limit:
        what = f"one has {longest:,} tokens, and the model writes {limit:,}."
        raise UserError(Problem("C010", "the labels", what, "Shorten it, or take a longer model."))


def _batches(lengths: Sequence[int], longest: int, num_labels: int, batch_tokens: int) -> list[list[int]]:
    """Prompts of like length that go together with all labels, if there is room for so many."""
    return list(batches([one * num_labels for one in lengths], longest * num_labels, batch_tokens))


def _parts(labels: Sequence[NDArray[np.int64]], cost: int, batch_tokens: int) -> list[list[int]]:
    """Numbers of the labels that go together: of like length, as many as there is room for."""
    at_once = max(1, batch_tokens // max(1, cost))
    order = sorted(range(len(labels)), key=lambda number: len(labels[number]))
    return [order[start : start + at_once] for start in range(0, len(order), at_once)]


def _nats(reading: Reading, labels: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(B, k) nats of ``labels`` behind the rows of ``reading``, which stays as it is."""
    size, width = len(reading.lengths), max(len(one) for one in labels)
    device = reading.mask.device
    tokens = torch.zeros(len(labels), width, dtype=torch.long, device=device)
    real = torch.zeros(len(labels), width, dtype=torch.bool, device=device)
    for number, one in enumerate(labels):
        tokens[number, : len(one)] = torch.from_numpy(np.asarray(one, np.int64)).to(device)
        real[number, : len(one)] = True
    first: Tensor = reading.logits.double().log_softmax(-1)[:, tokens[:, 0]]  # (B, k)
    total = -first
    if width > 1:
        repeated = reading.repeated(len(labels))
        # what stands behind the end of a shorter label is seen by nothing that counts
        logits = repeated.go_on(tokens[:, :-1].repeat(size, 1), all_logits=True).double()
        wanted = tokens[:, 1:].repeat(size, 1).unsqueeze(2)
        costs = -logits.log_softmax(-1).gather(2, wanted).squeeze(2) * real[:, 1:].repeat(size, 1)
        total = total + costs.sum(1).view(size, len(labels))
    return total.cpu().numpy()
