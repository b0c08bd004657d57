"""How likely each of a few answers is behind a prompt.

The answers are one tree behind it (:mod:`whet.generation.label_tree`) where a decoder can read one: that is tried at
first use. Else, and to be held against, they are rows side by side.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.errors import Problem, UserError
from whet.generation.label_tree import Tree, trees
from whet.generation.reading_prompts import (
    Reading,
    alone,
    batches,
    branches_off,
    in_use,
    read,
    read_shared,
    refuse_long,
    room,
)
from whet.generation.reading_sources import answer_room, checked, read_sources, refuse_long_sources

BATCH_TOKENS = 8192
"""Tokens of prompts and labels that are held at once."""
CELLS = 1 << 26
"""Logits of labels that are held at once, some 20 bytes each on the way: a large vocabulary takes fewer tokens."""
PROVING = 8
"""Labels of the first prompts by which a tree is held against rows side by side."""
TOLERANCE = 1e-3
"""Largest difference of their nats, as a share of them but at least of one nat; the same in 16 bits:"""
TOLERANCE_IN_16_BITS = 3e-2

_proven: weakref.WeakKeyDictionary[Any, bool] = weakref.WeakKeyDictionary()
"""Of networks that were tried whether a tree says what rows side by side say."""


def label_nats(
    network: Any,
    prompts: Sequence[NDArray[np.int64]],
    labels: Sequence[NDArray[np.int64]],
    *,
    begins: NDArray[np.int64] | None = None,
    batch_tokens: int = BATCH_TOKENS,
    fast: bool = True,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float64]:
    """(n, L) nats of each label behind each prompt: the smaller, the likelier. A prompt is read once.

    :param prompts: token ids; of an encoder-decoder the sources.
    :param labels: token ids, one or more each, with the token that ends an answer where it is to count.
    :param begins: what every answer of an encoder-decoder begins with; None for a decoder.
    :param fast: read the labels as a tree, where that has been seen to be the same; see :func:`differs`.
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
    if not labels or not prompts:
        return found
    finished = 0
    with in_use(network):
        shared = read_shared(network, prompts) if begins is None else None

        def reading(rows: Sequence[int]) -> Reading:
            some = [prompts[row] for row in rows]
            return read(network, some, shared) if begins is None else read_sources(network, some, begins)

        lengths = [len(one) for one in prompts]
        as_trees = fast and begins is None and _may_be_trees(network, labels, lengths, reading)
        way = _AsTrees(network, labels, batch_tokens) if as_trees else _SideBySide(network, labels, batch_tokens)
        for rows in way.batches(lengths):
            found[rows] = way.nats(reading(rows))
            finished += len(rows)
            if progress:
                progress(finished)
    return found


def differs(network: Any) -> bool:
    """Whether ``network`` was seen to say something else of a tree of labels, so that they are rows side by side."""
    return not _proven.get(network, True)


def _may_be_trees(
    network: Any,
    labels: Sequence[NDArray[np.int64]],
    lengths: Sequence[int],
    reading: Callable[[Sequence[int]], Reading],
) -> bool:
    """Whether labels may be a tree; at the first use of a network some of them are read in both ways."""
    if not branches_off(network):
        return False
    if network not in _proven:
        begun = reading(sorted({int(np.argmin(lengths)), int(np.argmax(lengths))}))
        of = np.unique(np.linspace(0, len(labels) - 1, PROVING).astype(np.int64)).tolist()
        _proven[network] = _is_same(network, begun, [labels[number] for number in of])
    return _proven[network]


def _is_same(network: Any, reading: Reading, labels: Sequence[NDArray[np.int64]]) -> bool:
    try:
        told = Tree.of_labels(labels, range(len(labels))).nats(reading)
    except (RuntimeError, ValueError, TypeError, IndexError):  # some networks take no such mask
        return False
    expected = _side_by_side(reading, labels)
    whole = next(network.parameters()).dtype == torch.float32
    gaps = np.abs(told - expected) / np.maximum(expected, 1.0)
    return bool((gaps <= (TOLERANCE if whole else TOLERANCE_IN_16_BITS)).all())


def _refuse_long_labels(network: Any, begins: Any, longest: int) -> None:
    limit = answer_room(network, begins)
    if limit is not None and longest > limit:
        what = f"one has {longest:,} tokens, and the model writes {limit:,}."
        raise UserError(Problem("C010", "the labels", what, "Shorten it, or take a longer model."))


def _most_logits(network: Any) -> int:
    """Tokens whose logits are held at once."""
    return max(1, CELLS // int(network.config.get_text_config(decoder=True).vocab_size))


class _AsTrees:
    """Labels in as few trees as there is room for."""

    def __init__(self, network: Any, labels: Sequence[NDArray[np.int64]], batch_tokens: int) -> None:
        self.batch_tokens, self.most_logits = batch_tokens, _most_logits(network)
        self.trees = trees(labels, min(self.most_logits, batch_tokens // 2))
        self.num_nodes = max(len(one.tokens) for one in self.trees)
        self.num_labels = len(labels)

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Prompts of like length that go together."""
        at_once = max(1, self.most_logits // max(1, self.num_nodes))
        for rows in batches(lengths, self.num_nodes, self.batch_tokens):
            yield from (rows[start : start + at_once] for start in range(0, len(rows), at_once))

    def nats(self, reading: Reading) -> NDArray[np.float64]:
        """(B, L) of the labels behind the rows of ``reading``."""
        found = np.zeros((len(reading.lengths), self.num_labels))
        for tree in self.trees:
            found[:, tree.labels] = tree.nats(reading)
        return found


class _SideBySide:
    """Labels as rows, each behind a prompt of its own; of like length go together as many as there is room for."""

    def __init__(self, network: Any, labels: Sequence[NDArray[np.int64]], batch_tokens: int) -> None:
        self.labels, self.longest = labels, max(map(len, labels))
        self.batch_tokens = 1 if alone(network) else min(batch_tokens, _most_logits(network))

    def batches(self, lengths: Sequence[int]) -> Iterator[list[int]]:
        """Prompts of like length that go together with all labels, if there is room for so many."""
        number = len(self.labels)
        return batches([one * number for one in lengths], self.longest * number, self.batch_tokens)

    def nats(self, reading: Reading) -> NDArray[np.float64]:
        """(B, L) of the labels behind the rows of ``reading``."""
        size = len(reading.lengths)
        at_once = max(1, self.batch_tokens // (size * (reading.width + self.longest)))
        order = sorted(range(len(self.labels)), key=lambda number: len(self.labels[number]))
        found = np.zeros((size, len(order)))
        for start in range(0, len(order), at_once):
            some = order[start : start + at_once]
            found[:, some] = _side_by_side(reading, [self.labels[number] for number in some])
        return found


def _side_by_side(reading: Reading, labels: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
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
