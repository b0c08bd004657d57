"""Labels as a tree: what several of them begin with is one node, and all nodes are read behind a prompt at once.

A node stands for a token with all tokens of a label before it. It looks at the prompt and at the nodes above it, and
its position counts them. So the labels are one sequence behind each prompt, none of them is padded, and what a prompt
left in the cache is there once, however many labels there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from whet.generation.reading_prompts import Reading

PROMPT = -1
"""Number of what stands above the first token of every label."""
Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """N nodes of L labels that have E tokens in all. The last token of a label is said, and read by nobody.

    - ``labels`` (L,): their numbers.
    - ``tokens`` (N,): of the nodes, each behind the one above it.
    - ``sees`` (N, N): whether a node (row) looks at another (column): at itself and those above it.
    - ``of`` (E,), ``behind`` (E,), ``said`` (E,): of every token of the labels the place of its label in ``labels``,
      the node that it comes behind, and itself.
    """

    labels: Ids
    tokens: Ids
    sees: NDArray[np.bool_]
    of: Ids
    behind: Ids
    said: Ids

    @staticmethod
    def of_labels(labels: Sequence[Ids], numbers: Sequence[int]) -> Tree:
        """Of those labels that have ``numbers``."""
        nodes: dict[tuple[int, int], int] = {}  # the node above and the token: its own number
        steps = []
        for place, number in enumerate(numbers):
            above = PROMPT
            *inner, last = labels[number].tolist()
            for token in inner:
                steps.append((place, above, token))
                above = nodes.setdefault((above, token), len(nodes))
            steps.append((place, above, last))
        sees = np.eye(len(nodes), dtype=bool)
        for (above, _), node in nodes.items():
            if above != PROMPT:
                sees[node] |= sees[above]
        of, behind, said = np.array(steps, np.int64).reshape(-1, 3).T
        tokens = np.array([token for _, token in nodes], np.int64)
        return Tree(np.array(numbers, np.int64), tokens, sees, of, behind, said)

    def nats(self, reading: Reading) -> NDArray[np.float64]:
        """(B, L) of the labels behind the rows of ``reading``, which stays as it is."""
        device = reading.logits.device
        of, behind, said = (torch.from_numpy(part).to(device) for part in (self.of, self.behind, self.said))
        logs = reading.logits.new_empty(len(reading.lengths), len(of))
        first = behind == PROMPT
        logs[:, first] = reading.logits.log_softmax(-1)[:, said[first]]
        if len(self.tokens):
            logits = reading.branches(torch.from_numpy(self.tokens).to(device), torch.from_numpy(self.sees).to(device))
            behind, said = behind[~first], said[~first]
            logs[:, ~first] = logits[:, behind, said] - logits.logsumexp(-1)[:, behind]
        total = torch.zeros(len(logs), len(self.labels), dtype=torch.float64, device=device)
        return -total.index_add_(1, of, logs.double()).cpu().numpy()


def trees(labels: Sequence[Ids], most: int) -> list[Tree]:
    """All ``labels``, in trees of so many nodes at most as far as a label alone has no more.

    In the order of their tokens labels that begin alike are neighbours, so that few beginnings stand in two trees.
    """
    return [Tree.of_labels(labels, numbers) for numbers in _parts(labels, most)]


def _parts(labels: Sequence[Ids], most: int) -> Iterator[list[int]]:
    written = [one.tolist() for one in labels]
    part: list[int] = []
    nodes = 0
    for number in sorted(range(len(written)), key=written.__getitem__):
        inner = written[number][:-1]
        new = len(inner) - (_alike(written[part[-1]][:-1], inner) if part else 0)
        if part and nodes + new > most:
            yield part
            part, nodes, new = [], 0, len(inner)
        part.append(number)
        nodes += new
    if part:
        yield part


def _alike(one: list[int], other: list[int]) -> int:
    """Tokens that both begin with."""
    shorter = min(len(one), len(other))
    return next((place for place in range(shorter) if one[place] != other[place]), shorter)
