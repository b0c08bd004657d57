"""Which classes are taken for which."""

from __future__ import annotations

DRAWN_UP_TO = 30
"""Classes: more would not be readable as a heat map."""


def confused_pairs(labels: list[str], matrix: list[list[int]], at_most: int = 20) -> list[tuple[str, str, int, float]]:
    """(truth, predicted, rows, share of the truth's rows) of the most frequent mistakes, most frequent first.

    :param matrix: (C, C) counts, rows = truth, columns = predicted.
    """
    pairs = []
    for truth, counts in zip(labels, matrix, strict=True):
        total = sum(counts)
        for predicted, times in zip(labels, counts, strict=True):
            if times and truth != predicted:
                pairs.append((truth, predicted, times, times / total))
    return sorted(pairs, key=lambda pair: (-pair[2], -pair[3], pair[0], pair[1]))[:at_most]
